from datetime import timedelta

import pytest

from aiops.audit.actor import SYSTEM, Actor, ActorKind
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, LostRace
from aiops.notifications.models import Notification
from federation.models import MaintenanceWindow
from incidents.models import EscalationPolicy, EscalationRun, Incident
from incidents.services import lifecycle
from slos.models import ClockState, IncidentSLA, SLAClock
from slos.services import clocks
from tests.aiops.notifications.makers import make_channel
from tests.conftest import NOON
from tests.factories import make_cluster, make_incident
from tests.threads import at_once, postgresql_only

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OLGA = Actor(kind=ActorKind.USER, name="olga@example.com", role="operator")
pytestmark = pytest.mark.django_db


def make_sla(**columns):
    facts = {"name": f"sla-{IncidentSLA.objects.count()}", "severity": "high", "response_seconds": 3600}
    before = NOON - timedelta(days=1)
    return IncidentSLA.objects.create(**{**facts, "created_at": before, "updated_at": before, **columns})


def incident_at_noon(**columns):
    return make_incident(**{"severity": "high", "started_at": NOON, "detected_at": NOON, **columns})


def clock(kind="response"):
    return SLAClock.objects.get(kind=kind)


class TestFitting:
    def test_prefers_the_most_specific_one(self):
        incident = incident_at_noon(cluster=make_cluster(environment="production"), labels={"service": "checkout"})
        make_sla()
        make_sla(environment="production")
        in_namespace = make_sla(incident_namespace=incident.namespace)

        assert clocks.fitting(incident) == in_namespace
        assert clocks.fitting(incident) != make_sla(service="cart")
        assert clocks.fitting(incident) == in_namespace
        assert make_sla(service="checkout") == clocks.fitting(incident)

    def test_never_takes_one_of_another_severity_or_namespace(self):
        make_sla(severity="low")
        make_sla(incident_namespace="elsewhere")
        make_sla(enabled=False)

        assert clocks.fitting(incident_at_noon()) is None


class TestStart:
    def test_stores_when_each_promise_is_due(self):
        make_sla(mitigation_seconds=7200, resolution_seconds=14_400)

        clocks.start(incident=incident_at_noon(), at=NOON)

        due = {row.kind: (row.warn_at, row.due_at) for row in SLAClock.objects.all()}
        assert due == {
            "response": (NOON + 45 * MINUTE, NOON + HOUR),
            "mitigation": (NOON + 90 * MINUTE, NOON + 2 * HOUR),
            "resolution": (NOON + 3 * HOUR, NOON + 4 * HOUR),
        }

    def test_counts_from_the_begin_of_the_condition(self):
        make_sla()

        clocks.start(incident=incident_at_noon(started_at=NOON - 10 * MINUTE), at=NOON)

        assert clock().due_at == NOON + 50 * MINUTE

    def test_counts_business_hours_only_where_that_is_promised(self):
        make_sla(business_hours_only=True, business_hours={"startHour": 8, "endHour": 13}, response_seconds=7200)

        clocks.start(incident=incident_at_noon(), at=NOON)

        assert clock().due_at == NOON + timedelta(days=1) - 3 * HOUR

    def test_does_so_once(self):
        make_sla()
        incident = incident_at_noon()

        clocks.start(incident=incident, at=NOON)
        clocks.start(incident=incident, at=NOON + HOUR)

        assert SLAClock.objects.count() == 1

    def test_leaves_experiments_alone(self):
        make_sla()

        assert clocks.start(incident=incident_at_noon(chaos_experiment="kill-a-pod"), at=NOON) == []


class TestAdvanceDue:
    def test_starts_what_no_message_started(self):
        make_sla()
        incident_at_noon()

        clocks.advance_due(at=NOON)

        assert clock().state == ClockState.RUNNING

    def test_leaves_incidents_alone_that_are_older_than_the_sla(self):
        make_sla(created_at=NOON + HOUR)
        incident_at_noon()

        assert clocks.advance_due(at=NOON + 2 * HOUR) == 0

    def test_warns_before_the_breach(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)

        clocks.advance_due(at=NOON + 44 * MINUTE)
        assert clock().state == ClockState.RUNNING
        clocks.advance_due(at=NOON + 45 * MINUTE)

        assert (clock().state, clock().warned_at) == (ClockState.AT_RISK, NOON + 45 * MINUTE)
        assert "at risk" in incident.timeline.get(source="sla-clock").message
        assert not AuditEvent.objects.filter(event_type="sla_breach").exists()

    def test_tells_of_the_breach_on_time_and_again(self):
        make_sla()
        make_channel("pager")
        IncidentSLA.objects.update(notification_channels=["pager"])
        clocks.start(incident=incident_at_noon(), at=NOON)

        for minutes in (45, 60, 61, 120, 130):
            clocks.advance_due(at=NOON + minutes * MINUTE)

        assert (clock().state, clock().breached_at) == (ClockState.BREACHED, NOON + HOUR)
        assert AuditEvent.objects.filter(event_type="sla_breach").count() == 2
        events = list(Notification.objects.order_by("created_at", "pk").values_list("event", flat=True))
        assert events == ["sla_at_risk", "sla_breached", "sla_breached"]

    def test_asks_the_escalation_policy_of_the_sla(self):
        make_channel("pager")
        policy = EscalationPolicy.objects.create(
            name="on-breach",
            severities=["low"],
            levels=[{"name": "lead", "notifyChannels": ["pager"]}],
            created_at=NOON,
            updated_at=NOON,
        )
        make_sla(escalation_policy="on-breach")
        clocks.start(incident=incident_at_noon(), at=NOON)

        clocks.advance_due(at=NOON + HOUR)

        assert EscalationRun.objects.get().policy == policy

    def test_looks_late_and_still_judges_by_when_it_happened(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        lifecycle.acknowledge(incident=incident, actor=OLGA, at=NOON + 10 * MINUTE)

        clocks.advance_due(at=NOON + 5 * HOUR)

        assert (clock().state, clock().taken_seconds) == (ClockState.MET, 600)
        assert not AuditEvent.objects.filter(event_type="sla_breach").exists()


class TestSettle:
    def test_stops_the_response_at_an_assignment(self):
        make_sla(resolution_seconds=7200)
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        lifecycle.assign(incident=incident, assigned_to="team-web", actor=OLGA, at=NOON + MINUTE)

        clocks.settle(incident=incident, at=NOON + 2 * MINUTE)

        assert clock().state == ClockState.MET
        assert clock("resolution").state == ClockState.RUNNING

    def test_an_analysis_is_no_response(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        lifecycle.begin_analysis(incident=incident, at=NOON)

        assert clocks.settle(incident=incident, at=NOON + MINUTE) == 0

    def test_stops_all_clocks_at_the_resolution(self):
        make_sla(mitigation_seconds=60, resolution_seconds=7200)
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        lifecycle.resolve(incident=incident, actor=OLGA, at=NOON + HOUR)

        clocks.settle(incident=incident, at=NOON + HOUR)

        states = dict(SLAClock.objects.values_list("kind", "state"))
        assert states == {"response": "met", "mitigation": "missed", "resolution": "met"}

    def test_counts_another_severity_from_the_original_start(self):
        make_sla()
        make_sla(severity="critical", response_seconds=900)
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        incident.change(severity="critical", updated_at=NOON)

        clocks.advance_due(at=NOON + 5 * MINUTE)

        assert (clock().severity, clock().due_at) == ("critical", NOON + 15 * MINUTE)

    def test_drops_the_clocks_of_a_duplicate(self):
        make_sla()
        incident, into = incident_at_noon(), incident_at_noon(resource_name="other")
        clocks.start(incident=incident, at=NOON)
        lifecycle.merge(incident=incident, into=into, reason="same thing", actor=OLGA, at=NOON)
        incident.refresh_from_db()

        clocks.settle(incident=incident, at=NOON)

        assert clock().state == ClockState.CANCELLED


class TestPause:
    def test_moves_what_is_due(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)

        clocks.pause(incident=incident, reason="Waiting for the vendor", actor=OLGA, at=NOON + 30 * MINUTE)
        assert (clock().state, clock().due_at) == (ClockState.PAUSED, None)
        clocks.advance_due(at=NOON + 4 * HOUR)
        clocks.resume(incident=incident, actor=OLGA, at=NOON + 5 * HOUR)

        assert (clock().state, clock().due_at) == (ClockState.RUNNING, NOON + 5 * HOUR + 30 * MINUTE)
        assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"incident.pause-sla", "incident.resume-sla"}

    def test_is_refused_twice(self):
        incident = incident_at_noon()
        clocks.pause(incident=incident, reason="r", actor=OLGA, at=NOON)

        with pytest.raises(Conflict):
            clocks.pause(incident=incident, reason="r", actor=OLGA, at=NOON)

    def test_cannot_end_before_it_began(self):
        with pytest.raises(Conflict):
            clocks.resume(incident=incident_at_noon(), actor=SYSTEM, at=NOON)

    def test_does_not_count_until_an_answer_comes(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        clocks.pause(incident=incident, reason="r", actor=OLGA, at=NOON + 10 * MINUTE)
        incident.refresh_from_db()
        lifecycle.acknowledge(incident=incident, actor=OLGA, at=NOON + 3 * HOUR)

        clocks.settle(incident=incident, at=NOON + 3 * HOUR)

        assert (clock().state, clock().taken_seconds) == (ClockState.MET, 600)

    def test_leaves_a_broken_promise_broken(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        clocks.advance_due(at=NOON + 2 * HOUR)

        clocks.pause(incident=incident, reason="r", actor=OLGA, at=NOON + 2 * HOUR)
        clocks.advance_due(at=NOON + 9 * HOUR)

        assert (clock().state, clock().due_at, clock().next_at) == (ClockState.BREACHED, NOON + HOUR, None)
        clocks.resume(incident=incident, actor=OLGA, at=NOON + 9 * HOUR)
        assert (clock().state, clock().due_at) == (ClockState.BREACHED, NOON + HOUR)

    def test_ends_with_the_incident(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        clocks.pause(incident=incident, reason="r", actor=OLGA, at=NOON + MINUTE)
        incident.refresh_from_db()
        lifecycle.resolve(incident=incident, actor=OLGA, at=NOON + HOUR)

        clocks.settle(incident=incident, at=NOON + 2 * HOUR)

        assert incident.sla_pauses.get().ended_at == NOON + HOUR


class TestMaintenance:
    @staticmethod
    def plan(**columns):
        facts = {"name": "w", "starts_at": NOON, "ends_at": NOON + 2 * HOUR, "created_at": NOON, "updated_at": NOON}
        MaintenanceWindow.objects.create(**facts | columns)

    def test_is_not_counted(self):
        make_sla()
        clocks.start(incident=incident_at_noon(), at=NOON)
        self.plan(starts_at=NOON + 30 * MINUTE)

        clocks.advance_due(at=NOON + 2 * HOUR)

        assert (clock().state, clock().due_at) == (ClockState.RUNNING, NOON + 2 * HOUR + 30 * MINUTE)
        clocks.advance_due(at=NOON + 2 * HOUR + 15 * MINUTE)
        assert clock().state == ClockState.AT_RISK
        clocks.advance_due(at=NOON + 2 * HOUR + 30 * MINUTE)
        assert clock().state == ClockState.BREACHED

    def test_of_something_else_is_counted(self):
        make_sla()
        clocks.start(incident=incident_at_noon(), at=NOON)
        self.plan(namespaces=["elsewhere"])

        clocks.advance_due(at=NOON + HOUR)

        assert clock().state == ClockState.BREACHED

    def test_is_taken_off_when_the_answer_comes(self):
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)
        self.plan(starts_at=NOON + 30 * MINUTE)
        incident.refresh_from_db()
        lifecycle.acknowledge(incident=incident, actor=OLGA, at=NOON + 2 * HOUR + 20 * MINUTE)

        clocks.settle(incident=incident, at=NOON + 3 * HOUR)

        assert (clock().state, clock().taken_seconds) == (ClockState.MET, 50 * 60)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """Several workers look at the same clocks at once."""

    def test_one_of_many_looks_warns_and_tells_of_the_breach(self):
        postgresql_only()
        make_channel("pager")
        make_sla(resolution_seconds=3600, notification_channels=["pager"])
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)

        for minute, told in ((45, "sla_at_risk"), (60, "sla_breached")):
            at = NOON + minute * MINUTE
            looked = at_once(6, lambda _: clocks.advance_due(at=at))  # noqa: B023

            assert not [one for one in looked if isinstance(one, Exception)]
            assert Notification.objects.filter(event=told).count() == 2  # response and resolution
        assert incident.timeline.filter(source="sla-clock").count() == 4
        assert AuditEvent.objects.filter(action="incident.sla", event_type="sla_breach").count() == 2

    def test_one_of_many_starts_the_clocks(self):
        postgresql_only()
        make_sla(resolution_seconds=3600)
        incident = incident_at_noon()

        results = at_once(6, lambda _: clocks.start(incident=Incident.objects.get(pk=incident.pk), at=NOON))

        assert not [one for one in results if isinstance(one, Exception)]
        assert incident.sla_clocks.count() == 2

    def test_an_answer_at_the_last_moment_is_in_time_whoever_is_first(self):
        postgresql_only()
        make_sla()
        incident = incident_at_noon()
        clocks.start(incident=incident, at=NOON)

        def work(number):
            if number % 2:
                return clocks.advance_due(at=NOON + HOUR)
            while True:  # as the API does
                row = Incident.objects.get(pk=incident.pk)
                try:
                    return lifecycle.acknowledge(incident=row, actor=OLGA, at=NOON + 59 * MINUTE)
                except LostRace:
                    continue

        looked, answered = at_once(2, work)[::-1]
        assert not isinstance(looked, Exception)
        assert not isinstance(answered, Exception)
        clocks.settle(incident=Incident.objects.get(pk=incident.pk), at=NOON + HOUR)

        assert clock().state == ClockState.MET

    def test_one_of_many_pauses(self):
        postgresql_only()
        incident = incident_at_noon()

        results = at_once(4, lambda _: clocks.pause(incident=incident, reason="r", actor=OLGA, at=NOON))

        assert sum(isinstance(one, Conflict) for one in results) == 3
        assert incident.sla_pauses.count() == 1


class TestCompliance:
    def test_counts_what_fell_due_in_the_period(self):
        make_sla()
        for number, answered in enumerate((10, 30, None)):
            incident = incident_at_noon(resource_name=f"web-{number}")
            clocks.start(incident=incident, at=NOON)
            if answered:
                lifecycle.acknowledge(incident=incident, actor=OLGA, at=NOON + answered * MINUTE)
                clocks.settle(incident=incident, at=NOON + HOUR)
        clocks.advance_due(at=NOON + HOUR)

        found = clocks.compliance(kind="response", severity="high", since=NOON, until=NOON + HOUR)

        assert (found.met, found.breached, found.percent) == (2, 1, 66.7)
        assert (found.p50, found.p95) == (1800, 1800)

    def test_is_unknown_when_nothing_fell_due(self):
        assert clocks.compliance(kind="response", severity="high", since=NOON, until=NOON + HOUR).percent is None
