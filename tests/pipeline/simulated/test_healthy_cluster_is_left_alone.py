import pytest

pytestmark = pytest.mark.journey


def test_nothing_is_found_and_nothing_is_changed(begin):
    journey = begin("healthy")

    journey.looked(5)

    assert journey.incidents() == []
    assert {method for method, _, _ in journey.simulated.requests} == {"GET"}
