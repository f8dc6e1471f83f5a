"""The client against the simulated cluster; how it bears bad answers is in test_transport.py."""

import pytest

from aiops.clients import kubeconfig
from aiops.clients.errors import ClientUnavailable, Denied, Expired, NotFound, Rejected, VersionConflict
from aiops.clients.kubeconfig import Access
from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster

SPEED = 20


@pytest.fixture
def cluster():
    with SimulatedCluster(scenario="healthy", speed=SPEED) as simulated:
        simulated.wait_for(_is_settled)
        yield simulated


@pytest.fixture
def client(cluster):
    return KubernetesClient(kubeconfig.load(cluster.kubeconfig), read_timeout=5)


def _is_settled(cluster: SimulatedCluster) -> bool:
    found = cluster.get("Deployment", "shop", "checkout")
    return found is not None and found["status"].get("readyReplicas") == found["spec"]["replicas"]


def pods_of(client: KubernetesClient, name: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in client.list("Pod", "shop", label_selector=f"app={name}")]


class TestReading:
    def test_gets_an_object(self, client):
        found = client.get("Deployment", "checkout", "shop")

        assert (found["kind"], found["apiVersion"]) == ("Deployment", "apps/v1")

    def test_says_what_is_not_there(self, client):
        with pytest.raises(NotFound, match="not found"):
            client.get("Deployment", "nothing", "shop")

    @pytest.mark.parametrize("name", ["", ".", ".."])
    def test_asks_for_nothing_that_would_be_another_path(self, client, name):
        with pytest.raises(NotFound):
            client.get("Deployment", name, "shop")

    def test_lists_in_pages_and_fills_in_the_kind(self, cluster, client):
        cluster.clear_requests()

        pods = list(client.list("Pod", limit=3))

        assert len({pod["metadata"]["uid"] for pod in pods}) == len(cluster.list("Pod"))
        assert {(pod["kind"], pod["apiVersion"]) for pod in pods} == {("Pod", "v1")}
        assert len(cluster.requests) == -(-len(pods) // 3)

    def test_lists_by_selector(self, client):
        assert pods_of(client, "checkout")
        assert list(client.list("Pod", "shop", field_selector="metadata.name=nothing")) == []

    def test_begins_an_outdated_list_once_more_without_repeating_itself(self, cluster, client):
        everything = len(cluster.list("Pod"))
        pods = client.list("Pod", limit=3)
        first = [next(pods) for _ in range(3)]

        cluster.expire()
        names = [pod["metadata"]["uid"] for pod in (*first, *pods)]

        assert len(names) == len(set(names)) == everything

    def test_gives_up_a_list_that_is_outdated_again(self, cluster, client):
        cluster.fail_next(None, status=410, match="continue=")

        with pytest.raises(Expired):
            list(client.list("Pod", limit=3))

    def test_reads_logs_and_events(self, cluster, client):
        pod = pods_of(client, "checkout")[0]

        assert "listening" in client.logs(pod, "shop", tail_lines=5)
        assert client.events("Pod", pod, "shop", limit=2)[0]["involvedObject"]["name"] == pod

    def test_bounds_logs(self, client):
        assert len(client.logs(pods_of(client, "checkout")[0], "shop", limit_bytes=4)) <= 4

    def test_knows_version_and_readiness(self, client):
        assert client.version()["gitVersion"].startswith("v1.")
        client.ping()

    def test_falls_back_on_the_version_to_see_whether_it_is_there(self, cluster, client):
        cluster.fail_next(status=404, match="/readyz")

        client.ping()

    def test_is_denied_with_a_wrong_token(self, cluster):
        with pytest.raises(Denied) as denied:
            KubernetesClient(Access(cluster.url, token="wr0ng")).version()
        assert denied.value.status == 401
        assert "wr0ng" not in denied.value.message


class TestChanging:
    def test_patches(self, client):
        changed = client.patch("Deployment", "checkout", "shop", {"metadata": {"annotations": {"aiops.io/step": "1"}}})

        assert changed["metadata"]["annotations"]["aiops.io/step"] == "1"

    def test_patches_containers_by_name(self, client):
        container = {"name": "web", "resources": {"limits": {"memory": "512Mi"}}}
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}

        changed = client.patch("Deployment", "checkout", "shop", body, patch_type="strategic")

        web = changed["spec"]["template"]["spec"]["containers"][0]
        assert (web["name"], web["resources"]["limits"]["memory"]) == ("web", "512Mi")
        assert web["image"]

    def test_patches_with_a_test(self, client):
        body = [{"op": "test", "path": "/spec/replicas", "value": 99}]

        with pytest.raises((Rejected, VersionConflict)):
            client.patch("Deployment", "checkout", "shop", body, patch_type="json")

    def test_scales(self, cluster, client):
        client.patch("Deployment", "checkout", "shop", {"spec": {"replicas": 1}}, subresource="scale")

        assert cluster.get("Deployment", "shop", "checkout")["spec"]["replicas"] == 1

    def test_tries_without_changing(self, cluster, client):
        before = cluster.get("Deployment", "shop", "checkout")["metadata"]["resourceVersion"]

        tried = client.patch("Deployment", "checkout", "shop", {"spec": {"replicas": 7}}, dry_run=True)

        assert tried["spec"]["replicas"] == 7
        assert cluster.get("Deployment", "shop", "checkout")["metadata"]["resourceVersion"] == before

    def test_is_told_what_would_be_invalid(self, client):
        with pytest.raises(Rejected) as rejected:
            client.patch("Deployment", "checkout", "shop", {"spec": {"replicas": -1}})
        assert rejected.value.status == 422

    def test_does_not_overwrite_another_version(self, client):
        with pytest.raises(VersionConflict):
            client.patch("Deployment", "checkout", "shop", {"metadata": {"resourceVersion": "1"}})

    def test_creates_once(self, client):
        body = {"metadata": {"name": "notes"}, "data": {"a": "b"}}
        client.create("ConfigMap", "shop", body)

        with pytest.raises(VersionConflict):
            client.create("ConfigMap", "shop", body)

    def test_deletes_that_very_object(self, cluster, client):
        pod = pods_of(client, "checkout")[0]

        with pytest.raises(VersionConflict):
            client.delete("Pod", pod, "shop", uid="another")
        client.delete("Pod", pod, "shop", grace_seconds=0, dry_run=True)
        assert cluster.get("Pod", "shop", pod)
        client.delete("Pod", pod, "shop", grace_seconds=0, propagation="Background")
        with pytest.raises(NotFound):
            client.delete("Pod", pod, "shop")

    def test_evicts_unless_a_budget_forbids_it(self, cluster, client):
        pod = pods_of(client, "checkout")[0]
        labels = cluster.get("Pod", "shop", pod)["metadata"]["labels"]
        cluster.apply(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "all", "namespace": "shop"},
                "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"app": labels["app"]}}},
            }
        )

        with pytest.raises(ClientUnavailable) as refused:
            client.evict(pod, "shop")
        assert refused.value.status == 429
        cluster.delete("PodDisruptionBudget", "shop", "all")
        client.evict(pod, "shop")
