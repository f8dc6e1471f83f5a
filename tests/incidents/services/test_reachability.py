from datetime import timedelta
from typing import Any

import pytest

from federation.models import Cluster
from incidents.models import Incident
from incidents.services import reachability
from incidents.states import ACTIVE
from tests.conftest import NOON
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db
LOST = {
    "health": "Unreachable", "health_since": NOON, "check_error": "timed out", "check_error_class": "timeout",
    "last_heartbeat_at": NOON - timedelta(minutes=2), "check_failures": 3, "phase": "Disconnected",
}  # fmt: skip
BACK = {"health": "Connected", "phase": "Connected", "check_failures": 0}


@pytest.fixture
def east() -> Cluster:
    return make_cluster(name="east", **LOST)


def watch(minutes: int = 0) -> int:
    return reachability.watch(at=NOON + timedelta(minutes=minutes))


def incident() -> Any:
    return Incident.objects.get()


class TestWatch:
    def test_opens_one_incident_for_the_cluster(self, east):
        assert [watch(), watch(), watch(1)] == [1, 0, 0]
        assert (incident().resource, incident().severity, incident().cluster) == ("Cluster/east", "high", east)
        assert "timed out" in incident().description

    def test_closes_it_when_the_cluster_answers(self, east):
        watch()
        Cluster.objects.update(**BACK)

        assert [watch(1), watch(2)] == [1, 0]
        assert incident().state == "Resolved"

    @pytest.mark.parametrize("how", ["disabled", "unregistered"])
    def test_closes_it_when_nobody_watches_any_more(self, east, how):
        watch()
        if how == "disabled":
            Cluster.objects.update(enabled=False)
        else:
            Cluster.objects.all().delete()

        watch(1)

        assert incident().state == "Resolved"

    def test_what_a_person_resolved_comes_back_with_the_next_outage_only(self, east):
        watch()
        Incident.objects.update(state="Resolved", resolved_at=NOON)
        again = watch(1)
        Cluster.objects.update(health_since=NOON + timedelta(hours=2))

        assert (again, watch(121)) == (0, 1)

    def test_leaves_alone_what_was_never_reached_or_is_not_given_up_yet(self):
        make_cluster(**LOST | {"last_heartbeat_at": None})
        make_cluster(**LOST | {"health": "Degraded"})
        make_cluster(**LOST | {"enabled": False})

        assert watch() == 0

    def test_opens_none_while_we_are_cut_off(self):
        for _ in range(3):
            make_cluster(**LOST)

        assert watch() == 0

    def test_costs_the_same_for_any_number_of_silent_clusters(self, east, django_assert_num_queries):
        make_cluster(**LOST)
        for _ in range(9):
            make_cluster()
        watch()
        assert Incident.objects.filter(state__in=ACTIVE).count() == 2

        with django_assert_num_queries(5):
            watch(1)
