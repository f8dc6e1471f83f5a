"""AdjustResources: requests and limits of one container of a workload."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from aiops import quantities
from runbooks.actions import patches
from runbooks.actions.base import (
    ActionRefused,
    Call,
    Change,
    Effect,
    Parameter,
    ParameterKind,
    PatchAction,
    ResourceChange,
    Risk,
    normalize,
)
from runbooks.actions.patches import Edit

# parameter -> resource, bound
MEMBERS = {
    "memoryLimit": ("memory", "limits"),
    "memoryRequest": ("memory", "requests"),
    "cpuLimit": ("cpu", "limits"),
    "cpuRequest": ("cpu", "requests"),
}
RENDER = {"memory": quantities.memory, "cpu": quantities.cpu}


class AdjustResources(PatchAction):
    """Change requests and limits; amounts are quantities or percentages of the current value (`150%`).

    Works on the named container, else on the first one. Replaces the pods.
    """

    name = "AdjustResources"
    kinds = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
    parameters = (
        Parameter("container", ParameterKind.NAME),
        *(Parameter(name, ParameterKind.AMOUNT) for name in MEMBERS),
    )
    risk = Risk.MEDIUM

    def cross_check(self, params: Mapping[str, str]) -> dict[str, list[str]]:
        if not MEMBERS.keys() & params.keys():
            return {"memoryLimit": [f"at least one of {', '.join(MEMBERS)} is required"]}
        return {
            f"{resource}Limit": [f"is below {resource}Request"]
            for resource in ("memory", "cpu")
            if _is_below(params.get(f"{resource}Limit"), params.get(f"{resource}Request"))
        }

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        params = normalize(call.params)
        containers = current["spec"]["template"]["spec"]["containers"]
        index = _index(containers, params.get("container"), call)
        container = containers[index]
        changes = tuple(_change(container, name, params[name]) for name in MEMBERS if name in params)
        resources = _applied(container, changes)
        _check_order(container["name"], resources)
        return Change(
            summary=f"Set {_sentence(changes)} of container {container['name']} of {call.target}",
            before=current,
            effect=Effect(resources=changes, restarts_pods=True),
            edits=(Edit(patches.pointer("spec", "template", "spec", "containers", index, "resources"), resources),),
        )


class AdjustStatefulSetResources(AdjustResources):
    name = "AdjustStatefulSetResources"
    kinds = frozenset({"StatefulSet"})


class AdjustDaemonSetResources(AdjustResources):
    name = "AdjustDaemonSetResources"
    kinds = frozenset({"DaemonSet"})


def _is_below(limit: str | None, request: str | None) -> bool:
    if not limit or not request or "%" in limit + request:
        return False
    return quantities.parse(limit) < quantities.parse(request)


def _index(containers: list[dict[str, Any]], name: str | None, call: Call) -> int:
    if name is None:
        return 0
    for index, container in enumerate(containers):
        if container["name"] == name:
            return index
    raise ActionRefused(f"{call.target} has no container {name}")


def _change(container: Mapping[str, Any], parameter: str, amount: str) -> ResourceChange:
    resource, bound = MEMBERS[parameter]
    text = ((container.get("resources") or {}).get(bound) or {}).get(resource)
    current = quantities.parse(str(text)) if text is not None else None
    share = quantities.percentage(amount)
    if share is None:
        wanted = quantities.parse(amount)
    elif current is None:
        raise ActionRefused(f"Container {container['name']} has no {parameter}, so {amount} of it is nothing")
    else:
        wanted = current * Decimal(share) / 100
    return ResourceChange(str(container["name"]), resource, bound, current, wanted)


def _applied(container: Mapping[str, Any], changes: tuple[ResourceChange, ...]) -> dict[str, Any]:
    now = container.get("resources") or {}
    resources = {**now, "limits": dict(now.get("limits") or {}), "requests": dict(now.get("requests") or {})}
    for change in changes:
        resources[change.bound][change.resource] = RENDER[change.resource](change.wanted)
    return {name: value for name, value in resources.items() if value}


def _check_order(container: str, resources: Mapping[str, Any]) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for resource in limits.keys() & requests.keys() & RENDER.keys():
        if quantities.parse(str(limits[resource])) < quantities.parse(str(requests[resource])):
            raise ActionRefused(f"The {resource} limit of container {container} would be below its request")


def _sentence(changes: tuple[ResourceChange, ...]) -> str:
    words = {"limits": "limit", "requests": "request"}
    parts = []
    for change in changes:
        render = RENDER[change.resource]
        was = render(change.current) if change.current is not None else "none"
        parts.append(f"the {change.resource} {words[change.bound]} from {was} to {render(change.wanted)}")
    return " and ".join(parts)
