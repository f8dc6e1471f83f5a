from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from aiops.tallies import reading, services, triggers
from aiops.tallies.models import Change, Hour, Tally
from incidents.models import Incident
from tests.conftest import NOON
from tests.factories import make_incident
from tests.threads import at_once, postgresql_only

INCIDENT = "incidents.Incident"


def count(**where: str) -> int:
    return reading.count(INCIDENT, {name: [value] for name, value in where.items()})


@pytest.mark.django_db
class TestCount:
    def test_follows_every_kind_of_change(self) -> None:
        for severity in ("low", "low", "high"):
            make_incident(severity=severity)
        assert (count(), count(severity="low"), count(severity="low", state="Resolved")) == (3, 2, 0)

        Incident.objects.filter(severity="low").update(state="Resolved")
        assert (count(severity="low", state="Resolved"), count(state="Detected")) == (2, 1)

        Incident.objects.filter(severity="high").delete()
        assert (count(), count(severity="high")) == (2, 0)

    def test_is_the_same_after_folding(self) -> None:
        for number in range(5):
            make_incident(namespace=f"n{number % 2}", detected_at=NOON - timedelta(hours=number))
        stamp = reading.stamp_of([INCIDENT])
        hours = reading.hours_of(INCIDENT)
        services.fold()
        make_incident(namespace="n0")

        folded = services.fold()

        assert folded > 0
        assert not Change.objects.exists()
        assert (count(), count(namespace="n0"), count(namespace="n1")) == (6, 4, 2)
        assert reading.stamp_of([INCIDENT]) != stamp
        assert sum(hour.rows for hour in Hour.objects.filter(source=INCIDENT)) == 6
        assert hours.sums == [1, 2, 3, 4, 5]

    def test_counts_anew_where_triggers_were_missing(self) -> None:
        make_incident()
        services.fold()
        triggers.remove("default")
        make_incident()
        assert count() == 1
        stamp = reading.stamp_of([INCIDENT])

        triggers.install("default")

        assert count() == 2
        assert reading.stamp_of([INCIDENT]) != stamp

    def test_takes_several_values(self) -> None:
        for state in ("Detected", "Resolved", "Failed"):
            make_incident(state=state)

        assert reading.count(INCIDENT, {"state": ["Detected", "Failed"]}) == 2


@pytest.mark.django_db
class TestStamp:
    def test_differs_after_every_change_even_of_other_columns(self) -> None:
        seen = {reading.stamp_of([INCIDENT])}
        incident = make_incident()
        seen.add(reading.stamp_of([INCIDENT]))
        Incident.objects.update(assigned_to="ines")
        seen.add(reading.stamp_of([INCIDENT]))
        services.fold()
        assert reading.stamp_of([INCIDENT]) in seen
        incident.delete()
        seen.add(reading.stamp_of([INCIDENT]))

        assert len(seen) == 4

    def test_stays_when_nothing_was_touched(self) -> None:
        make_incident()
        stamp = reading.stamp_of([INCIDENT])

        Incident.objects.filter(name="none").update(assigned_to="ines")

        assert reading.stamp_of([INCIDENT]) == stamp


@pytest.mark.django_db
class TestHours:
    def test_locate_each_row(self) -> None:
        for minutes in (0, 30, 90, 91, 400):
            make_incident(detected_at=NOON - timedelta(minutes=minutes))
        hours = reading.hours_of(INCIDENT)

        places = [hours.locate(offset) for offset in range(6)]

        newest = Incident.objects.order_by("-detected_at")
        for offset, place in enumerate(places[:5]):
            assert place is not None
            end, inside = place
            assert newest.filter(detected_at__lt=end)[inside] == newest[offset]
        assert places[5] is None


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_writers_and_folders_lose_nothing(self) -> None:
        postgresql_only()

        def work(number: int) -> Any:
            for turn in range(6):
                if number % 4 == 0:
                    services.fold()
                    continue
                with transaction.atomic():
                    make_incident(name=f"INC-{number}-{turn}", severity="low" if turn % 2 else "high")
                    if turn == 5:
                        Incident.objects.filter(name__startswith=f"INC-{number}-").update(state="Resolved")
            return None

        assert at_once(8, work) == [None] * 8
        assert (count(), count(state="Resolved")) == (36, 36)
        services.fold()
        assert (count(), count(state="Resolved"), count(severity="low")) == (36, 36, 18)
        assert sum(row.rows for row in Tally.objects.filter(source=INCIDENT)) == 36

    def test_a_change_that_is_taken_back_leaves_no_trace(self) -> None:
        make_incident()
        stamp = reading.stamp_of([INCIDENT])

        with pytest.raises(ZeroDivisionError), transaction.atomic():
            make_incident()
            assert reading.stamp_of([INCIDENT]) != stamp
            raise ZeroDivisionError

        assert reading.stamp_of([INCIDENT]) == stamp
        assert count() == 1
        assert connection.in_atomic_block is False
