from datetime import datetime, timedelta

import pytest
from celery import current_app
from django.utils import timezone
from kombu import Message

from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from incidents import tasks
from tests.conftest import NOON
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(django_capture_on_commit_callbacks):
    """Runs `poll_due_clusters` and reads what lies in the broker afterwards."""

    def run() -> list[Message]:
        with current_app.connection_for_read() as connection:
            queue = connection.SimpleQueue("poll")
            queue.clear()
            with django_capture_on_commit_callbacks(execute=True):
                tasks.poll_due_clusters()
            return [queue.get_nowait() for _ in range(queue.qsize())]

    return run


def _content(message: Message) -> tuple[str, int]:
    return message.headers["task"], message.payload[1]["cluster_id"]


class TestPollDueClusters:
    def test_sends_one_message_per_cluster_the_longest_waiting_first(self, sent):
        second, first = make_cluster(), make_cluster(next_poll_at=NOON - timedelta(days=900))
        Cluster.objects.filter(pk=second.pk).update(next_poll_at=NOON - timedelta(days=800))

        assert [_content(message) for message in sent()] == [
            ("incidents.tasks.poll_cluster", first.pk),
            ("incidents.tasks.poll_cluster", second.pk),
        ]

    def test_lets_messages_expire_before_they_pile_up(self, sent, settings):
        make_cluster(next_poll_at=NOON - timedelta(days=900))

        expires = datetime.fromisoformat(sent()[0].headers["expires"])

        assert expires <= timezone.now() + timedelta(seconds=settings.AIOPS_POLL_INTERVAL)

    def test_leaves_out_clusters_that_are_not_due_or_disabled(self, sent):
        make_cluster(next_poll_at=timezone.now() + timedelta(hours=1))
        make_cluster(next_poll_at=NOON - timedelta(days=900), enabled=False)

        assert sent() == []


class TestPollCluster:
    @pytest.fixture
    def simulated(self):
        with SimulatedCluster() as cluster:
            yield cluster

    def test_looks_at_a_cluster_that_is_due(self, simulated):
        cluster = federation.register(name="c", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())

        tasks.poll_cluster(cluster_id=cluster.pk)

        cluster.refresh_from_db()
        assert cluster.phase == "Connected"
        assert cluster.next_poll_at > timezone.now()

    def test_does_nothing_when_another_worker_was_faster(self, simulated):
        cluster = federation.register(name="c", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())
        tasks.poll_cluster(cluster_id=cluster.pk)
        simulated.clear_requests()

        tasks.poll_cluster(cluster_id=cluster.pk)

        assert simulated.requests == []

    def test_does_nothing_when_the_cluster_is_gone(self):
        tasks.poll_cluster(cluster_id=0)
