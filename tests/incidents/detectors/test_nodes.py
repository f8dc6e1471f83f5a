import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import (
    ago,
    condition,
    conditions_in,
    look,
    make_event,
    make_node,
    make_object,
    make_pod,
)


def make_sick(status="False", since=None, **members):
    return make_node("node-1", condition("Ready", status, "KubeletNotReady", since=since), **members)


class TestReadiness:
    def test_a_ready_node_is_healthy(self):
        assert look(make_node()).verdict is Verdict.HEALTHY

    def test_a_silent_node_is_critical_after_a_minute(self):
        signal = look(make_sick("Unknown", ago(minutes=2))).signals[0]

        assert (signal.condition, signal.severity, signal.weight) == ("node_not_ready", "critical", 90)

    @pytest.mark.parametrize(("minutes", "verdict"), [(4, Verdict.PROGRESSING), (6, Verdict.ANOMALOUS)])
    def test_an_unready_node_has_five_minutes(self, minutes, verdict):
        assert look(make_sick("False", ago(minutes=minutes))).verdict is verdict

    def test_a_new_node_may_still_join(self):
        assert look(make_sick(metadata={"creationTimestamp": ago(minutes=3)})).verdict is Verdict.PROGRESSING

    def test_maintenance_is_informational(self):
        finding = look(make_sick(spec={"unschedulable": True}))

        assert finding.verdict is Verdict.HEALTHY
        assert finding.signals[0].informational

    def test_a_node_on_its_way_out_is_left_alone(self):
        finding = look(make_sick(spec={"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}))

        assert (finding.verdict, finding.signals) == (Verdict.PROGRESSING, ())

    def test_a_node_without_conditions_or_age_is_not_called_sick(self):
        node = make_object("Node", "node-1", namespace="", metadata={"creationTimestamp": None}, status={})

        assert look(node).verdict is Verdict.HEALTHY

    def test_a_lost_node_is_one_fault(self):
        unknown = [condition(kind, "Unknown") for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")]

        taint = {"key": "node.kubernetes.io/unreachable", "timeAdded": ago(minutes=20)}

        assert conditions_in(look(make_node("node-1", *unknown, spec={"taints": [taint]}))) == ["node_not_ready"]


class TestPressure:
    @pytest.mark.parametrize(
        ("kind", "signal_type"),
        [("MemoryPressure", "memory_high"), ("DiskPressure", "disk_pressure"), ("PIDPressure", "pid_pressure")],
    )
    def test_fires_whatever_the_message_says(self, kind, signal_type):
        node = make_node("node-1", condition("Ready"), condition(kind, message="kubelet has sufficient memory"))

        signal = look(node).signals[0]

        assert (signal.condition, signal.signal_type, signal.discriminator) == ("node_pressure", signal_type, kind)

    def test_has_two_minutes(self):
        node = make_node("node-1", condition("Ready"), condition("DiskPressure", since=ago(minutes=1)))

        assert look(node).verdict is Verdict.PROGRESSING

    def test_is_high_when_pods_were_evicted(self):
        node = make_node("node-1", condition("Ready"), condition("MemoryPressure"))
        evicted = make_pod(status={"phase": "Failed", "reason": "Evicted"})

        assert look(node, evicted).signals[0].severity == "high"

    def test_an_unknown_condition_type_is_not_bad(self):
        node = make_node("node-1", condition("Ready"), condition("EtcdIsVoter"))

        assert look(node).verdict is Verdict.HEALTHY


class TestOtherConditions:
    def test_a_missing_network_fires(self):
        node = make_node("node-1", condition("Ready"), condition("NetworkUnavailable"))

        assert look(node).signals[0].signal_type == "network_unavailable"

    def test_a_kernel_problem_fires(self):
        node = make_node("node-1", condition("Ready"), condition("KernelDeadlock", message="docker hung"))

        assert conditions_in(look(node)) == ["node_kernel_problem"]

    def test_a_kernel_event_fires_while_it_is_news(self):
        node = make_node()

        assert conditions_in(look(node, make_event(node, "SystemOOM", "victim process: java"))) == ["node_kernel_event"]
        assert look(node, make_event(node, "SystemOOM", at=ago(hours=2))).signals == ()

    def test_a_full_node_is_informational(self):
        pods = [make_pod(f"checkout-{number}") for number in range(4)]

        finding = look(make_node(status={"capacity": {"pods": "4"}}), *pods)

        assert (finding.verdict, finding.signals[0].signal_type) == (Verdict.HEALTHY, "pod_capacity_high")
