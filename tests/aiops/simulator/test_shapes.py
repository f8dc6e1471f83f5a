"""Objects of the simulated cluster beside recorded ones of a real cluster: the same members, of the same types."""

from typing import Any

import pytest

from aiops.simulator import workloads
from aiops.simulator.cluster import NODES
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.images import Behavior
from tests.aiops.simulator.conftest import container_states, recorded, waiting_reasons
from tests.aiops.simulator.http import ask

# What a real cluster adds and nobody here reads: bookkeeping of field owners, mounts of service account tokens, node images,
# empty annotations, the sums over containers for resizing in place.
LEFT_OUT = {
    "annotations",
    "managedFields", "kubectl.kubernetes.io/last-applied-configuration", "volumes", "volumeMounts", "user", "affinity",
    "hugepages-1Gi", "hugepages-2Mi", "InternalDNS", "daemonEndpoints", "images", "declaredFeatures", "serviceAccountToken",
}  # fmt: skip
# Members whose keys are data.
FREE = {"labels", "annotations", "matchLabels", "nodeSelector", "limits", "requests", "allocatedResources"}


def missing(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Members of the recorded object that ours lacks or holds in another type."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = []
        for key, value in theirs.items():
            if key in LEFT_OUT:
                continue
            if path == ".status" and key in ("allocatedResources", "resources"):
                continue
            if key not in ours:
                found.append(f"{path}.{key} is missing")
            elif key not in FREE:
                found += missing(value, ours[key], f"{path}.{key}")
        return found
    if isinstance(theirs, list) and isinstance(ours, list):
        return missing(theirs[0], ours[0], f"{path}[0]") if theirs and ours else []
    if type(theirs) is not type(ours):
        return [f"{path} is {type(ours).__name__}, not {type(theirs).__name__}"]
    return []


def first_item(cluster: SimulatedCluster, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    body = ask(cluster, "GET", path).body
    return body, body["items"][0]


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/api/v1/namespaces/shop/pods?labelSelector=app%3Dcheckout", "list-pods-page1"),
        (
            "/apis/apps/v1/namespaces/shop/deployments?fieldSelector=metadata.name%3Dcheckout",
            "list-deployments-healthy",
        ),
        ("/apis/apps/v1/namespaces/shop/replicasets?labelSelector=app%3Dcheckout", "list-replicasets-stuck-rollout"),
        ("/apis/apps/v1/namespaces/shop/statefulsets", "list-statefulsets"),
        ("/apis/apps/v1/namespaces/shop/daemonsets", "list-daemonsets"),
        ("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", "list-endpointslices"),
    ],
)
def test_a_healthy_list(cluster: SimulatedCluster, path: str, file: str) -> None:
    theirs = recorded(file)["body"]
    body, item = first_item(cluster, path)

    assert (body["kind"], body["apiVersion"]) == (theirs["kind"], theirs["apiVersion"])
    assert "kind" not in item
    assert missing(theirs["items"][0], item) == []


def test_a_failed_job(cluster: SimulatedCluster) -> None:
    cluster.set_behavior("registry.example/failing:1", Behavior(exit_code=3))
    cluster.apply(workloads.job("jobs", "import-fails", "registry.example/failing:1"))
    cluster.wait_for(lambda c: c.fetch("Job", "jobs", "import-fails")["status"].get("failed") == 2)

    theirs = recorded("list-jobs-failed")["body"]["items"][0]
    _, ours = first_item(cluster, "/apis/batch/v1/namespaces/jobs/jobs")

    theirs["spec"]["template"]["spec"]["containers"][0].pop("command")
    assert missing(theirs, ours) == []
    assert [(c["type"], c["reason"]) for c in ours["status"]["conditions"]] == [
        (c["type"], c["reason"]) for c in theirs["status"]["conditions"]
    ]


def test_a_pending_claim(cluster: SimulatedCluster) -> None:
    cluster.apply(workloads.claim("claims", "stuck", storage_class="nosuch"))

    _, ours = first_item(cluster, "/api/v1/namespaces/claims/persistentvolumeclaims")

    theirs = recorded("list-pvc-pending")["body"]["items"][0]
    assert missing(theirs, ours) == []
    assert ours["status"] == theirs["status"]


def test_a_disruption_budget(cluster: SimulatedCluster) -> None:
    cluster.apply(workloads.budget("shop", "checkout", min_available=3))
    cluster.wait_for(
        lambda c: c.fetch("PodDisruptionBudget", "shop", "checkout").get("status", {}).get("expectedPods") == 3
    )

    _, ours = first_item(cluster, "/apis/policy/v1/namespaces/shop/poddisruptionbudgets")

    theirs = recorded("list-pdb")["body"]["items"][0]
    keys = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    assert [ours["status"][k] for k in keys] == [theirs["status"][k] for k in keys]
    assert ours["status"]["conditions"][0]["reason"] == theirs["status"]["conditions"][0]["reason"]


def pull_messages(cluster: SimulatedCluster) -> list[str]:
    waiting = [state["state"].get("waiting", {}) for state in container_states(cluster, "checkout")]
    return [found["message"] for found in waiting if found.get("reason") == "ImagePullBackOff"]


class TestSickPods:
    def test_killed_for_memory(self) -> None:
        with SimulatedCluster(scenario="oom", speed=50) as cluster:
            cluster.wait_for(lambda c: "CrashLoopBackOff" in waiting_reasons(c, "ledger"))
            ours = next(
                p
                for p in ask(cluster, "GET", "/api/v1/namespaces/shop/pods?labelSelector=app%3Dledger").body["items"]
                if "terminated" in p["status"]["containerStatuses"][0]["lastState"]
            )

        theirs = recorded("pod-oom-crashloop")["body"]
        theirs["status"]["containerStatuses"][0].pop("state")
        assert missing({k: v for k, v in theirs.items() if k not in ("kind", "apiVersion")}, ours) == []
        ended = ours["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)

    def test_without_an_image(self) -> None:
        with SimulatedCluster(scenario="image-pull-error", speed=50) as cluster:
            ours = cluster.wait_for(pull_messages)[0]

        theirs = recorded("pod-image-pull-backoff")["body"]["status"]["containerStatuses"][0]["state"]["waiting"]
        assert ours.replace("checkout:missing", "ledger:2.0.0") == theirs["message"]

    def test_on_a_lost_node(self) -> None:
        with SimulatedCluster(scenario="node-failure", speed=50) as cluster:
            cluster.wait_for(lambda c: c.fetch("Node", "", "node-2")["spec"].get("taints"))
            ours, count = cluster.fetch("Node", "", "node-2"), len(cluster.list("Node"))
            pods = [p for p in cluster.list("Pod", "shop") if p["spec"].get("nodeName") == "node-2"]

        theirs = next(n for n in recorded("list-nodes-lost")["body"]["items"] if n["metadata"]["name"] == "node-1")
        assert count == NODES
        assert [(t["key"], t["effect"]) for t in ours["spec"]["taints"]] == [
            (t["key"], t["effect"]) for t in theirs["spec"]["taints"]
        ]
        assert [(c["type"], c["status"], c["reason"]) for c in ours["status"]["conditions"]] == [
            (c["type"], c["status"], c["reason"]) for c in theirs["status"]["conditions"]
        ]
        ready = recorded("list-pods-on-lost-node")["body"]["items"][0]["status"]["conditions"][2]
        assert {
            (c["status"], c.get("reason")) for p in pods for c in p["status"]["conditions"] if c["type"] == "Ready"
        } == {(ready["status"], ready.get("reason"))}
