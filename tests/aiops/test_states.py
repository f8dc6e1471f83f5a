import pytest

from aiops.errors import InvalidTransition, LostRace
from incidents.models import Incident, TimelineEvent
from tests.conftest import NOON
from tests.factories import make_incident
from tests.threads import at_once, postgresql_only


@pytest.mark.django_db
class TestTransition:
    def test_moves_and_raises_the_version(self) -> None:
        incident = make_incident(state="Detected")

        was = incident.move_to("Analyzing")

        incident.refresh_from_db()
        assert (was, incident.state, incident.version) == ("Detected", "Analyzing", 2)

    def test_refuses_an_unknown_move(self) -> None:
        with pytest.raises(InvalidTransition):
            make_incident(state="Resolved").move_to("Analyzing")

    def test_loses_against_a_write_in_between(self) -> None:
        stale = make_incident(state="Detected")
        Incident.objects.get(pk=stale.pk).move_to("Analyzing")

        with pytest.raises(LostRace):
            stale.move_to("Escalated")

    def test_stores_what_tells_of_it_with_the_change_or_not_at_all(self) -> None:
        incident, stale = make_incident(state="Detected"), make_incident(state="Detected")
        Incident.objects.get(pk=stale.pk).move_to("Analyzing")

        incident.move_to("Analyzing", beside=told_of(incident))
        with pytest.raises(LostRace):
            stale.move_to("Escalated", beside=told_of(stale))

        told = TimelineEvent.objects.filter(message="moved").values_list("incident", "at", "details")
        assert list(told) == [(incident.pk, NOON, {"a": [1]})]


def told_of(incident: Incident) -> TimelineEvent:
    return TimelineEvent(incident=incident, at=NOON, type="Comment", source="api", message="moved", details={"a": [1]})


@pytest.mark.django_db(transaction=True)
def test_of_ten_racing_callers_exactly_one_wins() -> None:
    postgresql_only()
    pk = make_incident(state="Detected").pk
    rows = [Incident.objects.get(pk=pk) for _ in range(10)]

    results = at_once(10, lambda number: rows[number].move_to("Analyzing"))

    assert sorted(type(result).__name__ for result in results) == ["LostRace"] * 9 + ["str"]
