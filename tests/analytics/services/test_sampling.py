"""Samples of a simulated cluster's metrics API, and of volumes that a real Prometheus knows."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from aiops import quantities
from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.workloads import claim
from analytics.models import Grain, Usage
from analytics.periods import HOUR, seconds_of
from analytics.services import sampling
from analytics.services.sampling import Sample
from federation import services as federation
from federation.models import Cluster
from tests.aiops.simulator.conftest import ready_everywhere
from tests.conftest import NOON
from tests.slos import prometheus

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(speed=50) as running:
        running.wait_for(lambda c: all(ready_everywhere(c, one["metadata"]["name"]) for one in c.list("Deployment")))
        yield running


@pytest.fixture
def cluster(simulated: SimulatedCluster) -> Cluster:
    simulated.clear_faults()
    return federation.register(name="harbor", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())


def limits(simulated: SimulatedCluster, app: str) -> tuple[int, int]:
    """Millicores and bytes that the pods of an app may use together."""
    cpu, memory = 0, 0
    for pod in simulated.list("Pod", "shop"):
        if pod["metadata"]["labels"].get("app") == app:
            for container in pod["spec"]["containers"]:
                found = container["resources"]["limits"]
                cpu += int(quantities.parse(found["cpu"]) * 1000)
                memory += int(quantities.parse(found["memory"]))
    return cpu, memory


class TestSample:
    def test_of_workloads_adds_their_pods_up(self, simulated: SimulatedCluster, cluster: Cluster) -> None:
        sampling.sample(cluster=cluster, at=NOON)

        rows = {(row.grain, row.kind, row.name): row for row in Usage.objects.all()}
        name = simulated.list("Deployment", "shop")[0]["metadata"]["name"]
        row = rows[Grain.HOUR, "Deployment", name]
        cpu, memory = limits(simulated, name)
        assert (row.cpu_limit, row.memory_limit) == (cpu, memory)
        assert 0 < row.cpu_sum == row.cpu_max <= cpu
        assert 0 < row.memory_sum <= memory
        assert rows[Grain.DAY, "Deployment", name].memory_sum == row.memory_sum
        # pods belong to what made them: none stands for itself or for a ReplicaSet
        assert {kind for _, kind, _ in rows} <= {"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "NodePool"}

    def test_of_node_pools_adds_their_nodes_up(self, simulated: SimulatedCluster, cluster: Cluster) -> None:
        sampling.sample(cluster=cluster, at=NOON)

        pools = Usage.objects.filter(kind="NodePool", grain=Grain.HOUR)
        room = [one["status"]["allocatable"] for one in simulated.list("Node")]
        assert sum(row.cpu_limit or 0 for row in pools) == sum(int(quantities.parse(one["cpu"]) * 1000) for one in room)
        assert sum(row.memory_limit or 0 for row in pools) == sum(int(quantities.parse(one["memory"])) for one in room)
        assert all(row.cpu_sum > 0 for row in pools)

    def test_of_what_a_cluster_refuses_is_left_out(self, simulated: SimulatedCluster, cluster: Cluster) -> None:
        simulated.fail_next(None, status=403, match="/apis/metrics.k8s.io/v1beta1/pods")

        sampling.sample(cluster=cluster, at=NOON)

        assert set(Usage.objects.values_list("kind", flat=True)) == {"NodePool"}

    def test_of_volumes_asks_prometheus(
        self, simulated: SimulatedCluster, cluster: Cluster, tmp_path: Path, settings: Any
    ) -> None:
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = True
        simulated.apply(claim("shop", "orders-data", storage_class="standard"))
        simulated.apply(claim("shop", "unknown-data", storage_class="standard"))
        place = '{namespace="shop",persistentvolumeclaim="orders-data",node="%s"}'
        at = int(NOON.timestamp())
        lines = [
            *prometheus.samples(f"kubelet_volume_stats_capacity_bytes{place % 'a'}", [(at - 15, 1000.0), (at, 1000.0)]),
            *prometheus.samples(f"kubelet_volume_stats_used_bytes{place % 'a'}", [(at - 15, 700.0), (at, 710.0)]),
            *prometheus.samples(f"kubelet_volume_stats_used_bytes{place % 'b'}", [(at - 15, 690.0), (at, 690.0)]),
        ]
        with prometheus.serving(tmp_path, lines) as server:
            Cluster.objects.update(prometheus_url=server.url)
            cluster.refresh_from_db()
            sampling.sample(cluster=cluster, at=NOON)

        row = Usage.objects.get(kind="PersistentVolumeClaim", grain=Grain.HOUR)
        assert (row.name, row.memory_sum, row.memory_limit, row.cpu_limit) == ("orders-data", 710, 1000, None)


class TestKeeping:
    def test_hours_become_days_at_once_and_are_kept_shorter(self) -> None:
        place = ("shop", "Deployment", "api")
        for hours in range(30):
            one = Sample(cpu=100 + hours, memory=10, cpu_limit=1_000, memory_limit=20)
            sampling.store(cluster="east", samples={place: one}, at=NOON - timedelta(hours=hours))

        days = list(
            Usage.objects.filter(grain=Grain.DAY).order_by("-start").values_list("samples", "cpu_sum", "cpu_max")
        )
        assert days == [(13, sum(range(100, 113)), 112), (17, sum(range(113, 130)), 129)]
        assert sampling.prune(at=NOON + timedelta(days=35)) == 29
        assert Usage.objects.filter(grain=Grain.DAY).count() == 2
        newest = Usage.objects.get(grain=Grain.HOUR)
        assert newest.start == seconds_of(NOON) // HOUR
        assert sampling.prune(at=NOON + timedelta(days=402)) == 3
