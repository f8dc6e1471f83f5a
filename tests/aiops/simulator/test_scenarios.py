"""Each story reaches its trouble, and the right change ends it."""

from typing import Any

import pytest

from aiops.simulator import workloads
from aiops.simulator.cluster import Cluster
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.scenarios import SCENARIOS, begin
from tests.aiops.simulator.conftest import container_states, ready_everywhere, waiting_reasons

SPEED = 50


def progressing(cluster: SimulatedCluster, name: str) -> str:
    conditions = cluster.fetch("Deployment", "shop", name)["status"].get("conditions", ())
    return next((c["reason"] for c in conditions if c["type"] == "Progressing"), "")


def roll_back(cluster: SimulatedCluster, name: str, tag: str) -> None:
    cluster.set_image("shop", name, f"registry.example/{name}:{tag}")


def revisions(cluster: SimulatedCluster, name: str) -> dict[str, int]:
    """Replicas by revision of a deployment's ReplicaSets."""
    key = "deployment.kubernetes.io/revision"
    sets = [s for s in cluster.list("ReplicaSet", "shop") if s["metadata"]["labels"]["app"] == name]
    return {s["metadata"]["annotations"][key]: s["spec"]["replicas"] for s in sets}


def test_healthy_settles_and_then_rests() -> None:
    with SimulatedCluster(speed=SPEED) as cluster:
        cluster.wait_for(lambda c: all(ready_everywhere(c, d["metadata"]["name"]) for d in c.list("Deployment")))
        cluster.wait_for(lambda c: c.fetch("StatefulSet", "shop", "orders-db")["status"].get("readyReplicas") == 2)
        cluster.wait_for(lambda c: c.fetch("DaemonSet", "shop", "log-agent")["status"]["numberReady"] == 3)

        assert [e for e in cluster.list("Event") if e["type"] == "Warning"] == []


def test_crash_loop_is_cured_by_a_rollback() -> None:
    with SimulatedCluster(scenario="crash-loop", speed=SPEED) as cluster:
        cluster.wait_for(lambda c: "CrashLoopBackOff" in waiting_reasons(c, "checkout"))
        assert cluster.fetch("Deployment", "shop", "checkout")["status"]["readyReplicas"] == 3

        roll_back(cluster, "checkout", "1.4.0")

        cluster.wait_for(lambda c: ready_everywhere(c, "checkout"))
        assert revisions(cluster, "checkout") == {"2": 0, "3": 3}


def test_oom_is_cured_by_a_higher_limit() -> None:
    with SimulatedCluster(scenario="oom", speed=SPEED) as cluster:
        cluster.wait_for(
            lambda c: any(
                s["lastState"].get("terminated", {}).get("reason") == "OOMKilled" for s in container_states(c, "ledger")
            )
        )
        container = {"name": "web", "resources": {"limits": {"memory": "384Mi"}}}

        cluster.patch("Deployment", "shop", "ledger", {"spec": {"template": {"spec": {"containers": [container]}}}})

        cluster.wait_for(lambda c: ready_everywhere(c, "ledger"))
        cluster.wait_for(lambda c: {s["restartCount"] for s in container_states(c, "ledger")} == {0})


def test_image_pull_error_is_cured_by_a_rollback() -> None:
    with SimulatedCluster(scenario="image-pull-error", speed=SPEED) as cluster:
        cluster.wait_for(lambda c: waiting_reasons(c, "checkout") & {"ErrImagePull", "ImagePullBackOff"})

        roll_back(cluster, "checkout", "1.4.0")

        cluster.wait_for(lambda c: ready_everywhere(c, "checkout"))
        cluster.wait_for(lambda c: waiting_reasons(c, "checkout") == set())


def test_a_failed_node_loses_its_pods_and_comes_back() -> None:
    with SimulatedCluster(scenario="node-failure", speed=4 * SPEED) as cluster:
        cluster.wait_for(
            lambda c: any(k["status"] == "Unknown" for k in c.fetch("Node", "", "node-2")["status"]["conditions"])
        )
        cluster.wait_for(lambda c: all(ready_everywhere(c, d["metadata"]["name"]) for d in c.list("Deployment")), 20)
        assert all("deletionTimestamp" in p["metadata"] for p in movable_pods(cluster, "node-2"))

        cluster.restore_node("node-2")

        cluster.wait_for(lambda c: movable_pods(c, "node-2") == [])
        assert "taints" not in cluster.fetch("Node", "", "node-2")["spec"]


def movable_pods(cluster: SimulatedCluster, node: str) -> list[dict[str, Any]]:
    """Pods of deployments on a node; those of the daemon set stay wherever the node goes."""
    return [
        p
        for p in cluster.list("Pod", "shop")
        if p["spec"].get("nodeName") == node and p["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    ]


def test_a_stuck_rollout_is_cured_by_a_rollback() -> None:
    with SimulatedCluster(scenario="stuck-rollout", speed=SPEED) as cluster:
        cluster.wait_for(lambda c: progressing(c, "catalog") == "ProgressDeadlineExceeded")
        assert cluster.fetch("Deployment", "shop", "catalog")["status"]["readyReplicas"] == 2

        roll_back(cluster, "catalog", "3.0.0")

        cluster.wait_for(
            lambda c: ready_everywhere(c, "catalog") and progressing(c, "catalog") == "NewReplicaSetAvailable"
        )


def test_a_failed_job_succeeds_when_run_again() -> None:
    with SimulatedCluster(scenario="failed-job", speed=SPEED) as cluster:
        cluster.wait_for(lambda c: job_conditions(c) == {"FailureTarget", "Failed"})

        cluster.delete("Job", "shop", "import-feed")
        cluster.apply(workloads.job("shop", "import-feed", "registry.example/import:1.3.0"))

        cluster.wait_for(lambda c: job_conditions(c) == {"SuccessCriteriaMet", "Complete"})


def job_conditions(cluster: SimulatedCluster) -> set[str]:
    found = cluster.get("Job", "shop", "import-feed")
    return {c["type"] for c in found["status"].get("conditions", ())} if found else set()


def test_flapping_comes_and_goes() -> None:
    with SimulatedCluster(scenario="flapping", speed=SPEED) as cluster:
        for _ in range(2):
            cluster.wait_for(lambda c: readiness(c, "catalog") == {False})
            cluster.wait_for(lambda c: readiness(c, "catalog") == {True})


def readiness(cluster: SimulatedCluster, app: str) -> set[bool]:
    return {state["ready"] for state in container_states(cluster, app)}


def test_a_storm_makes_500_pods_sick() -> None:
    with SimulatedCluster(scenario="storm", speed=SPEED) as cluster:
        cluster.wait_for(lambda c: sick_pods(c) == 500, 30)

        assert len({p["metadata"]["namespace"] for p in cluster.list("Pod")}) == 5


def sick_pods(cluster: SimulatedCluster) -> int:
    statuses = [s for p in cluster.list("Pod") for s in p["status"].get("containerStatuses", ())]
    return sum(not s["ready"] and s["restartCount"] > 0 for s in statuses)


def test_the_demo_breaks_several_things() -> None:
    with SimulatedCluster(scenario="demo", speed=500) as cluster:
        cluster.wait_for(lambda c: waiting_reasons(c, "checkout"))
        cluster.wait_for(lambda c: waiting_reasons(c, "ledger", "payments"))
        cluster.wait_for(lambda c: waiting_reasons(c, "thumbnails", "media"))
        cluster.wait_for(lambda c: (c.get("Job", "media", "import-feed") or {"status": {}})["status"].get("failed"))
        cluster.wait_for(lambda c: c.fetch("Node", "", "node-3")["spec"].get("unschedulable"))


def test_an_unknown_scenario_is_refused_by_naming_the_known_ones() -> None:
    with pytest.raises(ValueError, match="healthy, crash-loop"):
        begin(Cluster(), "nosuch")


def test_every_scenario_says_what_it_is() -> None:
    assert all(scenario.description for scenario in SCENARIOS.values())
