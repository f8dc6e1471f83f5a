"""Actions on Deployments: scale, restart, roll back."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

from aiops.api.formats import format_time
from runbooks.actions import patches
from runbooks.actions.base import (
    ActionRefused,
    Call,
    Change,
    Effect,
    Parameter,
    ParameterKind,
    PatchAction,
    Risk,
    Target,
    annotation,
    controller_uid,
    listed,
    normalize,
)
from runbooks.actions.patches import Edit
from runbooks.actions.selectors import query

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
RESTARTED_AT = patches.pointer("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
TEMPLATE = "/spec/template"


class Scale(PatchAction):
    """Set `spec.replicas`. Zero silences the workload and needs `containment`."""

    parameters = (
        Parameter("replicas", ParameterKind.INTEGER, required=True),
        Parameter("containment", ParameterKind.BOOLEAN),
    )
    risk = Risk.MEDIUM

    def cross_check(self, params: Mapping[str, str]) -> dict[str, list[str]]:
        if int(params["replicas"]) == 0 and params.get("containment") != "true":
            return {"replicas": ['0 needs containment "true"']}
        return {}

    def required_action(self, target: Target, params: Mapping[str, str]) -> str:
        return f"Repair {target} and scale it up again" if int(params["replicas"]) == 0 else ""

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        params = normalize(call.params)
        wanted, now = int(params["replicas"]), int(current["spec"].get("replicas", 1))
        return Change(
            summary=f"Scale {call.target} from {now} to {wanted} replicas",
            before=current,
            effect=Effect(replicas=(now, wanted), containment=params.get("containment") == "true"),
            edits=(Edit("/spec/replicas", wanted),),
        )


class Restart(PatchAction):
    """Replace the pods one after the other, by the annotation that `kubectl rollout restart` sets."""

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        if (current["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
            raise ActionRefused(
                f"{call.target} updates its pods only when they are deleted; a restart would do nothing"
            )
        if current["spec"].get("paused"):
            raise ActionRefused(f"The rollout of {call.target} is paused; a restart would do nothing")
        # where nobody said what time it is, the version that was read is as unique
        moment = format_time(call.at) if call.at else current["metadata"]["resourceVersion"]
        return Change(
            summary=f"Restart the pods of {call.target} one after the other",
            before=current,
            effect=Effect(restarts_pods=True),
            edits=(Edit(RESTARTED_AT, moment),),
        )

    def roll_back(self, call: Call, snapshot: Mapping[str, Any]) -> str:
        return f"The restart of {call.target} needs no way back"


class ScaleDeployment(Scale):
    name = "ScaleDeployment"
    kinds = frozenset({"Deployment"})


class RestartDeployment(Restart):
    name = "RestartDeployment"
    kinds = frozenset({"Deployment"})


class RollbackDeployment(PatchAction):
    """Go back to the pod template of an earlier revision.

    `previous` is the newest older revision, and of the older ones rather one that is known to have been available;
    `healthy` takes only such a one.
    """

    name = "RollbackDeployment"
    kinds = frozenset({"Deployment"})
    parameters = (Parameter("toRevision", ParameterKind.REVISION),)
    risk: ClassVar[Risk] = Risk.MEDIUM

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        if current["spec"].get("paused"):
            raise ActionRefused(f"The rollout of {call.target} is paused; going back would do nothing")
        wanted = normalize(call.params).get("toRevision", "previous")
        chosen = _choose(call, current, wanted)
        now = annotation(current, REVISION) or "?"
        template = _template(chosen)
        return Change(
            summary=f"Roll {call.target} back from revision {now} to {revision_of(chosen)} ({images_of(template)})",
            before=current,
            effect=Effect(restarts_pods=True),
            edits=(Edit(TEMPLATE, template),),
        )


def _choose(call: Call, deployment: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    selector = query(deployment["spec"]["selector"])
    sets = listed(call.client, "ReplicaSet", call.target.namespace, label_selector=selector)
    owned = [item for item in sets if controller_uid(item) == deployment["metadata"]["uid"]]
    owned.sort(key=revision_of, reverse=True)
    current = int(annotation(deployment, REVISION) or 0) or (revision_of(owned[0]) if owned else 0)
    older = [item for item in owned if revision_of(item) < current]
    if wanted.isdigit():
        named = next((item for item in owned if revision_of(item) == int(wanted)), None)
        if named is None:
            raise ActionRefused(f"{call.target} has no revision {wanted}")
        return named
    if not older:
        raise ActionRefused(f"{call.target} has only one revision; there is nothing to go back to")
    available = next((item for item in older if was_available(item)), None)
    if wanted == "healthy" and available is None:
        raise ActionRefused(f"No older revision of {call.target} is known to have been available")
    return available or older[0]


def revision_of(replica_set: Mapping[str, Any]) -> int:
    text = annotation(replica_set, REVISION)
    return int(text) if text.isdigit() else 0


def was_available(replica_set: Mapping[str, Any]) -> bool:
    """Whether pods of this revision serve right now: during a bad rollout the last good revision still does."""
    return int((replica_set.get("status") or {}).get("availableReplicas") or 0) > 0


def _template(replica_set: Mapping[str, Any]) -> dict[str, Any]:
    template = deepcopy(replica_set["spec"]["template"])
    # the controller adds the hash of the template as a label; carried over it would name the wrong revision
    (template["metadata"].get("labels") or {}).pop(HASH_LABEL, None)
    template["metadata"].pop("creationTimestamp", None)
    return dict(template)


def images_of(template: Mapping[str, Any]) -> str:
    return ", ".join(str(container.get("image")) for container in template["spec"].get("containers") or [])
