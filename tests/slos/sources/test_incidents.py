from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.models import Incident
from slos.models import SLO
from slos.services import attribution, evaluation
from slos.sources import incidents
from tests.conftest import NOON
from tests.factories import make_anomaly, make_cluster, make_incident
from tests.slos.rows import slo_row

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def down(start: datetime, minutes: float | None, **overrides: Any) -> Incident:
    """An incident of the service, `minutes` long or still open."""
    ended: dict[str, Any] = {}
    if minutes is not None:
        ended = {"state": "Resolved", "resolved_at": start + minutes * MINUTE}
    return make_incident(
        **{"resource_name": "checkout", "started_at": start, "detected_at": start, "updated_at": start}
        | ended
        | overrides
    )


def look(slo: SLO, at: datetime = NOON) -> SLO:
    (found,) = evaluation.evaluate(slos=[slo], at=at)
    return found


@pytest.mark.django_db
class TestDowntime:
    def test_is_the_worked_example(self) -> None:
        down(NOON - 10 * DAY, 21.6)

        slo = look(slo_row())

        assert slo.current == pytest.approx(99.95)
        assert slo.budget_consumed == pytest.approx(21.6)
        assert slo.budget_remaining == pytest.approx(21.6)
        assert slo.status == "healthy"

    def test_is_none_without_incidents(self) -> None:
        slo = look(slo_row())

        assert (slo.current, slo.budget_consumed) == (100, 0)

    def test_counts_overlapping_incidents_once(self) -> None:
        down(NOON - DAY, 10)
        down(NOON - DAY + 5 * MINUTE, 10, labels={"service": "checkout"}, resource_name="other")

        assert look(slo_row()).budget_consumed == pytest.approx(15)

    def test_lasts_until_now_while_it_is_open(self) -> None:
        down(NOON - 30 * MINUTE, None)

        assert look(slo_row()).budget_consumed == pytest.approx(30)

    @pytest.mark.parametrize(
        "overrides",
        [
            {"signal_type": "slo_violation"},
            {"chaos_experiment": "pod-kill"},
            {"namespace": "other"},
            {"resource_name": "cart"},
        ],
    )
    def test_leaves_out_what_is_not_the_service(self, overrides: dict[str, str]) -> None:
        down(NOON - DAY, 10, **overrides)

        assert look(slo_row()).budget_consumed == 0

    def test_leaves_out_other_clusters(self) -> None:
        down(NOON - DAY, 10, cluster=make_cluster())

        assert look(slo_row(cluster=make_cluster())).budget_consumed == 0

    def test_takes_only_what_lies_in_the_window(self) -> None:
        down(NOON - 31 * DAY, 24 * 60 + 60)

        assert look(slo_row(target="99")).budget_consumed == pytest.approx(60)

    def test_does_not_count_an_alert_about_itself(self) -> None:
        incident = down(NOON - 60 * MINUTE, None)
        make_anomaly(incident=incident, cleared_at=NOON - 40 * MINUTE, cleared_by="source")
        make_anomaly(incident=incident, signal_type="slo_violation")

        assert look(slo_row()).budget_consumed == pytest.approx(20)


@pytest.mark.django_db
class TestRevision:
    def test_learns_that_it_began_earlier(self) -> None:
        incident = down(NOON - 10 * MINUTE, None)
        slo = look(slo_row())
        Incident.objects.filter(pk=incident.pk).update(started_at=NOON - 40 * MINUTE, updated_at=NOON + MINUTE)

        assert look(slo, NOON + 2 * MINUTE).budget_consumed == pytest.approx(42)

    def test_learns_that_it_was_an_experiment(self) -> None:
        incident = down(NOON - 5 * DAY, 10)
        slo = look(slo_row())
        Incident.objects.filter(pk=incident.pk).update(chaos_experiment="pod-kill", updated_at=NOON + MINUTE)

        assert look(slo, NOON + 2 * MINUTE).budget_consumed == 0

    def test_then_forgets_what_it_burned(self) -> None:
        incident = down(NOON - 5 * DAY, 10)
        slo = look(slo_row())
        Incident.objects.filter(pk=incident.pk).update(chaos_experiment="pod-kill", updated_at=NOON + MINUTE)

        look(slo, NOON + 2 * MINUTE)

        assert not slo.attributions.exists()

    def test_asks_for_little_when_nothing_was_revised(self) -> None:
        down(NOON - 5 * DAY, 10)
        down(NOON - 40 * DAY, 10)
        slo = look(slo_row())

        question = evaluation.ask_for(slo, NOON + MINUTE)

        assert not question.older


@pytest.mark.django_db
class TestAttribution:
    def test_says_what_each_incident_burned(self) -> None:
        long, short = down(NOON - 5 * DAY, 10), down(NOON - DAY, 5)

        slo = look(slo_row())

        assert attribution.of_slo(slo=slo, since=NOON - 30 * DAY) == [
            {"incident": long.name, "minutes": pytest.approx(10), "share": pytest.approx(10 / 43.2, abs=1e-6)},
            {"incident": short.name, "minutes": pytest.approx(5), "share": pytest.approx(5 / 43.2, abs=1e-6)},
        ]
        assert attribution.shown(attribution.burned(short.pk)) == [
            {"slo": slo.name, "namespace": "shop", "minutes": 5.0, "percent": pytest.approx(5 / 0.432, abs=1e-4)}
        ]

    def test_shares_what_overlaps(self) -> None:
        down(NOON - DAY, 10)
        down(NOON - DAY, 10, resource_name="other", labels={"service": "checkout"})

        slo = look(slo_row())

        assert [row.minutes for row in slo.attributions.all()] == [pytest.approx(5), pytest.approx(5)]

    def test_is_the_same_after_a_second_look(self) -> None:
        down(NOON - DAY, 10)
        slo = look(slo_row())
        look(slo, NOON + MINUTE)

        assert sum(row.minutes for row in slo.attributions.all()) == pytest.approx(10)


class TestUnion:
    def test_merges(self) -> None:
        assert incidents.union([(5, 7), (0, 3), (2, 4), (9, 9)]) == [(0, 4), (5, 7)]

    @given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50))))
    def test_covers_what_its_parts_cover(self, pairs: list[tuple[int, int]]) -> None:
        covered = {at for start, end in pairs for at in range(start, end)}

        assert sum(end - start for start, end in incidents.union(pairs)) == len(covered)
