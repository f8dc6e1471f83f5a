from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from aiops import bulk
from incidents.models import Incident, TimelineEvent
from tests.conftest import NOON
from tests.factories import make_incident

pytestmark = pytest.mark.django_db

ODD = 'O\'Brien \\ "quoted" %s \u2028 naïve 日本 {}\n\tend'


def event(incident, **overrides):
    values = {"incident": incident, "at": NOON, "type": "Comment", "source": "api", "message": "hello", "details": {}}
    return TimelineEvent(**values | overrides)


class TestCreate:
    def test_stores_every_value_as_the_orm_does(self):
        incident = make_incident()
        at = NOON + timedelta(microseconds=123_457)
        details = {"text": ODD, "nested": {"list": [1, 2.5, None, True]}, "": ""}

        bulk.create([event(incident, at=at, message=ODD, details=details)])
        event(incident, at=at, message=ODD, details=details).save()

        columns = ("incident", "at", "type", "source", "message", "severity", "details")
        ours, theirs = TimelineEvent.objects.filter(message=ODD).order_by("pk").values_list(*columns)
        assert ours == theirs == (incident.pk, at, "Comment", "api", ODD, "", details)

    def test_gives_each_row_its_own_key(self):
        incident = make_incident()

        rows = bulk.create(event(incident, message=f"number {number}") for number in range(30))

        stored = TimelineEvent.objects.in_bulk([row.pk for row in rows])
        assert [stored[row.pk].message for row in rows] == [f"number {number}" for number in range(30)]

    def test_gives_rows_that_can_be_saved_again(self):
        row = bulk.create([event(make_incident())])[0]

        row.message = "changed"
        row.save()

        assert TimelineEvent.objects.get(pk=row.pk).message == "changed"

    def test_keeps_the_constraints(self):
        first = make_incident()
        twin = make_incident(state="Resolved")
        twin.pk, twin.name = None, first.name

        with pytest.raises(IntegrityError), transaction.atomic():
            bulk.create([twin])

    def test_lets_a_row_that_is_there_already_stand_when_asked_to(self):
        first = make_incident()
        twin, fresh = make_incident(state="Resolved"), make_incident(state="Resolved")
        Incident.objects.filter(pk__in=[twin.pk, fresh.pk]).delete()
        twin.pk, twin.name, twin.description = None, first.name, "another"
        fresh.pk = None

        bulk.create([twin, fresh], ignore_conflicts=True)

        stored = dict(Incident.objects.values_list("name", "description"))
        assert stored == {first.name: first.description, fresh.name: fresh.description}

    def test_of_nothing_asks_nothing(self):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert bulk.create([]) == []

        assert not queries


class TestUpdate:
    def test_writes_the_named_fields_of_each_row_and_no_other(self):
        rows = [make_incident(), make_incident()]
        for number, row in enumerate(rows):
            row.risk_score, row.labels, row.snooze_until = number + 7, {"odd": ODD}, NOON
            row.description = "not written"

        with CaptureQueriesContext(connection) as queries:
            bulk.update(rows, ["risk_score", "labels", "snooze_until"])

        assert len(queries) == 1
        stored = Incident.objects.in_bulk([row.pk for row in rows])
        assert [stored[row.pk].risk_score for row in rows] == [7, 8]
        assert all(row.labels == {"odd": ODD} and row.snooze_until == NOON for row in stored.values())
        assert all(row.description == "checkout crashes" for row in stored.values())

    def test_leaves_the_other_rows_alone(self):
        mine, other = make_incident(), make_incident()
        mine.risk_score = 1

        bulk.update([mine], ["risk_score"])

        other.refresh_from_db()
        assert other.risk_score == 60
