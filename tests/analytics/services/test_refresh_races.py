"""Workers that make roll-ups while others change the rows: nothing is lost, nothing counted twice."""

from datetime import timedelta
from typing import Any

import pytest

from analytics.families import INCIDENTS
from analytics.models import OutdatedHour
from analytics.periods import Span, seconds_of
from analytics.services import rollups
from analytics.services.reading import Reader
from incidents.models import Incident
from tests.conftest import NOON
from tests.factories import make_incident
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS, DAYS, WRITERS = 6, 3, 2


def _span() -> Span:
    return Span(seconds_of(NOON - timedelta(days=30)), seconds_of(NOON + timedelta(days=1)))


def test_two_workers_and_two_writers_leave_roll_ups_that_are_right() -> None:
    postgresql_only()
    rows = [make_incident(detected_at=NOON - timedelta(days=number % DAYS)).pk for number in range(WRITERS * ROUNDS)]

    def work(number: int) -> None:
        for turn in range(ROUNDS):
            if number < WRITERS:
                pk = rows[number * ROUNDS + turn]
                Incident.objects.filter(pk=pk).update(state="Resolved", resolved_at=NOON + timedelta(hours=1))
            else:
                rollups.refresh()

    failures = [one for one in at_once(2 * WRITERS, work) if one is not None]
    rollups.refresh()

    assert failures == []
    assert not OutdatedHour.objects.exists()
    assert list(rollups.differences()) == []
    found = Reader(INCIDENTS, _span()).total("total", "resolved")
    assert found == {"total": len(rows), "resolved": len(rows)}


def test_a_rebuild_beside_a_refresh_loses_no_change() -> None:
    postgresql_only()
    row = make_incident(detected_at=NOON)

    def work(number: int) -> None:
        if number == 0:
            rollups.rebuild()
        elif number == 1:
            rollups.refresh()
        else:
            Incident.objects.filter(pk=row.pk).update(severity="critical")

    failures = [one for one in at_once(3, work) if one is not None]
    rollups.refresh()

    assert failures == []
    assert list(rollups.differences()) == []
    assert Reader(INCIDENTS, _span()).sums("total", by=("severity",)) == {("critical",): {"total": 1}}


def test_a_change_between_two_statements_of_a_refresh_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    postgresql_only()
    row = make_incident(detected_at=NOON, severity="high", state="Resolved", resolved_at=NOON + timedelta(hours=1))
    histograms_per_hour = Reader.histograms_per_hour

    def change_first(self: Reader, *args: Any) -> Any:
        Incident.objects.filter(pk=row.pk, severity="high").update(severity="critical")
        return histograms_per_hour(self, *args)

    monkeypatch.setattr(Reader, "histograms_per_hour", change_first)
    rollups.refresh(limit=1)
    assert OutdatedHour.objects.exists()
    rollups.refresh()

    assert list(rollups.differences()) == []
    assert Reader(INCIDENTS, _span()).sums("total", by=("severity",)) == {("critical",): {"total": 1}}
