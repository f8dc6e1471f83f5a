import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from aiops.audit.actor import SYSTEM
from aiops.notifications.models import Channel
from incidents.models import Anomaly, Incident
from incidents.observations import correlation_key
from incidents.services import correlation, lifecycle
from slos.models import SLO, BurnAlert
from slos.services import alerts, evaluation, recording
from tests.conftest import NOON
from tests.factories import make_anomaly, make_incident
from tests.slos.prometheus import Server
from tests.slos.rows import measured_row, slo_row

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def burning(server: Server, **overrides: Any) -> SLO:
    """Half of its requests fail, from 20 minutes before noon until 20 minutes after it."""
    return measured_row(server.url, **{"bad_query": "burst_total", **overrides})


def look(slo: SLO, at: datetime) -> SLO:
    (found,) = evaluation.evaluate(slos=[slo], at=at)
    return found


def active(slo: SLO) -> dict[str, str]:
    rows = BurnAlert.objects.filter(slo=slo, cleared_at=None)
    return dict(rows.values_list("window", "severity"))


class TestFiring:
    def test_opens_an_incident_of_the_highest_severity(self, prometheus: Server) -> None:
        slo = look(burning(prometheus), NOON)

        incident = Incident.objects.get()
        assert active(slo).items() >= {"5m/1h": "critical", "30m/6h": "high"}.items()
        assert (incident.signal_type, incident.severity, incident.namespace) == ("slo_violation", "critical", "shop")
        assert incident.resource == "SLO/checkout-availability"
        assert slo.status == "breached"

    def test_opens_one_incident_however_long_it_lasts(self, prometheus: Server) -> None:
        slo = burning(prometheus)

        for minute in range(5):
            look(slo, NOON + minute * MINUTE)

        assert Incident.objects.count() == 1
        assert BurnAlert.objects.filter(window="5m/1h").count() == 1

    def test_raises_the_severity_as_more_rules_fire(self, prometheus: Server) -> None:
        slo = burning(prometheus, bad_query="sum(errors_total) + (sum(burst_total) or vector(0))")
        look(slo, NOON - 25 * MINUTE)
        before = Incident.objects.get().severity

        look(slo, NOON)

        assert (before, Incident.objects.get().severity) == ("low", "critical")

    def test_does_not_page_for_one_failure_among_few(self, prometheus: Server) -> None:
        slo = look(measured_row(prometheus.url, total_query="few_total", bad_query="few_total * 0.03"), NOON)

        assert "5m/1h" not in active(slo)

    def test_goes_by_the_rules_of_the_slo(self, prometheus: Server) -> None:
        rule = {"severity": "warning", "shortWindow": "10m", "longWindow": "30m", "burnRate": 100}

        slo = look(burning(prometheus, burn_rate_rules=[rule]), NOON)

        assert active(slo) == {"10m/30m": "medium"}

    def test_looks_back_further_than_slices_are_kept(self, prometheus: Server) -> None:
        # 80 hours were measured: more than half of five days, less than half of nine
        within = {"severity": "low", "shortWindow": "10h", "longWindow": "120h", "burnRate": 1.5}
        beyond = {"severity": "low", "shortWindow": "18h", "longWindow": "216h", "burnRate": 1.5}

        slo = look(measured_row(prometheus.url, burn_rate_rules=[within, beyond]), NOON)

        assert active(slo) == {"10h/5d": "low"}
        assert slo.burn_rates["5d"] == pytest.approx(2, abs=0.001)

    def test_warns_of_a_rule_that_cannot_fire(self, prometheus: Server) -> None:
        rule = {"severity": "critical", "shortWindow": "5m", "longWindow": "1h", "burnRate": 14.4}

        slo = look(burning(prometheus, target="93", burn_rate_rules=[rule]), NOON)

        assert "can never fire" in slo.warnings[0]

    def test_tells_the_channels_of_the_slo(self, prometheus: Server) -> None:
        Channel.objects.create(name="docks", type="webhook", created_at=NOON, updated_at=NOON)

        look(burning(prometheus, notification_channels=["docks"]), NOON)

        assert Channel.objects.get().notifications.filter(event="slo_alert").exists()


class TestClearing:
    def test_needs_two_calm_evaluations_and_resolves_the_incident(self, prometheus: Server) -> None:
        slo = burning(prometheus, target="99")
        look(slo, NOON)

        for minute in range(20, 180, 10):
            look(slo, NOON + minute * MINUTE)

        assert "5m/1h" not in active(slo)
        assert "30m/6h" not in active(slo)

    def test_counts_calm_evaluations(self, prometheus: Server) -> None:
        slo = burning(prometheus)
        look(slo, NOON)

        look(slo, NOON + 30 * MINUTE)
        after_one = active(slo)
        look(slo, NOON + 31 * MINUTE)

        assert "5m/1h" in after_one
        assert "5m/1h" not in active(slo)

    def test_resolves_the_incident_with_the_last_alert(self, prometheus: Server) -> None:
        rule = {"severity": "critical", "shortWindow": "5m", "longWindow": "1h", "burnRate": 14.4}
        slo = burning(prometheus, burn_rate_rules=[rule])
        look(slo, NOON)

        look(slo, NOON + 30 * MINUTE)
        look(slo, NOON + 31 * MINUTE)

        assert Incident.objects.get().state == "Resolved"

    def test_is_not_done_by_silence(self, prometheus: Server) -> None:
        slo = burning(prometheus)
        look(slo, NOON)
        SLO.objects.update(total_query="never_total")

        for minute in range(1, 5):
            look(slo, NOON + minute * MINUTE)

        assert "5m/1h" in active(slo)
        assert Incident.objects.get().state != "Resolved"

    def test_is_done_by_switching_the_slo_off(self, prometheus: Server) -> None:
        slo = look(burning(prometheus), NOON)

        alerts.withdraw(slo=slo, at=NOON + MINUTE)

        assert active(slo) == {}
        assert Incident.objects.get().state == "Resolved"


class TestJoining:
    def test_takes_the_incident_that_burns_the_budget(self, prometheus: Server) -> None:
        cause = make_incident(resource_name="checkout", severity="medium")
        make_anomaly(incident=cause)
        correlate_as_stored(cause)

        look(burning(prometheus), NOON)

        cause.refresh_from_db()
        assert Incident.objects.count() == 1
        assert Anomaly.objects.filter(incident=cause, signal_type="slo_violation").exists()
        assert cause.severity == "critical"

    def test_does_not_hold_the_incident_open_when_the_service_is_well(self, prometheus: Server) -> None:
        cause = make_incident(resource_name="checkout")
        own = make_anomaly(incident=cause)
        correlate_as_stored(cause)
        slo = burning(prometheus)
        look(slo, NOON)
        Anomaly.objects.filter(pk=own.pk).update(cleared_at=NOON + 20 * MINUTE, cleared_by="source")

        look(slo, NOON + 30 * MINUTE)

        cause.refresh_from_db()
        assert active(slo)
        assert cause.state == "Resolved"


def correlate_as_stored(incident: Incident) -> None:
    """Give the incident the key that correlation computes for its resource."""
    key = correlation_key("", incident.resource_kind, incident.namespace, incident.resource_name)
    Incident.objects.filter(pk=incident.pk).update(correlation_key=key)


class TestExhaustion:
    def test_pages_once(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, page_on_budget_exhausted=True, burn_rate_rules=[NEVER])

        for minute in range(4):
            look(slo, NOON + minute * MINUTE)

        assert active(slo) == {"budget-exhausted": "critical"}
        assert Incident.objects.count() == 1

    def test_does_not_page_again_when_a_person_closed_it(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, page_on_budget_exhausted=True, burn_rate_rules=[NEVER])
        look(slo, NOON)
        lifecycle.resolve(incident=Incident.objects.get(), actor=SYSTEM, at=NOON + MINUTE, resolution="Known")

        look(slo, NOON + 2 * MINUTE)

        assert Incident.objects.count() == 1

    def test_is_silent_unless_wanted(self, prometheus: Server) -> None:
        look(measured_row(prometheus.url, burn_rate_rules=[NEVER]), NOON)

        assert not Incident.objects.exists()

    def test_is_over_when_the_budget_is_back(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, page_on_budget_exhausted=True, burn_rate_rules=[NEVER])
        look(slo, NOON)
        SLO.objects.update(target="99.5")

        look(slo, NOON + MINUTE)

        assert active(slo) == {}
        assert Incident.objects.get().state == "Resolved"


NEVER = {"severity": "low", "shortWindow": "5m", "longWindow": "1h", "burnRate": 999}


class TestSilence:
    def test_alerts_when_a_series_ends(self, prometheus: Server) -> None:
        slo = look(measured_row(prometheus.url, total_query="ended_total"), NOON)

        incident = Incident.objects.get()
        assert active(slo) == {"no-data": "medium"}
        assert (incident.resource, incident.severity) == ("SLO/checkout-availability", "medium")
        assert incident.started_at == NOON - 56 * MINUTE  # the last slice with two samples
        assert (slo.status, slo.status_reason, slo.current) == ("warning", "no data", None)

    def test_is_over_when_samples_come_again(self, prometheus: Server) -> None:
        slo = look(measured_row(prometheus.url, total_query="gap_total"), NOON - 150 * MINUTE)
        during = active(slo)

        look(slo, NOON - 100 * MINUTE)

        assert (during, active(slo)) == ({"no-data": "medium"}, {})
        assert Incident.objects.get().state == "Resolved"

    def test_is_not_that_nothing_happens(self, prometheus: Server) -> None:
        slo = look(measured_row(prometheus.url, total_query="idle_total", bad_query="idle_total"), NOON)

        assert (active(slo), slo.status_reason) == ({}, "no data")

    def test_gives_a_new_definition_time(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, total_query="never_total")

        early, late = (active(look(slo, NOON + minutes * MINUTE)) for minutes in (15, 17))

        assert (early, late) == ({}, {"no-data": "medium"})

    def test_is_told_once_beside_what_burns(self, prometheus: Server) -> None:
        slo = look(burning(prometheus), NOON)
        SLO.objects.update(total_query="never_total")
        Channel.objects.create(name="docks", type="webhook", created_at=NOON, updated_at=NOON)
        SLO.objects.update(notification_channels=["docks"])

        for minute in range(20, 24):
            look(slo, NOON + minute * MINUTE)

        assert active(slo).items() > {"no-data": "medium", "5m/1h": "critical"}.items()
        assert Incident.objects.count() == 1
        [told] = Channel.objects.get().notifications.filter(event="slo_alert")
        assert "nothing was measured of checkout since 2027-04-12T11:59:00Z" in told.body

    def test_is_told_of_a_question_that_cannot_be_answered(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, total_query="twice_total", query="twice_total", created_at=NOON)
        SLO.objects.update(total_query="", bad_query="")

        slo = look(slo, NOON + 17 * MINUTE)

        assert slo.status_reason == "query error: The query gives 2 series instead of one: wrap it in sum()"
        assert active(slo) == {"no-data": "medium"}

    def test_of_a_server_is_one_incident(self) -> None:
        slos = [measured_row("http://127.0.0.1:9", name=f"slo-{number}") for number in range(3)]

        for minutes in (0, 17, 30):
            evaluation.evaluate(slos=slos, at=NOON + minutes * MINUTE)

        assert Incident.objects.get().resource == "MeasurementSource/127.0.0.1:9"
        assert Anomaly.objects.count() == 3
        assert [active(slo) for slo in slos] == [{"no-data": "medium"}] * 3

    def test_ends_when_the_server_answers_again(self, prometheus: Server) -> None:
        slo = measured_row("http://127.0.0.1:9")
        look(slo, NOON + 17 * MINUTE)
        SLO.objects.update(prometheus_url=prometheus.url)

        look(slo, NOON + 30 * MINUTE)

        assert "no-data" not in active(slo)
        assert not Anomaly.objects.filter(condition="no_data", cleared_at=None).exists()

    def test_leaves_an_slo_alone_that_was_deleted_meanwhile(self) -> None:
        slo = measured_row("http://127.0.0.1:9")
        found = SLO.objects.get(pk=slo.pk)
        slo.delete()

        told = recording.postpone(
            [found], source="x", error="away", claim=uuid.uuid4(), due_at=NOON, at=NOON + 60 * MINUTE
        )

        assert told == []
        assert not Incident.objects.exists()


class TestOwnIncident:
    def test_is_no_downtime(self, prometheus: Server) -> None:
        look(burning(prometheus), NOON)
        by_incidents = slo_row(name="by-incidents")

        assert look(by_incidents, NOON + 5 * MINUTE).current == 100

    def test_is_told_apart_by_window(self) -> None:
        slo = slo_row()

        assert alerts.fingerprint(slo, "5m/1h") != alerts.fingerprint(slo, "30m/6h")
        assert correlation.MISSES == 3
