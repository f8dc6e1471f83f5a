"""Ten workers see the same thing at once: on PostgreSQL, with real threads."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from incidents.models import Anomaly, Incident, TimelineEvent
from incidents.services import correlation, lifecycle
from tests.conftest import NOON
from tests.factories import make_incident
from tests.incidents.actors import PERSON
from tests.incidents.services.test_correlation import alert, sighting
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 10


@pytest.fixture(autouse=True)
def real_database() -> None:
    postgresql_only()


def outcomes(results: list[correlation.Receipt | Exception]) -> list[str]:
    receipts = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        receipts.extend(result.outcomes)
    return sorted(receipts)


class TestObserve:
    def test_ten_duplicates_of_one_alert_open_one_incident(self) -> None:
        results = at_once(WORKERS, lambda _: correlation.observe(observations=[alert()], at=NOON))

        assert outcomes(results) == ["duplicate"] * 9 + ["opened"]
        assert Anomaly.objects.count() == Incident.objects.count() == TimelineEvent.objects.count() == 1

    def test_ten_signals_of_one_workload_meet_in_one_incident(self) -> None:
        results = at_once(
            WORKERS,
            lambda number: correlation.observe(observations=[sighting(signal_type=f"signal_{number}")], at=NOON),
        )

        assert outcomes(results) == ["opened"] + ["updated"] * 9
        incident = Incident.objects.get()
        assert incident.risk_score == 100
        assert incident.timeline_count == TimelineEvent.objects.count() == WORKERS

    def test_numbers_have_no_gaps_and_no_duplicates(self) -> None:
        at_once(WORKERS, lambda number: correlation.observe(observations=[alert(f"workload-{number}")], at=NOON))

        names = sorted(Incident.objects.values_list("name", flat=True))
        assert names == [f"INC-20270412-{number:03d}" for number in range(1, WORKERS + 1)]

    def test_workers_on_both_sides_of_midnight_open_one_incident(self) -> None:
        midnight = NOON + timedelta(hours=12)
        results = at_once(
            WORKERS,
            lambda number: correlation.observe(
                observations=[alert()], at=midnight + timedelta(seconds=number - WORKERS / 2)
            ),
        )

        assert outcomes(results) == ["duplicate"] * 9 + ["opened"]

    def test_beginning_and_end_of_many_never_deadlock(self) -> None:
        names = [f"workload-{number}" for number in range(20)]
        correlation.observe(observations=[alert(name) for name in names], at=NOON)

        def work(number: int) -> correlation.Receipt:
            order = names if number % 2 else names[::-1]
            ends = [alert(name, firing=False) for name in order]
            news = [sighting(name) for name in order]
            return correlation.observe(observations=news if number % 3 else ends, at=NOON)

        outcomes(at_once(WORKERS, work))

        assert Incident.objects.filter(state="Resolved").count() in {0, len(names)}

    def test_an_alert_that_began_anew_waits_for_nobody_who_changes_it(self) -> None:
        correlation.observe(observations=[alert()], at=NOON)

        def begin_anew(_: int) -> correlation.Receipt:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
            return correlation.observe(observations=[alert(event_time=NOON)], at=NOON)

        with transaction.atomic():
            Anomaly.objects.select_for_update().get()
            results = at_once(1, begin_anew)

        assert outcomes(results) == ["updated"]

    def test_joining_and_resolving_at_once_loses_no_signal(self) -> None:
        correlation.observe(observations=[alert()], at=NOON)
        incident = Incident.objects.get()

        def work(number: int) -> object:
            if number:
                return correlation.observe(observations=[sighting()], at=NOON)
            return lifecycle.resolve(incident=incident, actor=PERSON, at=NOON)

        resolved, joined = at_once(2, work)

        assert isinstance(joined, correlation.Receipt)
        open_ones = Anomaly.objects.filter(cleared_at=None, incident__state="Resolved")
        assert not open_ones.exists()
        assert isinstance(resolved, Incident | Exception)


class TestLifecycle:
    def test_of_two_acknowledgements_one_wins(self) -> None:
        incident = make_incident()

        def work(_: int) -> Incident:
            return lifecycle.acknowledge(incident=Incident.objects.get(pk=incident.pk), actor=PERSON, at=NOON)

        results = at_once(2, work)

        assert [isinstance(result, Incident) for result in results].count(True) == 1
        assert TimelineEvent.objects.filter(type="Acknowledgement").count() == 1

    def test_resolve_and_snooze_leave_a_legal_row(self) -> None:
        incident = make_incident()

        def work(number: int) -> Incident:
            row = Incident.objects.get(pk=incident.pk)
            if number:
                return lifecycle.resolve(incident=row, actor=PERSON, at=NOON)
            return lifecycle.snooze(incident=row, duration=timedelta(hours=1), reason="deploy", actor=PERSON, at=NOON)

        results = at_once(2, work)

        incident.refresh_from_db()
        assert any(isinstance(result, Incident) for result in results)
        assert incident.timeline_count == TimelineEvent.objects.filter(incident=incident).count()
