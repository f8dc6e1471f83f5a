"""Actions that set single fields: suspend and resume Jobs and CronJobs, the bounds of an autoscaler."""

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
    Risk,
    Target,
    listed,
    normalize,
)
from runbooks.actions.patches import Edit


class Suspension(PatchAction):
    """Set `spec.suspend`. A Job that is suspended loses its pods; a CronJob starts no more Jobs."""

    suspend: bool

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        verb = "Suspend" if self.suspend else "Resume"
        # an absent field means the same as false
        if bool(current["spec"].get("suspend")) is self.suspend:
            raise ActionRefused(f"{call.target} is already {'suspended' if self.suspend else 'running'}")
        return Change(f"{verb} {call.target}", current, edits=(Edit("/spec/suspend", self.suspend),))


class SuspendJob(Suspension):
    name, kinds, suspend = "SuspendJob", frozenset({"Job"}), True


class ResumeJob(Suspension):
    name, kinds, suspend = "ResumeJob", frozenset({"Job"}), False


class SuspendCronJob(Suspension):
    name, kinds, suspend = "SuspendCronJob", frozenset({"CronJob"}), True


class ResumeCronJob(Suspension):
    name, kinds, suspend = "ResumeCronJob", frozenset({"CronJob"}), False


class AdjustHPA(PatchAction):
    """Change the bounds of the autoscaler that scales the target."""

    name = "AdjustHPA"
    kinds = frozenset({"HorizontalPodAutoscaler"})
    parameters = (
        Parameter("minReplicas", ParameterKind.INTEGER, minimum=1),
        Parameter("maxReplicas", ParameterKind.INTEGER, minimum=1),
    )
    risk = Risk.MEDIUM

    def cross_check(self, params: Mapping[str, str]) -> dict[str, list[str]]:
        if not params:
            return {"maxReplicas": ["minReplicas or maxReplicas is required"]}
        if (
            "minReplicas" in params
            and "maxReplicas" in params
            and int(params["minReplicas"]) > int(params["maxReplicas"])
        ):
            return {"minReplicas": ["is above maxReplicas"]}
        return {}

    def located(self, call: Call) -> Target:
        if call.target.kind in self.kinds:
            return call.target
        for item in listed(call.client, "HorizontalPodAutoscaler", call.target.namespace):
            reference = item["spec"].get("scaleTargetRef") or {}
            if (reference.get("kind"), reference.get("name")) == (call.target.kind, call.target.name):
                return Target("HorizontalPodAutoscaler", item["metadata"]["name"], call.target.namespace)
        raise ActionRefused(f"No autoscaler scales {call.target}")

    def edit(self, call: Call, current: dict[str, Any]) -> Change:
        params = {name: int(value) for name, value in normalize(call.params).items()}
        spec = {"minReplicas": 1} | current["spec"]
        wanted = spec | params
        if wanted["minReplicas"] > wanted["maxReplicas"]:
            raise ActionRefused(
                f"The minimum {wanted['minReplicas']} would be above the maximum {wanted['maxReplicas']}"
            )
        changes = ", ".join(f"{name} from {spec[name]} to {value}" for name, value in sorted(params.items()))
        return Change(
            summary=f"Set {changes} of HorizontalPodAutoscaler/{current['metadata']['name']}",
            before=current,
            effect=Effect(autoscaled=(spec["maxReplicas"], wanted["maxReplicas"])),
            edits=tuple(Edit(f"/spec/{name}", value) for name, value in params.items()),
        )
