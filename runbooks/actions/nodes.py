"""Actions on nodes: cordon and uncordon."""

from collections.abc import Mapping
from typing import Any

from runbooks.actions.base import (
    ActionRefused,
    Call,
    Change,
    Effect,
    Parameter,
    ParameterKind,
    PatchAction,
    Target,
    normalize,
)
from runbooks.actions.patches import ABSENT, Edit

CORDONED = "/spec/unschedulable"


class NodeAction(PatchAction):
    """Works on the node that `node` names, else on the target, if that is a node."""

    kinds = frozenset({"Node"})
    parameters = (Parameter("node", ParameterKind.NAME),)

    def located(self, call: Call) -> Target:
        name = normalize(call.params).get("node")
        if name:
            return Target("Node", name)
        if call.target.kind != "Node":
            raise ActionRefused(f"{self.name} needs the name of a node")
        return Target("Node", call.target.name)


class CordonNode(NodeAction):
    """No new pods on the node; those that run there stay."""

    name = "CordonNode"

    def required_action(self, target: Target, params: Mapping[str, str]) -> str:
        # on behalf of a workload it is a means; for the node itself it only keeps pods away from the trouble
        return f"Repair {target} and uncordon it" if target.kind == "Node" else ""

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        node = current["metadata"]["name"]
        return Change(
            summary=f"Cordon Node/{node}: no new pods are placed there",
            before=current,
            effect=Effect(cordons=node),
            edits=(Edit(CORDONED, True),),
        )


class UncordonNode(NodeAction):
    """The node takes pods again."""

    name = "UncordonNode"

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        node = current["metadata"]["name"]
        return Change(
            summary=f"Uncordon Node/{node}: it takes pods again", before=current, edits=(Edit(CORDONED, ABSENT),)
        )
