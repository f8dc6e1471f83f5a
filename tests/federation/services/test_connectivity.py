"""When many clusters fall silent at once, people hear of it once."""

from datetime import timedelta

import pytest

from aiops.audit.models import AuditEvent
from aiops.clients.errors import ClientUnavailable
from aiops.notifications.models import Notification
from federation.health import Origin
from federation.models import Cluster
from federation.services import connectivity, health
from tests.conftest import NOON
from tests.factories import make_cluster
from tests.federation.services.test_health import subscribe

pytestmark = pytest.mark.django_db
TIMEOUT = ClientUnavailable("no answer in time", reason="timeout")
MINUTE = timedelta(minutes=1)


def check_all(clusters: list[Cluster], *, at, error=None) -> None:
    """One round: as the task does it, checks first and then what follows from all of them."""
    for cluster in clusters:
        columns = {"check_error_class": "timeout" if error else ""}
        health.note(cluster=cluster, origin=Origin.CHECK, error=error, columns=columns, at=at)
    connectivity.tell(at=at)


def told() -> list[str]:
    return [row.event for row in Notification.objects.order_by("created_at", "pk")]


class TestTell:
    def test_one_message_stands_for_all_clusters(self):
        subscribe()
        clusters = [make_cluster(name=f"c{number}") for number in range(5)]
        for minute in range(6):
            check_all(clusters, at=NOON + minute * MINUTE, error=TIMEOUT)
        assert told() == ["hub_cut_off"]
        assert set(Cluster.objects.values_list("phase", flat=True)) == {"Disconnected"}

        for minute in range(6, 10):
            check_all(clusters, at=NOON + minute * MINUTE)

        assert told() == ["hub_cut_off", "hub_connected"]
        assert connectivity.frozen(at=NOON + 10 * MINUTE) == ()
        # each cluster is in the audit log all the same
        assert AuditEvent.objects.filter(event_type="cluster_disconnected").count() == 5

    def test_names_those_that_stay_silent(self):
        subscribe()
        clusters = [make_cluster(name=f"c{number}") for number in range(4)]
        for minute in range(4):
            check_all(clusters, at=NOON + minute * MINUTE, error=TIMEOUT)

        for minute in range(4, 7):
            check_all(clusters[1:], at=NOON + minute * MINUTE)

        assert "Still silent: c0." in Notification.objects.get(event="hub_connected").body

    def test_a_cluster_that_is_alone_speaks_for_itself(self):
        subscribe()
        clusters = [make_cluster(name=f"c{number}") for number in range(4)]
        for minute in range(4):
            check_all(clusters[:1], at=NOON + minute * MINUTE, error=TIMEOUT)

        assert told() == ["cluster_disconnected"]

    def test_a_later_silence_is_told_again(self):
        subscribe()
        clusters = [make_cluster(name=f"c{number}") for number in range(3)]
        for start in (0, 120):
            for minute in range(4):
                check_all(clusters, at=NOON + (start + minute) * MINUTE, error=TIMEOUT)
            for minute in range(4, 8):
                check_all(clusters, at=NOON + (start + minute) * MINUTE)

        assert told() == ["hub_cut_off", "hub_connected"] * 2


class TestFrozen:
    def test_lasts_until_the_clusters_are_back(self):
        clusters = [make_cluster(name=f"c{number}") for number in range(4)]
        for minute in range(4):
            check_all(clusters[:3], at=NOON + minute * MINUTE, error=TIMEOUT)

        assert connectivity.frozen(at=NOON + timedelta(hours=9))

        Cluster.objects.filter(name="c0").update(enabled=False)
        assert not connectivity.frozen(at=NOON + timedelta(hours=9))

    def test_is_not_caused_by_clusters_that_went_one_by_one(self):
        clusters = [make_cluster(name=f"c{number}") for number in range(4)]
        for number, cluster in enumerate(clusters[:3]):
            for minute in range(4):
                check_all([cluster], at=NOON + timedelta(hours=number, minutes=minute), error=TIMEOUT)

        assert not connectivity.frozen(at=NOON + timedelta(hours=3))


class TestStale:
    def test_after_a_minute_without_a_word(self):
        cluster = make_cluster(last_heartbeat_at=NOON)

        assert not connectivity.stale(cluster, at=NOON + MINUTE)
        assert connectivity.stale(cluster, at=NOON + MINUTE + timedelta(seconds=1))

    def test_minds_how_often_anybody_looks(self, settings):
        settings.AIOPS_POLL_INTERVAL = 120

        assert not connectivity.stale(make_cluster(last_heartbeat_at=NOON), at=NOON + 3 * MINUTE)
