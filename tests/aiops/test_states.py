import pytest

from aiops.errors import InvalidTransition, LostRace
from incidents.models import Incident
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


@pytest.mark.django_db(transaction=True)
def test_of_ten_racing_callers_exactly_one_wins() -> None:
    postgresql_only()
    pk = make_incident(state="Detected").pk
    rows = [Incident.objects.get(pk=pk) for _ in range(10)]

    results = at_once(10, lambda number: rows[number].move_to("Analyzing"))

    assert sorted(type(result).__name__ for result in results) == ["LostRace"] * 9 + ["str"]
