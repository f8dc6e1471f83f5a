import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from aiops.simulator.embedded import SimulatedCluster

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> dict[str, Any]:
    """What a real API server answered: `status` and `body`."""
    answer: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())["response"]
    return answer


def api_of(cluster: SimulatedCluster) -> client.ApiClient:
    """The official client, configured by the cluster's kubeconfig, that does not try again by itself."""
    loaded = client.Configuration()
    config.load_kube_config_from_dict(yaml.safe_load(cluster.kubeconfig), client_configuration=loaded)
    loaded.retries = False
    return client.ApiClient(loaded)


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedCluster]:
    """A healthy shop that the tests of a module share."""
    with SimulatedCluster(speed=50) as running:
        running.wait_for(lambda c: all(ready_everywhere(c, d["metadata"]["name"]) for d in c.list("Deployment")))
        running.wait_for(lambda c: c.fetch("StatefulSet", "shop", "orders-db")["status"].get("readyReplicas") == 2)
        yield running


@pytest.fixture
def core(cluster: SimulatedCluster) -> client.CoreV1Api:
    return client.CoreV1Api(api_of(cluster))


@pytest.fixture
def apps(cluster: SimulatedCluster) -> client.AppsV1Api:
    return client.AppsV1Api(api_of(cluster))


def ready_everywhere(cluster: SimulatedCluster, name: str, namespace: str = "shop") -> bool:
    """Whether the present generation of a deployment has finished its rollout."""
    found = cluster.get("Deployment", namespace, name)
    if found is None or found["status"].get("observedGeneration") != found["metadata"]["generation"]:
        return False
    status, wanted = found["status"], found["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return all(status.get(count, 0) == wanted for count in counts)


def container_states(cluster: SimulatedCluster, app: str, namespace: str = "shop") -> list[dict[str, Any]]:
    """The container statuses of an app's pods."""
    pods = [p for p in cluster.list("Pod", namespace) if p["metadata"]["labels"].get("app") == app]
    return [status for pod in pods for status in pod["status"].get("containerStatuses", ())]


def waiting_reasons(cluster: SimulatedCluster, app: str, namespace: str = "shop") -> set[str]:
    states = container_states(cluster, app, namespace)
    return {state["state"]["waiting"]["reason"] for state in states if "waiting" in state["state"]}
