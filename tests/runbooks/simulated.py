"""Short questions to a simulated cluster."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from aiops.clients.errors import VersionConflict
from aiops.simulator.embedded import SimulatedCluster

T = TypeVar("T")


def deployment(cluster: SimulatedCluster, name: str = "checkout", namespace: str = "shop") -> dict[str, Any]:
    found = cluster.get("Deployment", namespace, name)
    assert found is not None
    return found


def is_settled(cluster: SimulatedCluster, name: str = "checkout", namespace: str = "shop") -> bool:
    """All replicas are updated and available, and no old ones are left."""
    obj = deployment(cluster, name, namespace)
    status, wanted = obj.get("status", {}), obj["spec"]["replicas"]
    counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == obj["metadata"]["generation"] and counts == [wanted] * 3


def settled(cluster: SimulatedCluster, name: str = "checkout", namespace: str = "shop") -> dict[str, Any]:
    cluster.wait_for(lambda c: is_settled(c, name, namespace))
    return deployment(cluster, name, namespace)


def is_crashing(cluster: SimulatedCluster, name: str = "checkout", namespace: str = "shop") -> bool:
    pods = [pod for pod in cluster.list("Pod", namespace) if pod["metadata"]["name"].startswith(f"{name}-")]
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
    return any(status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" for status in statuses)


def insisting(work: Callable[[], T], tries: int = 20) -> T:
    """The result of `work`, which is repeated while the cluster's own controllers write faster."""
    for _ in range(tries - 1):
        with suppress(VersionConflict):
            return work()
    return work()


def image_of(obj: dict[str, Any]) -> str:
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"])
