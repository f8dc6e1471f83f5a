from collections.abc import Iterator

import pytest

from aiops.clients import kubeconfig
from aiops.clients.errors import NotFound
from aiops.clients.kinds import KINDS
from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster
from runbooks import kubectl
from runbooks.actions import ActionRefused, Target
from runbooks.kubectl import CommandError
from runbooks.services import diagnostics

CHECKOUT = Target("Deployment", "checkout", "shop")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(scenario="healthy", speed=200) as simulated:
        simulated.break_workload("shop", "checkout", "crash-loop")
        simulated.wait_for(_has_crashed)
        yield simulated


def _has_crashed(simulated: SimulatedCluster) -> bool:
    pods = [pod for pod in simulated.list("Pod", "shop") if pod["metadata"]["labels"].get("app") == "checkout"]
    return any(
        status.get("restartCount") and status.get("lastState")
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
    )


@pytest.fixture
def client(cluster: SimulatedCluster) -> KubernetesClient:
    return KubernetesClient(kubeconfig.load(cluster.kubeconfig))


def run(client: KubernetesClient, command: str, target: Target = CHECKOUT) -> str:
    return diagnostics.run(client=client, command=command, target=target)


class TestRun:
    def test_lists_pods(self, client: KubernetesClient) -> None:
        header, *rows = run(client, "get pods").splitlines()

        assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "NODE"]
        assert any(row.startswith("checkout-") for row in rows)

    def test_a_selector_narrows_the_list(self, client: KubernetesClient) -> None:
        assert "catalog" not in run(client, "get pods -l app=checkout")

    def test_names_only(self, client: KubernetesClient) -> None:
        assert "deployment/checkout" in run(client, "get deployments -o name").splitlines()

    def test_nothing_found(self, client: KubernetesClient) -> None:
        assert run(client, "get jobs -n shop") == "No Job found"

    def test_describes_the_object_of_the_incident(self, client: KubernetesClient) -> None:
        text = run(client, "describe $RESOURCE")

        assert text.startswith("Events:")
        assert "kind: Deployment" in text
        assert "managedFields" not in text

    def test_reads_the_last_words_of_the_sickest_pod(self, client: KubernetesClient) -> None:
        assert run(client, "logs $POD --previous --tail=50").strip()

    def test_shows_usage_per_container(self, client: KubernetesClient) -> None:
        header, row = run(client, "top pod $POD --containers").splitlines()

        assert header.split() == ["POD", "CONTAINER", "CPU", "MEMORY"]
        assert row.split()[1] == "web"

    def test_shows_usage_of_nodes(self, client: KubernetesClient) -> None:
        assert len(run(client, "top nodes").splitlines()) > 2

    def test_shows_how_far_a_rollout_got(self, client: KubernetesClient) -> None:
        assert "of 3" in run(client, "rollout status deployment/$DEPLOYMENT")

    def test_pods_of_a_node_live_in_any_namespace(self, client: KubernetesClient) -> None:
        assert "namespace: shop" in run(client, "get pod $POD -o yaml", Target("Node", "node-1"))

    def test_an_unknown_object(self, client: KubernetesClient) -> None:
        with pytest.raises(NotFound):
            run(client, "get pod nothing")

    def test_a_placeholder_that_means_nothing_here(self, client: KubernetesClient) -> None:
        with pytest.raises(CommandError, match=r"\$NODE"):
            run(client, "describe node $NODE")

    def test_an_object_without_pods(self, client: KubernetesClient) -> None:
        with pytest.raises(ActionRefused, match="no pods"):
            run(client, "logs $POD", Target("Service", "checkout", "shop"))

    def test_never_changes_anything(self, client: KubernetesClient) -> None:
        with pytest.raises(CommandError, match="no diagnostic"):
            run(client, "rollout restart deployment/checkout")

    def test_hides_secrets(self, cluster: SimulatedCluster, client: KubernetesClient) -> None:
        env = [{"name": "DB_PASSWORD", "value": "hunter2-hunter2"}]
        container = {"name": "web", "image": "registry.example/secretive:1.0.0", "env": env}
        labels = {"app": "secretive"}
        cluster.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "secretive", "namespace": "shop"},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
                },
            }
        )

        text = run(client, "get deployment secretive -o yaml")

        assert "DB_PASSWORD" in text
        assert "hunter2" not in text


def test_every_kind_of_a_command_is_known_to_the_client() -> None:
    assert kubectl.KINDS.keys() <= KINDS.keys()
