"""Looks at clusters: the simulated one, and ones that answer badly."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.clients import kubeconfig
from aiops.clients.kubernetes import KubernetesClient
from aiops.notifications.models import Channel, Notification, Policy
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from federation.services import connections
from incidents.models import Anomaly, Incident
from incidents.services import detection
from incidents.services.detection import PollResult
from tests.conftest import NOON
from tests.factories import make_anomaly, make_cluster, make_incident

pytestmark = pytest.mark.django_db
SPEED = 50


@pytest.fixture(scope="module")
def simulated():
    with SimulatedCluster(scenario="healthy", speed=SPEED) as cluster:
        cluster.wait_for(_is_ready)
        yield cluster


@pytest.fixture(autouse=True)
def without_faults(simulated):
    yield
    simulated.clear_faults()


@pytest.fixture
def cluster(simulated) -> Cluster:
    return federation.register(name="harbor", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())


def look(cluster: Cluster, **timeouts: Any) -> PollResult:
    """One look as a worker does it: with the row as it stands, at this moment, since the cluster's times are real."""
    cluster.refresh_from_db()
    client = None
    if timeouts:
        client = KubernetesClient(connections.stored_access(cluster), **timeouts)
    return detection.poll(cluster=cluster, at=timezone.now(), client=client)


class TestWellCluster:
    def test_is_described_in_its_row(self, simulated, cluster):
        result = look(cluster)

        cluster.refresh_from_db()
        assert (result.error, cluster.phase, cluster.poll_error) == ("", "Connected", "")
        assert cluster.node_count == cluster.nodes_ready == len(simulated.list("Node"))
        assert cluster.pod_count == len(simulated.list("Pod"))
        assert cluster.namespace_count == len(simulated.list("Namespace"))
        assert cluster.pod_capacity > 0
        assert cluster.kubernetes_version.startswith("1.")
        assert cluster.last_heartbeat_at == cluster.last_polled_at

    def test_is_due_again_after_the_interval(self, cluster, settings):
        settings.AIOPS_POLL_INTERVAL = 15
        look(cluster)

        assert cluster.next_poll_at - cluster.last_polled_at == timedelta(seconds=15)

    def test_keeps_its_version_so_that_a_look_is_no_edit(self, cluster):
        look(cluster)

        cluster.refresh_from_db()
        assert cluster.version == 1

    def test_has_no_incidents(self, cluster):
        assert look(cluster).signals == 0
        assert not Incident.objects.exists()

    def test_costs_the_same_number_of_queries_however_large(self, simulated, cluster):
        look(cluster)
        with CaptureQueriesContext(connection) as small:
            look(cluster)
        simulated.populate(deployments=5, pods=50)

        with CaptureQueriesContext(connection) as large:
            look(cluster)

        assert _verbs(large) == _verbs(small)


class TestSickWorkload:
    @pytest.fixture
    def sick(self):
        with SimulatedCluster(scenario="healthy", speed=SPEED) as cluster:
            cluster.wait_for(_is_ready)
            cluster.break_workload("shop", "checkout", "config-error")
            yield cluster

    def test_becomes_an_incident_of_its_deployment(self, sick, settings):
        settings.AIOPS_DETECTION_GRACE = 1
        cluster = federation.register(name="sick", kubeconfig=sick.kubeconfig, actor=SYSTEM, at=timezone.now())

        sick.wait_for(lambda _: look(cluster).opened)

        incident = Incident.objects.get()
        assert (incident.resource, incident.namespace) == ("Deployment/checkout", "shop")
        anomaly = Anomaly.objects.get(condition="container_config_error")
        assert (anomaly.object_kind, anomaly.origin, anomaly.cluster) == ("Pod", "k8s-watcher", cluster)
        assert anomaly.first_seen_at < incident.detected_at

    def test_is_one_observation_however_often_it_is_seen(self, sick, settings):
        settings.AIOPS_DETECTION_GRACE = 1
        cluster = federation.register(name="sick", kubeconfig=sick.kubeconfig, actor=SYSTEM, at=timezone.now())
        sick.wait_for(lambda _: look(cluster).opened)

        look(cluster)

        assert Anomaly.objects.filter(condition="container_config_error").count() == 1


class TestRecovery:
    def test_clears_the_signal_after_three_looks_without_it(self, settings):
        settings.AIOPS_DETECTION_GRACE = 1
        with SimulatedCluster(scenario="healthy", speed=SPEED) as simulated:
            simulated.wait_for(_is_ready)
            cluster = federation.register(name="c", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())
            simulated.break_workload("shop", "checkout", "config-error")
            simulated.wait_for(lambda _: look(cluster).opened)

            simulated.heal("shop", "checkout")
            simulated.wait_for(lambda _: not look(cluster).signals)
            assert Anomaly.objects.filter(cleared_at=None).exists()
            simulated.wait_for(lambda _: look(cluster) and not Anomaly.objects.filter(cleared_at=None).exists())

        assert Incident.objects.get().state == "Resolved"


class TestBadCluster:
    def failure(self, cluster: Cluster, **timeouts: Any) -> Cluster:
        result = look(cluster, **timeouts)
        assert result.error
        cluster.refresh_from_db()
        assert cluster.poll_error == result.error
        assert cluster.poll_failures == 1
        return cluster

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    def test_that_answers_with_an_error(self, simulated, cluster, status):
        simulated.fail_next(None, status=status)

        assert self.failure(cluster).phase == "Error"
        assert f"HTTP {status}" in cluster.poll_error

    def test_whose_lists_keep_expiring(self, simulated, cluster):
        simulated.fail_next(None, status=410, match="pods")

        assert "HTTP 410" in self.failure(cluster).poll_error

    def test_that_answers_nonsense(self, simulated, cluster):
        simulated.garbage("deployments")

        assert self.failure(cluster).phase == "Error"
        assert "no valid JSON" in cluster.poll_error

    def test_that_hangs_up(self, simulated, cluster):
        simulated.drop_connections("nodes")

        assert self.failure(cluster).phase == "Disconnected"

    def test_that_does_not_answer(self, simulated, cluster):
        simulated.hang("nodes", 5)

        assert self.failure(cluster, read_timeout=0.2).phase == "Disconnected"
        assert "no answer in time" in cluster.poll_error

    def test_that_is_not_there(self):
        with SimulatedCluster() as gone:
            text = gone.kubeconfig
        cluster = federation.register(name="gone", kubeconfig=text, actor=SYSTEM, at=timezone.now())

        assert self.failure(cluster).phase == "Disconnected"

    def test_whose_credentials_are_unreadable(self):
        assert "stored kubeconfig" in self.failure(make_cluster(poll_failures=0)).poll_error

    def test_clears_nothing(self, simulated, cluster):
        incident_before = _open_anomaly(cluster)
        simulated.fail_next(None, status=500)

        look(cluster)

        incident_before.refresh_from_db()
        assert (incident_before.misses, incident_before.cleared_at) == (0, None)

    def test_keeps_its_last_figures(self, simulated, cluster):
        look(cluster)
        seen = cluster.last_heartbeat_at
        simulated.fail_next(None, status=500)

        look(cluster)

        cluster.refresh_from_db()
        assert (cluster.last_heartbeat_at, cluster.node_count) == (seen, len(simulated.list("Node")))
        assert cluster.last_polled_at > seen

    def test_leaves_others_alone(self, simulated, cluster):
        other = make_cluster()
        look(other)

        assert look(cluster).error == ""

    def test_is_asked_again_when_it_wants_to_be(self, simulated, cluster, settings):
        settings.AIOPS_POLL_INTERVAL = 1
        simulated.fail_next(status=429, retry_after=60)

        look(cluster)

        assert cluster.next_poll_at - cluster.last_polled_at == timedelta(seconds=60)


class TestCoverageGaps:
    @pytest.mark.parametrize("status", [403, 404])
    def test_are_shown_and_no_failure(self, simulated, cluster, status):
        simulated.fail_next(None, status=status, match="ingresses")

        result = look(cluster)

        cluster.refresh_from_db()
        assert (result.error, cluster.phase, cluster.coverage_gaps) == ("", "Connected", ["Ingress"])

    def test_clear_nothing_of_their_kind(self, simulated, cluster):
        anomaly = _open_anomaly(cluster, object_kind="Pod", resource_kind="Pod", resource_name="lonely")
        other = _open_anomaly(cluster, object_kind="Job", resource_kind="Job", resource_name="feed")
        simulated.fail_next(None, status=403, match="/pods")

        look(cluster)

        anomaly.refresh_from_db()
        other.refresh_from_db()
        assert (anomaly.misses, other.misses) == (0, 1)

    def test_everywhere_are_an_error(self, simulated, cluster):
        simulated.fail_next(None, status=403, match="/apis?/")

        look(cluster)

        cluster.refresh_from_db()
        assert cluster.phase == "Error"
        assert "may list nothing" in cluster.poll_error


class TestConnectionChanges:
    @pytest.fixture
    def subscribed(self):
        Channel.objects.create(name="ops", type="webhook", created_at=NOON, updated_at=NOON)
        Policy.objects.create(
            name="all", rules=[{"name": "all", "match": {}, "channels": ["ops"]}], created_at=NOON, updated_at=NOON
        )

    def test_are_audited_once(self, simulated, cluster):
        look(cluster)
        simulated.fail_next(None, status=500)
        for _ in range(4):
            look(cluster)
        simulated.clear_faults()
        look(cluster)
        look(cluster)

        events = AuditEvent.objects.filter(action="cluster.check").order_by("at")
        assert [event.event_type for event in events] == [
            "cluster_connected",
            "",  # degraded
            "cluster_disconnected",
            "cluster_connected",
        ]

    def test_are_announced(self, simulated, cluster, subscribed):
        look(cluster)
        simulated.fail_next(3, status=500)
        for _ in range(5):
            look(cluster)

        events = Notification.objects.order_by("pk").values_list("event", flat=True)
        assert list(events) == ["cluster_disconnected", "cluster_connected"]

    def test_need_more_than_two_failures(self, simulated, cluster, subscribed):
        look(cluster)
        simulated.fail_next(2, status=500)
        look(cluster)
        look(cluster)

        cluster.refresh_from_db()
        assert (cluster.phase, cluster.health, cluster.poll_failures) == ("Connected", "Degraded", 2)
        assert not Notification.objects.exists()


class TestBackOff:
    def test_doubles_up_to_five_minutes(self, settings):
        settings.AIOPS_POLL_INTERVAL = 15

        waits = [detection.back_off(failures, salt=1).total_seconds() for failures in (1, 2, 3, 4, 5, 6, 50)]

        for wait, wanted in zip(waits, (15, 30, 60, 120, 240, 300, 300), strict=True):
            assert wanted * 0.9 <= wait <= wanted * 1.1

    def test_differs_between_clusters(self):
        assert len({detection.back_off(9, salt=salt) for salt in range(50)}) > 10


class TestClaim:
    def test_is_given_to_one(self):
        cluster = make_cluster()
        other = Cluster.objects.get(pk=cluster.pk)

        assert detection.claim(cluster=cluster, at=NOON)
        assert not detection.claim(cluster=other, at=NOON)

    def test_ends_by_itself(self):
        cluster = make_cluster()
        detection.claim(cluster=cluster, at=NOON)

        assert not Cluster.objects.due(NOON).exists()
        assert Cluster.objects.due(NOON + detection.LEASE).exists()


class TestChangedCredentials:
    def test_are_not_judged_by_a_look_with_the_old_ones(self, simulated, cluster):
        stale = Cluster.objects.get(pk=cluster.pk)
        client = KubernetesClient(kubeconfig.load(simulated.kubeconfig))
        Cluster.objects.update(kubeconfig_digest="another", phase="Pending")

        detection.poll(cluster=stale, at=timezone.now(), client=client)

        cluster.refresh_from_db()
        assert (cluster.phase, cluster.last_polled_at) == ("Pending", None)


def _verbs(queries: CaptureQueriesContext) -> list[str]:
    """What was asked, without the names of savepoints, which differ."""
    return [query["sql"].partition(" ")[0] for query in queries]


def _is_ready(simulated: SimulatedCluster) -> bool:
    pods = simulated.list("Pod")
    return len(pods) > 2 and all(_has_started(pod) for pod in pods)


def _has_started(pod) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def _open_anomaly(cluster: Cluster, **columns):
    return make_anomaly(incident=make_incident(cluster=cluster), **columns)
