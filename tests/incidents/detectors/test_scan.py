from datetime import timedelta

from incidents.detectors import Context, ResourceRef
from incidents.detectors.scan import Scanner, scan
from tests.incidents.detectors.objects import (
    NOON,
    ago,
    condition,
    container_status,
    ended,
    make_autoscaler,
    make_claim,
    make_deployment,
    make_event,
    make_node,
    make_object,
    make_pod,
    make_replica_set,
    owned_by,
    waiting,
)

OWNER = {"ownerReferences": owned_by("ReplicaSet", "checkout-abc")}
CHECKOUT = ResourceRef("Deployment", "shop", "checkout")


def make_crashing(number, minutes=1):
    status = waiting("CrashLoopBackOff", lastState=ended("Error", 1, ago(minutes=minutes)))
    return make_pod(f"checkout-{number}", status, metadata=OWNER)


def make_unready(name, node="node-1"):
    return make_pod(name, container_status(ready=False), metadata=OWNER, spec={"nodeName": node})


class TestGathering:
    def test_a_healthy_cluster_has_no_observation(self):
        assert scan([make_node(), make_deployment(), make_replica_set(), make_pod(metadata=OWNER)], now=NOON) == []

    def test_many_pods_of_one_workload_are_one_observation(self):
        pods = [make_crashing(number, minutes=number) for number in range(1, 9)]

        found = scan([make_replica_set(), *pods], now=NOON)

        assert [one.owner for one in found] == [CHECKOUT]
        signal = found[0].signal
        assert signal.evidence["pods"] == 8
        assert str(signal.evidence["podNames"]).count("checkout-") == 5
        assert signal.event_time == NOON - timedelta(minutes=8)
        assert "8 pods" in signal.message

    def test_a_silent_service_is_the_fault_of_the_workload_behind_it(self):
        service = make_object("Service", spec={"selector": {"app": "checkout"}})
        endpoints = make_object(
            "EndpointSlice",
            metadata={"labels": {"kubernetes.io/service-name": "checkout"}},
            endpoints=[{"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": "checkout-1"}}],
        )

        found = scan([service, endpoints, make_replica_set(), make_unready("checkout-1")], now=NOON)

        assert [one.owner for one in found if one.signal.condition == "service_no_endpoints"] == [CHECKOUT]

    def test_containers_are_told_apart(self):
        statuses = [waiting("CrashLoopBackOff", **{"name": name}) for name in ("web", "proxy")]

        found = scan([make_pod("checkout-1", *statuses)], now=NOON)

        assert {one.signal.discriminator for one in found} == {"web", "proxy"}

    def test_pages_of_pods_add_up(self):
        scanner = Scanner(Context(now=NOON))
        scanner.learn([make_replica_set()])
        for page in ([make_crashing(1), make_crashing(2)], [make_crashing(3)]):
            scanner.learn(page)
            scanner.examine(page)

        assert [one.signal.evidence["pods"] for one in scanner.observations()] == [3]


class TestParents:
    def test_a_lost_node_explains_its_pods(self):
        lost = make_node("node-1", condition("Ready", "Unknown"))
        found = scan([lost, make_replica_set(), make_deployment(available=1), make_unready("checkout-1")], now=NOON)

        parents = {one.signal.condition: one.parent for one in found}

        node = ResourceRef("Node", "", "node-1")
        assert parents == {"node_not_ready": None, "pod_not_ready": node, "replicas_unavailable": node}

    def test_a_lost_node_explains_missing_replicas_before_their_pods_are_judged(self):
        lost = make_node("node-1", condition("Ready", "Unknown"))
        pod = make_unready("checkout-1")
        for ready in pod["status"]["conditions"]:
            ready["lastTransitionTime"] = ago(minutes=6)
        status = {"conditions": [condition("Available", "False", "MinimumReplicasUnavailable")]}

        found = scan([lost, make_replica_set(), make_deployment(available=1, status=status), pod], now=NOON)

        parents = {one.signal.condition: one.parent for one in found}
        assert "pod_not_ready" not in parents
        assert parents["deployment_unavailable"] == ResourceRef("Node", "", "node-1")

    def test_a_pod_elsewhere_has_a_reason_of_its_own(self):
        nodes = [make_node("node-1", condition("Ready", "Unknown")), make_node("node-2")]
        found = scan(
            [*nodes, make_replica_set(), make_unready("checkout-1"), make_unready("checkout-2", "node-2")], now=NOON
        )

        assert [one.parent for one in found if one.signal.condition == "pod_not_ready"] == [None]

    def test_an_unbound_claim_explains_the_waiting_pod(self):
        claim = make_claim("Pending")
        scheduled = condition(
            "PodScheduled", "False", "Unschedulable", "pod has unbound immediate PersistentVolumeClaims"
        )
        pod = make_pod(
            spec={"nodeName": "", "volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]},
            status={"phase": "Pending", "conditions": [scheduled], "containerStatuses": []},
        )

        parents = {one.signal.condition: one.parent for one in scan([claim, pod], now=NOON)}

        assert parents["pod_unschedulable"] == ResourceRef("PersistentVolumeClaim", "shop", "data")

    def test_a_dead_metrics_api_explains_the_autoscalers(self):
        api = make_object(
            "APIService",
            "v1beta1.metrics.k8s.io",
            namespace="",
            status={"conditions": [condition("Available", "False")]},
        )
        autoscaler = make_autoscaler(condition("ScalingActive", "False", "FailedGetResourceMetric"))

        parents = {one.signal.condition: one.parent for one in scan([api, autoscaler], now=NOON)}

        assert parents["hpa_metrics_unavailable"] == ResourceRef("APIService", "", "v1beta1.metrics.k8s.io")


class TestWeight:
    def weight(self, *objects):
        return scan([make_replica_set(), *objects], now=NOON)[0].signal.weight

    def test_one_replica_out_of_many_weighs_less(self):
        healthy = [make_pod(f"checkout-{number}", metadata=OWNER) for number in (2, 3)]

        assert self.weight(make_crashing(1), *healthy) == 75 - 20

    def test_all_replicas_weigh_more(self):
        assert self.weight(make_crashing(1), make_crashing(2)) == 75 + 10

    def test_the_stage_of_the_namespace_counts(self):
        def namespace(stage):
            return make_object("Namespace", "shop", namespace="", metadata={"labels": {"env": stage}})

        pods = [make_crashing(1), make_crashing(2)]

        assert self.weight(*pods, namespace("production")) == 75 + 20
        assert self.weight(*pods, namespace("staging")) == 75 - 10

    def test_a_probe_failing_everywhere_is_high(self):
        pod = make_unready("checkout-1")
        event = make_event(pod, "Unhealthy", "Readiness probe failed")

        assert scan([make_replica_set(), pod, event], now=NOON)[0].signal.severity == "high"
