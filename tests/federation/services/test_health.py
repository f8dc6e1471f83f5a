import time
from datetime import timedelta

import pytest

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.clients.errors import ClientUnavailable
from aiops.notifications.models import Channel, Notification, Policy
from aiops.simulator.embedded import SimulatedCluster
from federation import services
from federation.health import Origin
from federation.models import Cluster, HealthSample
from federation.services import connections, health
from tests.conftest import NOON
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db
TIMEOUT = ClientUnavailable("no answer in time", reason="timeout")


@pytest.fixture(scope="module")
def simulated():
    with SimulatedCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(simulated):
    simulated.clear_faults()
    return services.register(name="harbor", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=NOON)


def note(cluster: Cluster, at=NOON, error=TIMEOUT, **columns) -> Cluster:
    health.note(cluster=cluster, origin=Origin.CHECK, error=error, columns=columns, at=at)
    cluster.refresh_from_db()
    return cluster


class TestCheck:
    def test_reads_version_nodes_and_usage(self, simulated, cluster):
        health.check(cluster=cluster, at=NOON)

        cluster.refresh_from_db()
        nodes = simulated.list("Node")
        assert (cluster.health, cluster.phase, cluster.last_heartbeat_at) == ("Connected", "Connected", NOON)
        assert (cluster.node_count, cluster.nodes_ready) == (len(nodes), len(nodes))
        assert cluster.namespace_count == len(simulated.list("Namespace"))
        assert cluster.kubernetes_version
        assert 0 < cluster.cpu_used_millis <= cluster.cpu_capacity_millis
        assert 0 < cluster.memory_used_bytes <= cluster.memory_capacity_bytes
        assert cluster.latency_ms is not None

    def test_without_metrics_knows_no_usage(self, simulated, cluster):
        simulated.fail_next(None, status=404, match="metrics.k8s.io")

        health.check(cluster=cluster, at=NOON)

        cluster.refresh_from_db()
        assert cluster.cpu_used_millis is None
        assert cluster.cpu_capacity_millis > 0

    def test_of_revoked_credentials_fails_although_the_server_is_ready(self, simulated, cluster):
        simulated.fail_next(None, status=401, match="/version")

        health.check(cluster=cluster, at=NOON)

        cluster.refresh_from_db()
        assert (cluster.phase, cluster.check_error_class) == ("Error", "auth")

    def test_of_a_person_is_audited(self, cluster):
        health.check(cluster=cluster, at=NOON, actor=SYSTEM.named("olaf"))

        assert AuditEvent.objects.filter(action="cluster.check", user="olaf").count() == 1


class TestCheckDue:
    def test_checks_new_clusters_at_once_and_later_again(self, simulated, cluster):
        assert health.check_due(at=NOON) == 1
        assert health.check_due(at=NOON) == 0
        assert health.check_due(at=NOON + timedelta(seconds=34)) == 1

    def test_hanging_clusters_delay_nobody(self, simulated, cluster):
        with SimulatedCluster() as hanging:
            hanging.hang(seconds=60)
            for number in range(8):
                services.register(name=f"h{number}", kubeconfig=hanging.kubeconfig, actor=SYSTEM, at=NOON)
            began = time.monotonic()

            assert health.check_due(at=NOON) == 9

        assert time.monotonic() - began < 8 * connections.PROBE_SECONDS
        assert Cluster.objects.get(name="harbor").health == "Connected"
        assert set(Cluster.objects.filter(name__startswith="h", name__lt="ha").values_list("check_error_class")) == {
            ("timeout",)
        }

    def test_leaves_disabled_clusters_alone(self):
        make_cluster(enabled=False)

        assert health.check_due(at=NOON) == 0


class TestNote:
    def test_writes_nothing_after_the_credentials_were_changed(self):
        cluster = make_cluster()
        stale = Cluster.objects.get(pk=cluster.pk)
        Cluster.objects.update(kubeconfig_digest="another")

        health.note(cluster=stale, origin=Origin.CHECK, error=TIMEOUT, columns={}, at=NOON)

        cluster.refresh_from_db()
        assert cluster.check_failures == 0

    def test_keeps_the_version(self):
        cluster = make_cluster()

        assert note(cluster).version == cluster.version == 1

    def test_stops_looks_at_an_unreachable_cluster_until_it_answers(self):
        cluster = make_cluster()
        for _ in range(3):
            note(cluster)
        assert not Cluster.objects.due(NOON + timedelta(days=1)).exists()

        later = NOON + timedelta(hours=1)
        note(cluster, at=later, error=None)

        assert list(Cluster.objects.due(later)) == [cluster]

    def test_announces_only_after_three_failures(self):
        subscribe()
        cluster = make_cluster()
        note(cluster)
        note(cluster)
        assert not Notification.objects.exists()

        note(cluster)
        note(cluster)

        assert [row.event for row in Notification.objects.all()] == ["cluster_disconnected"]

    def test_warns_once_a_day_of_expiring_credentials(self):
        subscribe()
        cluster = make_cluster(credentials_expire_at=NOON + timedelta(days=3))
        for hours in (0, 1, 2, 25):
            note(cluster, at=NOON + timedelta(hours=hours), error=None)

        assert [row.event for row in Notification.objects.all()] == ["cluster_credentials_expiring"] * 2

    def test_remembers_failures_changes_and_one_in_five_minutes(self):
        cluster = make_cluster()
        for seconds in (0, 30, 60, 299, 301):
            note(cluster, at=NOON + timedelta(seconds=seconds), error=None)
        note(cluster, at=NOON + timedelta(seconds=302))

        ages = [(sample.at - NOON).total_seconds() for sample in HealthSample.objects.order_by("at")]
        assert ages == [0, 301, 302]


class TestForgetOldSamples:
    def test_keeps_thirty_days(self):
        cluster = make_cluster()
        for days in (1, 29, 31, 90):
            HealthSample.objects.create(cluster=cluster, at=NOON - timedelta(days=days), health="Connected")

        assert health.forget_old_samples(at=NOON) == 2


class TestWait:
    def test_doubles_from_the_third_failure_on_up_to_five_minutes(self):
        waits = [health.wait(1, 30, failures).total_seconds() for failures in (0, 1, 2, 3, 4, 5, 6, 7, 90)]

        for wait, wanted in zip(waits, (30, 30, 30, 60, 120, 240, 300, 300, 300), strict=True):
            assert wanted * 0.9 <= wait <= wanted * 1.1


def subscribe() -> None:
    Channel.objects.create(name="ops", type="webhook", created_at=NOON, updated_at=NOON)
    rules = [{"name": "all", "match": {}, "channels": ["ops"]}]
    Policy.objects.create(name="all", rules=rules, created_at=NOON, updated_at=NOON)
