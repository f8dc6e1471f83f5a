from collections.abc import Callable
from typing import Any

import pytest

from aiops.simulator import workloads
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.images import Behavior
from tests.aiops.simulator.conftest import ready_everywhere, waiting_reasons

IMAGE = "registry.example/web:1"


def reasons(cluster: SimulatedCluster, namespace: str) -> set[str]:
    return {event["reason"] for event in cluster.list("Event", namespace)}


def pods(cluster: SimulatedCluster, namespace: str) -> list[dict[str, Any]]:
    return cluster.list("Pod", namespace)


class TestDeployments:
    def test_own_their_pods_through_a_replica_set(self, cluster: SimulatedCluster) -> None:
        pod = next(p for p in pods(cluster, "shop") if p["metadata"]["labels"].get("app") == "checkout")
        owner = pod["metadata"]["ownerReferences"][0]
        replica_set = cluster.fetch(owner["kind"], "shop", owner["name"])

        assert replica_set["metadata"]["ownerReferences"][0]["name"] == "checkout"
        assert pod["metadata"]["name"].startswith(f"checkout-{pod['metadata']['labels']['pod-template-hash']}-")

    def test_never_fall_below_the_allowed_number(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("rolling", "web", IMAGE, replicas=4))
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "rolling"))
        seen = []

        cluster.set_image("rolling", "web", "registry.example/web:2")

        def is_done(c: SimulatedCluster) -> bool:
            seen.append(c.fetch("Deployment", "rolling", "web")["status"].get("availableReplicas", 0))
            return ready_everywhere(c, "web", "rolling")

        cluster.wait_for(is_done)
        assert min(seen) >= 3

    def test_wait_while_paused(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("paused", "web", IMAGE, replicas=1))
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "paused"))
        cluster.patch("Deployment", "paused", "web", {"spec": {"paused": True}})

        cluster.set_image("paused", "web", "registry.example/web:2")

        cluster.wait_for(lambda c: c.fetch("Deployment", "paused", "web")["status"]["observedGeneration"] == 3)
        assert len(cluster.list("ReplicaSet", "paused")) == 1

    def test_recreate_when_told_to(self, cluster: SimulatedCluster) -> None:
        manifest = workloads.deployment("recreated", "web", IMAGE, replicas=2)
        manifest["spec"]["strategy"] = {"type": "Recreate"}
        cluster.apply(manifest)
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "recreated"))

        cluster.set_image("recreated", "web", "registry.example/web:2")

        cluster.wait_for(lambda c: ready_everywhere(c, "web", "recreated"))
        assert {p["spec"]["containers"][0]["image"] for p in pods(cluster, "recreated")} == {"registry.example/web:2"}

    def test_restart_by_annotation(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("restarted", "web", IMAGE, replicas=2))
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "restarted"))
        before = {p["metadata"]["uid"] for p in pods(cluster, "restarted")}
        annotation = {"kubectl.kubernetes.io/restartedAt": "2027-04-12T12:00:00Z"}

        cluster.patch(
            "Deployment", "restarted", "web", {"spec": {"template": {"metadata": {"annotations": annotation}}}}
        )

        cluster.wait_for(lambda c: ready_everywhere(c, "web", "restarted"))
        cluster.wait_for(lambda c: not before & {p["metadata"]["uid"] for p in pods(c, "restarted")})

    def test_replace_a_deleted_pod(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("replaced", "web", IMAGE, replicas=1))
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "replaced"))
        name = pods(cluster, "replaced")[0]["metadata"]["name"]

        cluster.delete("Pod", "replaced", name)

        cluster.wait_for(lambda c: [p for p in pods(c, "replaced") if p["metadata"]["name"] != name])
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "replaced"))
        assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulled", "Started", "Killing"} <= reasons(
            cluster, "replaced"
        )

    def test_keep_as_many_old_replica_sets_as_asked(self, cluster: SimulatedCluster) -> None:
        manifest = workloads.deployment("history", "web", IMAGE, replicas=1)
        manifest["spec"]["revisionHistoryLimit"] = 1
        cluster.apply(manifest)
        for number in range(2, 5):
            cluster.wait_for(lambda c: ready_everywhere(c, "web", "history"))
            cluster.set_image("history", "web", f"registry.example/web:{number}")
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "history"))

        cluster.wait_for(lambda c: len(c.list("ReplicaSet", "history")) == 2)


class TestStatefulSets:
    def test_name_their_pods_and_update_them_from_the_last(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.stateful_set("stateful", "db", IMAGE, replicas=2))
        cluster.wait_for(lambda c: c.fetch("StatefulSet", "stateful", "db")["status"].get("readyReplicas") == 2)
        assert [p["metadata"]["name"] for p in pods(cluster, "stateful")] == ["db-0", "db-1"]

        cluster.set_image("stateful", "db", "registry.example/web:2", kind="StatefulSet")

        cluster.wait_for(
            lambda c: {p["spec"]["containers"][0]["image"] for p in pods(c, "stateful")} == {"registry.example/web:2"}
        )
        cluster.wait_for(lambda c: c.fetch("StatefulSet", "stateful", "db")["status"].get("readyReplicas") == 2)
        assert len(cluster.list("ControllerRevision", "stateful")) == 2

    def test_shrink_from_the_end(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.stateful_set("shrinking", "db", IMAGE, replicas=3))
        cluster.wait_for(lambda c: c.fetch("StatefulSet", "shrinking", "db")["status"].get("readyReplicas") == 3)

        cluster.patch("StatefulSet", "shrinking", "db", {"spec": {"replicas": 1}})

        cluster.wait_for(lambda c: [p["metadata"]["name"] for p in pods(c, "shrinking")] == ["db-0"])


class TestDaemonSets:
    def test_update_every_pod(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.daemon_set("daemons", "agent", IMAGE))
        cluster.wait_for(lambda c: c.fetch("DaemonSet", "daemons", "agent")["status"].get("numberReady") == 3)
        assert {p["spec"]["nodeName"] for p in pods(cluster, "daemons")} == {"node-1", "node-2", "node-3"}

        cluster.set_image("daemons", "agent", "registry.example/web:2", kind="DaemonSet")

        def is_updated(c: SimulatedCluster) -> bool:
            status = c.fetch("DaemonSet", "daemons", "agent")["status"]
            return bool(status.get("updatedNumberScheduled") == status.get("numberReady") == 3)

        cluster.wait_for(is_updated)


class TestJobs:
    def test_complete(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.job("work", "once", IMAGE))

        cluster.wait_for(lambda c: c.fetch("Job", "work", "once")["status"].get("succeeded") == 1)
        assert pods(cluster, "work")[0]["status"]["phase"] == "Succeeded"

    def test_wait_while_suspended(self, cluster: SimulatedCluster) -> None:
        manifest = workloads.job("suspended", "later", IMAGE)
        manifest["spec"]["suspend"] = True
        cluster.apply(manifest)
        cluster.wait_for(lambda c: c.fetch("Job", "suspended", "later")["status"].get("conditions"))
        assert pods(cluster, "suspended") == []

        cluster.patch("Job", "suspended", "later", {"spec": {"suspend": False}})

        cluster.wait_for(lambda c: c.fetch("Job", "suspended", "later")["status"].get("succeeded") == 1)


class TestScheduling:
    def test_leaves_pods_pending_that_fit_nowhere(self, cluster: SimulatedCluster) -> None:
        manifest = workloads.deployment("large", "web", IMAGE, replicas=1, memory="900Gi")
        manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] = {"memory": "800Gi"}
        cluster.apply(manifest)

        cluster.wait_for(lambda c: "FailedScheduling" in reasons(c, "large"))
        condition = pods(cluster, "large")[0]["status"]["conditions"][0]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "PodScheduled",
            "False",
            "Unschedulable",
        )
        assert "3 Insufficient memory" in condition["message"]

    def test_avoids_a_cordoned_node_until_it_is_free_again(self, cluster: SimulatedCluster) -> None:
        for number in (1, 2, 3):
            cluster.patch("Node", "", f"node-{number}", {"spec": {"unschedulable": True}})
        cluster.apply(workloads.deployment("cordoned", "web", IMAGE, replicas=1))
        cluster.wait_for(lambda c: "FailedScheduling" in reasons(c, "cordoned"))
        assert cluster.fetch("Node", "", "node-1")["spec"]["taints"][0]["key"] == "node.kubernetes.io/unschedulable"

        for number in (1, 2, 3):
            cluster.patch("Node", "", f"node-{number}", {"spec": {"unschedulable": None}})

        cluster.wait_for(lambda c: ready_everywhere(c, "web", "cordoned"))
        assert "taints" not in cluster.fetch("Node", "", "node-1")["spec"]

    def test_waits_for_a_volume(self, cluster: SimulatedCluster) -> None:
        manifest = workloads.deployment("volumes", "web", IMAGE, replicas=1)
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        manifest["spec"]["template"]["spec"]["volumes"] = [volume]
        cluster.apply(workloads.claim("volumes", "data", storage_class="nosuch"))
        cluster.apply(manifest)

        cluster.wait_for(lambda c: {"ProvisioningFailed", "FailedScheduling"} <= reasons(c, "volumes"))


class TestOthers:
    def test_claims_of_a_known_class_are_bound(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.claim("bound", "data", storage_class="standard"))

        cluster.wait_for(lambda c: c.fetch("PersistentVolumeClaim", "bound", "data")["status"]["phase"] == "Bound")

    def test_an_autoscaler_stops_at_its_maximum(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("scaled", "web", IMAGE, replicas=1))
        cluster.apply(workloads.autoscaler("scaled", "web", most=3, utilization=200))

        cluster.wait_for(lambda c: c.fetch("Deployment", "scaled", "web")["status"].get("readyReplicas") == 3)
        found = cluster.wait_for(
            lambda c: next(
                (
                    k
                    for k in c.fetch("HorizontalPodAutoscaler", "scaled", "web")["status"]["conditions"]
                    if k["type"] == "ScalingLimited" and k["status"] == "True"
                ),
                None,
            )
        )
        assert found and found["reason"] == "TooManyReplicas"

    def test_nodes_send_heartbeats(self) -> None:
        with SimulatedCluster(speed=2000) as cluster:
            first = cluster.fetch("Node", "", "node-1")["status"]["conditions"][0]

            later = cluster.wait_for(
                lambda c: [
                    k
                    for k in c.fetch("Node", "", "node-1")["status"]["conditions"]
                    if k["lastHeartbeatTime"] > first["lastHeartbeatTime"]
                ]
            )

            assert later[0]["lastTransitionTime"] == first["lastTransitionTime"]

    @pytest.mark.parametrize("kind", ["MemoryPressure", "DiskPressure", "PIDPressure"])
    def test_pressure_comes_and_goes(self, cluster: SimulatedCluster, kind: str) -> None:
        cluster.press_node("node-1", kind)
        cluster.wait_for(lambda c: c.fetch("Node", "", "node-1")["spec"].get("taints"))

        cluster.press_node("node-1", kind, is_high=False)

        cluster.wait_for(lambda c: not c.fetch("Node", "", "node-1")["spec"].get("taints"))


class TestBreakingAndHealing:
    @pytest.mark.parametrize(
        ("how", "is_sick"),
        [
            ("crash-loop", lambda c: "CrashLoopBackOff" in waiting_reasons(c, "web", "broken")),
            ("oom", lambda c: "CrashLoopBackOff" in waiting_reasons(c, "web", "broken")),
            ("image-pull", lambda c: "ImagePullBackOff" in waiting_reasons(c, "web", "broken")),
            ("config-error", lambda c: "CreateContainerConfigError" in waiting_reasons(c, "web", "broken")),
            ("not-ready", lambda c: not c.fetch("Deployment", "broken", "web")["status"].get("readyReplicas")),
        ],
    )
    def test_a_broken_workload_heals(
        self, cluster: SimulatedCluster, how: str, is_sick: Callable[[SimulatedCluster], bool]
    ) -> None:
        cluster.apply(workloads.deployment("broken", "web", "registry.example/frail:1", replicas=2))
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "broken"))
        cluster.break_workload("broken", "web", how)
        cluster.wait_for(is_sick)

        cluster.heal("broken", "web")

        cluster.wait_for(lambda c: ready_everywhere(c, "web", "broken"))

    def test_a_wedged_pod_is_cured_by_replacing_it(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("wedged", "web", IMAGE, replicas=1))
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "wedged"))
        cluster.break_workload("wedged", "web", "not-ready")
        cluster.wait_for(lambda c: not ready_everywhere(c, "web", "wedged"))

        cluster.delete("Pod", "wedged", pods(cluster, "wedged")[0]["metadata"]["name"])

        cluster.wait_for(lambda c: ready_everywhere(c, "web", "wedged"))

    def test_an_unknown_illness_is_refused(self, cluster: SimulatedCluster) -> None:
        with pytest.raises(ValueError, match="crash-loop"):
            cluster.break_workload("shop", "checkout", "nosuch")


def test_restarts_are_counted_and_explained(cluster: SimulatedCluster) -> None:
    cluster.set_behavior("registry.example/dies:1", Behavior(exit_code=2, ready=False, log=("bye",)))
    cluster.apply(workloads.deployment("dying", "web", "registry.example/dies:1", replicas=1))

    cluster.wait_for(
        lambda c: pods(c, "dying") and pods(c, "dying")[0]["status"]["containerStatuses"][0]["restartCount"] >= 3
    )
    ended = pods(cluster, "dying")[0]["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (2, "Error")
    assert "BackOff" in reasons(cluster, "dying")
