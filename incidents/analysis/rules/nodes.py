"""Nodes: gone, under pressure, or set aside and forgotten."""

from incidents.analysis.actions import Suggestion
from incidents.analysis.context import Context, Node
from incidents.analysis.hypothesis import Category, Hypothesis

AWAY = ("node_not_ready", "node_unreachable", "node_condition_unknown", "network_unavailable", "node_kernel_problem")
PRESSED = ("disk_pressure", "memory_high", "pid_pressure", "node_pressure")
CORDONED = ("node_cordoned_long",)


def node_away(context: Context) -> Hypothesis | None:
    """Its kubelet does not report: keep new pods away; what runs there moves by itself after a while."""
    node = _node(context)
    if node is None:
        return None
    if node.ready == "True" and not context.shows(*AWAY):
        return None
    if node.ready == "True" and node.healthy and not context.shows("node_kernel_problem", "network_unavailable"):
        return None
    if node.ready != "True":
        told = node.message or "no reason given"
        cause = f"Node {node.name} is not ready (Ready={node.ready or 'absent'}): {told}"
    else:
        fault = context.fault(*AWAY)
        cause = f"Node {node.name} reports a fault: {fault.description if fault else 'unknown'}"
    return Hypothesis(
        cause=cause,
        category=Category.INFRASTRUCTURE,
        confidence=0.8,
        evidence=(f"Ready={node.ready or 'absent'}: {node.message}".rstrip(": "), *_events(context)),
        recommendations=(
            "Look at the machine, its network and its kubelet.",
            "Drain the node if it does not come back; its pods are replaced elsewhere.",
        ),
        options=_cordon(node, "New pods would not start on it"),
    )


def node_pressed(context: Context) -> Hypothesis | None:
    """Disk, memory or process numbers run out: no new pods until somebody made room."""
    node = _node(context)
    if node is None or not (node.pressures or context.shows(*PRESSED)):
        return None
    names = ", ".join(node.pressures) or "pressure"
    return Hypothesis(
        cause=f"Node {node.name} is under {names}",
        category=Category.CAPACITY,
        confidence=0.7 if node.pressures else 0.5,
        evidence=(*((f"Conditions: {names}",) if node.pressures else ()), *_events(context)),
        recommendations=("Free what fills it (images, logs, volumes, large pods), or give it more.",),
        options=_cordon(node, "More pods would make it worse"),
    )


def node_set_aside(context: Context) -> Hypothesis | None:
    """Cordoned and healthy: whoever did it may have forgotten."""
    node = _node(context)
    if node is None or not node.cordoned or not node.healthy:
        return None
    return Hypothesis(
        cause=f"Node {node.name} is healthy but cordoned: it takes no new pods",
        category=Category.INFRASTRUCTURE,
        confidence=0.6,
        evidence=("spec.unschedulable is true, the node is ready and under no pressure",),
        recommendations=("Ask whether maintenance is under way before the node is opened again.",),
        options=(Suggestion("UncordonNode", "Open the node", "It is healthy again", {"node": node.name}),),
    )


def pods_of_a_lost_node(context: Context) -> Hypothesis | None:
    """A workload that suffers because a node under it does."""
    lost = next((node for node in context.nodes if node.ready in {"False", "Unknown"}), None)
    if context.kind == "Node" or lost is None:
        return None
    return Hypothesis(
        cause=f"Its pods on node {lost.name} are lost: the node is not ready",
        category=Category.INFRASTRUCTURE,
        confidence=0.85,
        evidence=(f"Node {lost.name}: Ready={lost.ready}, {lost.message}",),
        recommendations=("Repair or replace the node; the pods move to others once they are evicted.",),
        options=_cordon(lost, "New pods would not start on it"),
    )


def _node(context: Context) -> Node | None:
    if context.kind != "Node":
        return None
    return next((node for node in context.nodes if node.name == context.name), None)


def _cordon(node: Node, why: str) -> tuple[Suggestion, ...]:
    """Never twice: a cordoned node is cordoned."""
    if node.cordoned:
        return ()
    return (Suggestion("CordonNode", f"Cordon {node.name}", why, {"node": node.name}),)


def _events(context: Context) -> tuple[str, ...]:
    return tuple(f"Event {event}" for event in context.events)[:3]


RULES = (node_away, node_pressed, node_set_aside, pods_of_a_lost_node)
