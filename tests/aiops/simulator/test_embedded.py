import time
from typing import Any

import httpx
import pytest
from kubernetes import client

from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.problems import Problem
from tests.aiops.simulator.http import ask


@pytest.fixture(autouse=True)
def without_faults(cluster: SimulatedCluster) -> None:
    cluster.clear_faults()
    cluster.clear_requests()


class TestFaults:
    @pytest.mark.parametrize("status", [401, 403, 410, 429, 500, 503])
    def test_fail_the_next_requests(self, cluster: SimulatedCluster, core: Any, status: int) -> None:
        cluster.fail_next(2, status=status)

        for _ in range(2):
            with pytest.raises(client.ApiException) as refused:
                core.list_node()
            assert refused.value.status == status
        assert core.list_node().items

    def test_say_when_to_come_back(self, cluster: SimulatedCluster) -> None:
        cluster.fail_next(status=429, retry_after=7)

        assert ask(cluster, "GET", "/api/v1/nodes").headers["retry-after"] == "7"

    def test_hit_what_they_match_only(self, cluster: SimulatedCluster) -> None:
        cluster.fail_next(None, status=500, match="^PATCH /apis/apps/.*dryRun")

        path = "/apis/apps/v1/namespaces/shop/deployments/checkout"
        merge = "application/merge-patch+json"
        assert ask(cluster, "GET", path).status == 200
        assert ask(cluster, "PATCH", f"{path}?dryRun=All", {}, content_type=merge).status == 500
        assert ask(cluster, "PATCH", path, {}, content_type=merge).status == 200

    def test_make_garbage(self, cluster: SimulatedCluster) -> None:
        cluster.garbage("/pods")

        answer = httpx.get(f"{cluster.url}/api/v1/pods", headers={"Authorization": f"Bearer {cluster.token}"})

        assert answer.status_code == 200
        with pytest.raises(ValueError, match="Unterminated"):
            answer.json()

    def test_keep_the_client_waiting(self, cluster: SimulatedCluster) -> None:
        cluster.hang("/nodes", 30)

        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{cluster.url}/api/v1/nodes", timeout=0.2)

    def test_lose_the_answer_to_a_change_that_was_made(self, cluster: SimulatedCluster) -> None:
        cluster.delay_answers("^PATCH .*/checkout", 30)
        headers = {"Authorization": f"Bearer {cluster.token}", "Content-Type": "application/merge-patch+json"}

        with pytest.raises(httpx.ReadTimeout):
            httpx.patch(
                f"{cluster.url}/apis/apps/v1/namespaces/shop/deployments/checkout",
                headers=headers,
                content=b'{"metadata":{"labels":{"late":"yes"}}}',
                timeout=0.5,
            )

        assert cluster.fetch("Deployment", "shop", "checkout")["metadata"]["labels"]["late"] == "yes"

    def test_drop_the_connection(self, cluster: SimulatedCluster) -> None:
        cluster.drop_connections("/nodes")

        with pytest.raises(httpx.TransportError):
            httpx.get(f"{cluster.url}/api/v1/nodes", timeout=5)


def test_watches_can_be_cut_off(cluster: SimulatedCluster) -> None:
    url, headers = f"{cluster.url}/api/v1/nodes?watch=1", {"Authorization": f"Bearer {cluster.token}"}

    with httpx.stream("GET", url, headers=headers, timeout=10) as answer, pytest.raises(httpx.TransportError):
        for line in answer.iter_lines():
            assert line
            cluster.cut_watches()


def test_requests_are_logged(cluster: SimulatedCluster, core: Any) -> None:
    core.list_namespaced_pod("shop", limit=1)

    assert cluster.requests == [("GET", "/api/v1/namespaces/shop/pods", "limit=1")]


def test_refusals_reach_the_caller(cluster: SimulatedCluster) -> None:
    with pytest.raises(Problem):
        cluster.patch("Deployment", "shop", "checkout", {"spec": {"replicas": -1}})


def test_waiting_ends_with_an_error(cluster: SimulatedCluster) -> None:
    with pytest.raises(TimeoutError):
        cluster.wait_for(lambda c: c.get("Pod", "shop", "nosuch"), 0.05)


def test_an_unknown_scenario_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown scenario"):
        SimulatedCluster(scenario="nosuch").start()


def test_populating_makes_large_clusters_that_rest() -> None:
    with SimulatedCluster() as cluster:
        began = time.process_time()
        cluster.populate(deployments=40, pods=2000, nodes=200, namespaces=4, sick=20)

        assert time.process_time() - began < 5
        bulk = [p for p in cluster.list("Pod") if p["metadata"]["namespace"].startswith("bulk-")]
        assert len(bulk) == 2000
        assert sum(p["status"]["containerStatuses"][0]["restartCount"] > 0 for p in bulk) == 20
        page = ask(cluster, "GET", "/api/v1/namespaces/bulk-1/pods?limit=100").body
        assert (len(page["items"]), page["metadata"]["remainingItemCount"]) == (100, 400)
        assert cluster.fetch("Deployment", "bulk-1", "bulk-00001")["status"]["readyReplicas"] == 50
