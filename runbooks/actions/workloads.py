"""The siblings of the Deployment actions for StatefulSets and DaemonSets."""

from copy import deepcopy
from typing import Any

from runbooks.actions.base import (
    ActionRefused,
    Call,
    Change,
    Effect,
    Parameter,
    ParameterKind,
    PatchAction,
    Risk,
    controller_uid,
    listed,
    normalize,
)
from runbooks.actions.deployments import TEMPLATE, Restart, Scale, images_of
from runbooks.actions.patches import Edit
from runbooks.actions.selectors import query


class ScaleStatefulSet(Scale):
    name = "ScaleStatefulSet"
    kinds = frozenset({"StatefulSet"})


class RestartStatefulSet(Restart):
    name = "RestartStatefulSet"
    kinds = frozenset({"StatefulSet"})


class RestartDaemonSet(Restart):
    name = "RestartDaemonSet"
    kinds = frozenset({"DaemonSet"})


class RollbackByRevision(PatchAction):
    """Go back to the pod template that a ControllerRevision keeps.

    Nothing says whether such a revision ever served, so `healthy` is refused rather than guessed.
    """

    parameters = (Parameter("toRevision", ParameterKind.REVISION),)
    risk = Risk.MEDIUM

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        if (current["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
            raise ActionRefused(
                f"{call.target} updates its pods only when they are deleted; going back would do nothing"
            )
        chosen, newest = _choose(call, current, normalize(call.params).get("toRevision", "previous"))
        template = deepcopy(chosen["data"]["spec"]["template"])
        template.pop("$patch", None)
        return Change(
            summary=f"Roll {call.target} back from revision {newest} to {chosen['revision']} ({images_of(template)})",
            before=current,
            effect=Effect(restarts_pods=True),
            edits=(Edit(TEMPLATE, template),),
        )


def _choose(call: Call, workload: dict[str, Any], wanted: str) -> tuple[dict[str, Any], int]:
    """The revision to go to, and the number of the newest one: an old one that is used again becomes the newest."""
    selector = query(workload["spec"]["selector"])
    found = listed(call.client, "ControllerRevision", call.target.namespace, label_selector=selector)
    owned = [item for item in found if controller_uid(item) == workload["metadata"]["uid"]]
    owned.sort(key=lambda item: int(item["revision"]), reverse=True)
    if wanted == "healthy":
        raise ActionRefused(f"No revision of {call.target} is known to have been healthy")
    if len(owned) < 2:
        raise ActionRefused(f"{call.target} has only one revision; there is nothing to go back to")
    newest = int(owned[0]["revision"])
    if not wanted.isdigit():
        return owned[1], newest
    named = next((item for item in owned if int(item["revision"]) == int(wanted)), None)
    if named is None:
        raise ActionRefused(f"{call.target} has no revision {wanted}")
    return named, newest


class RollbackStatefulSet(RollbackByRevision):
    name = "RollbackStatefulSet"
    kinds = frozenset({"StatefulSet"})


class RollbackDaemonSet(RollbackByRevision):
    name = "RollbackDaemonSet"
    kinds = frozenset({"DaemonSet"})
