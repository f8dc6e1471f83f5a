"""Rules on Nodes (rule book 4.5)."""

from collections.abc import Iterator
from dataclasses import replace

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Signal, Verdict, signal
from incidents.detectors.fields import ABSENT, Condition, Obj, mapping, number_of, objects, parse_time, text

_PRESSURES = {
    "MemoryPressure": "memory_high",
    "DiskPressure": "disk_pressure",
    "PIDPressure": "pid_pressure",
}
# node-problem-detector's conditions, all of them good when False; other types (EtcdIsVoter) are unknown, not bad
_KERNEL_PROBLEMS = frozenset(
    {
        "KernelDeadlock",
        "ReadonlyFilesystem",
        "CorruptDockerOverlay2",
        "FrequentKubeletRestart",
        "FrequentDockerRestart",
        "FrequentContainerdRestart",
        "FrequentUnregisterNetDevice",
        "ContainerRuntimeUnhealthy",
        "KubeletUnhealthy",
        "XfsShutdown",
        "CperHardwareErrorFatal",
        "DiskBadBlock",
        "NTPProblem",
    }
)
_KERNEL_EVENTS = frozenset(
    {
        "OOMKilling",
        "SystemOOM",
        "TaskHung",
        "KernelOops",
        "Ext4Error",
        "IOError",
        "MemoryReadError",
        "InvalidDiskCapacity",
        "FreeDiskSpaceFailed",
        "Rebooted",
    }
)
_LEAVING_TAINTS = frozenset(
    {
        "ToBeDeletedByClusterAutoscaler",
        "aws-node-termination-handler/spot-itn",
        "cloud.google.com/impending-node-termination",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
    }
)
_UNREACHABLE = "node.kubernetes.io/unreachable"
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def judge(node: Obj, context: Context) -> Iterator[Outcome]:
    """What is wrong with the node; each signal says what the node runs on, which nodes of other clusters may share."""
    image = image_of(node)
    for outcome in _judge(node, context):
        if isinstance(outcome, Signal) and image:
            yield replace(outcome, evidence={**outcome.evidence, "nodeImage": image})
        else:
            yield outcome


def image_of(node: Obj) -> str:
    """Operating system, kernel and kubelet of the node, as it reports them; '' when it reports none."""
    info = mapping(fields.status(node).get("nodeInfo"))
    return ", ".join(filter(None, (text(info.get(key)) for key in ("osImage", "kernelVersion", "kubeletVersion"))))[
        :253
    ]


def _judge(node: Obj, context: Context) -> Iterator[Outcome]:
    conditions = fields.conditions(node)
    taints = {text(taint.get("key")): taint for taint in objects(fields.spec(node).get("taints"))}
    if fields.is_deleting(node) or not _LEAVING_TAINTS.isdisjoint(taints):
        yield Verdict.PROGRESSING
        return
    if context.is_recent(fields.created_at(node), context.thresholds.node_new):
        if not conditions.get("Ready", ABSENT).is_true:
            yield Verdict.PROGRESSING
        return
    is_cordoned = fields.spec(node).get("unschedulable") is True
    not_ready = list(_readiness(node, conditions, is_cordoned, context))
    yield from not_ready
    if not not_ready:
        yield from _unreachable(node, taints, context)
        yield from _unknown_conditions(node, conditions, context)
    yield from _pressures(node, conditions, is_cordoned, context)
    yield from _network(node, conditions, context)
    yield from _kernel(node, conditions, context)
    yield from _hygiene(node, taints, is_cordoned, context)


def _readiness(node: Obj, conditions: dict[str, Condition], is_cordoned: bool, context: Context) -> Iterator[Outcome]:
    ready = conditions.get("Ready", ABSENT)
    if not (ready.is_false or ready.is_unknown):
        return
    limits = context.thresholds
    if not context.held(ready.since, limits.node_unknown if ready.is_unknown else limits.node_not_ready):
        yield Verdict.PROGRESSING
        return
    says = "does not report any more" if ready.is_unknown else f"is not ready: {ready.message}"
    severity, weight = ("critical", 90) if ready.is_unknown else ("high", 80)
    if is_cordoned:  # somebody is working on it
        severity, weight = "low", 20
    yield signal(
        "node_not_ready",
        node,
        reason=ready.reason or "NotReady",
        message=f"Node {says}",
        at=ready.since,
        severity=severity,
        weight=weight,
        informational=is_cordoned,
        evidence={"ready": ready.status, "cordoned": str(is_cordoned).lower()},
    )


def _unreachable(node: Obj, taints: dict[str, Obj], context: Context) -> Iterator[Outcome]:
    taint = taints.get(_UNREACHABLE)
    if taint is None:
        return
    since = parse_time(taint.get("timeAdded"))
    if context.held(since, context.thresholds.node_unreachable):
        yield signal("node_unreachable", node, reason="Unreachable", message="Node is unreachable", at=since)
    else:
        yield Verdict.PROGRESSING


def _unknown_conditions(node: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    """Only when Ready itself is known: a lost node's conditions are all unknown, and that is one fault."""
    for kind in _PRESSURES:
        condition = conditions.get(kind, ABSENT)
        if not condition.is_unknown:
            continue
        if context.held(condition.since, context.thresholds.node_pressure):
            yield signal(
                "node_condition_unknown",
                node,
                reason=condition.reason or "Unknown",
                message=f"The state of {kind} is unknown: {condition.message}",
                at=condition.since,
                discriminator=kind,
            )
        else:
            yield Verdict.PROGRESSING


def _pressures(node: Obj, conditions: dict[str, Condition], is_cordoned: bool, context: Context) -> Iterator[Outcome]:
    for kind, signal_type in _PRESSURES.items():
        condition = conditions.get(kind, ABSENT)
        if not condition.is_true:
            continue
        if not context.held(condition.since, context.thresholds.node_pressure):
            yield Verdict.PROGRESSING
            continue
        evicted = context.related.node_evictions[text(fields.metadata(node).get("name"))]
        # the message is the kubelet's and may contradict the status, so it is not repeated
        yield signal(
            "node_pressure",
            node,
            signal_type=signal_type,
            reason=condition.reason or kind,
            message=f"Node reports {kind}" + (f", {evicted} pods were evicted" if evicted else ""),
            at=condition.since,
            discriminator=kind,
            severity="high" if evicted and not is_cordoned else None,
            weight=75 if evicted and not is_cordoned else None,
            evidence={"evictedPods": evicted},
        )


def _network(node: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    network = conditions.get("NetworkUnavailable", ABSENT)
    if not network.is_true:
        return
    if not context.held(network.since, context.thresholds.node_network):
        yield Verdict.PROGRESSING
        return
    yield signal(
        "node_network_unavailable",
        node,
        reason=network.reason or "NetworkUnavailable",
        message="The network of the node is not set up",
        at=network.since,
    )


def _kernel(node: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    for condition in conditions.values():
        if condition.type in _KERNEL_PROBLEMS and condition.is_true:
            yield signal(
                "node_kernel_problem",
                node,
                reason=condition.reason or condition.type,
                message=f"{condition.type}: {condition.message}",
                at=condition.since,
                discriminator=condition.type,
            )
    for event in context.related.events_with(node, _KERNEL_EVENTS):
        if event.is_warning and context.is_recent(event.at, context.thresholds.event_age):
            yield signal(
                "node_kernel_event",
                node,
                reason=event.reason,
                message=event.message,
                at=event.at,
                discriminator=event.reason,
            )


def _hygiene(node: Obj, taints: dict[str, Obj], is_cordoned: bool, context: Context) -> Iterator[Outcome]:
    added = parse_time(taints.get(_UNSCHEDULABLE, {}).get("timeAdded"))
    if is_cordoned and added is not None and context.held(added, context.thresholds.node_cordoned):
        yield signal("node_cordoned_long", node, reason="Cordoned", message="Node has been cordoned for long", at=added)
    capacity = number_of(mapping(fields.status(node).get("capacity")).get("pods"))
    running = context.related.node_pods[text(fields.metadata(node).get("name"))]
    if capacity > 1 and running > capacity * context.thresholds.node_pod_share:
        yield signal(
            "node_pods_near_capacity",
            node,
            reason="PodCapacityHigh",
            message=f"{running} of {capacity} possible pods run on the node",
            evidence={"pods": running, "capacity": capacity},
        )
