"""From the steps of a runbook to the steps of a plan. Pure but for the rows it makes (unsaved)."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiops.api.formats import parse_duration
from runbooks import kubectl
from runbooks.actions import ACTIONS, NAMES_ONLY, Target
from runbooks.actions import validate as validate_params
from runbooks.actions.base import normalize
from runbooks.models import PlanStep, RemediationPlan

KUBECTL, SCRIPT, ANALYZE, NOTIFICATION, WAIT = "kubectl", "script", "ai-analyze", "notification", "wait"
DEFAULT_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Translated:
    """What a step does. A blank `action_type` changes nothing in the cluster; `problem` says why it cannot run."""

    action_type: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def translate(*, action: str, command: str, params: Mapping[str, str], target: Target) -> Translated:
    """The typed action behind a step, for the object that the plan works on."""
    if action == KUBECTL:
        return _translate_command(command, target)
    if action in ACTIONS:
        complaints = validate_params(action, params)
        text = "; ".join(f"{name} {', '.join(reasons)}" for name, reasons in sorted(complaints.items()))
        return Translated(action, normalize(params), text)
    if action in NAMES_ONLY:
        return Translated(action, params, f"{action} is not supported yet")
    return Translated(params=params)


def _translate_command(command: str, target: Target) -> Translated:
    try:
        parsed = kubectl.parse(command)
        if isinstance(parsed, kubectl.Diagnostic):
            return Translated()
        return _translate_change(parsed, target)
    except kubectl.CommandError as error:
        return Translated(problem=str(error))


def _translate_change(change: kubectl.Change, target: Target) -> Translated:
    """A command names its object; it must be the plan's own, a pod of it, or a node. Raises `CommandError`."""
    reference, params = change.reference, dict(change.params)
    values = kubectl.values_for(kind=target.kind, name=target.name, namespace=target.namespace)
    if change.action in NAMES_ONLY:
        return Translated(change.action, params, f"{change.action} is not supported yet")
    if reference.kind == "Pod" and "POD" in kubectl.placeholders(reference.name):
        params.pop("pod", None)  # the action itself finds the sickest pod
        return Translated(change.action, params)
    name = kubectl.substitute(reference.name, values)
    namespace = kubectl.substitute(reference.namespace, values)
    if reference.kind == "Pod":
        params["pod"] = name
    elif reference.kind == "Node":
        params["node"] = name
    else:
        kind = kubectl.substitute(reference.kind, values)
        if (kind, name) != (target.kind, target.name):
            return Translated(change.action, params, f"{kind}/{name} is not the {target} that the incident is about")
    if namespace and namespace != target.namespace:
        return Translated(change.action, params, f"namespace {namespace} is not the incident's")
    if change.action not in {"Annotate", "Label"}:
        complaints = validate_params(change.action, params)
        if complaints:
            return Translated(change.action, params, f"wrong parameters: {', '.join(sorted(complaints))}")
    return Translated(change.action, params)


def build(plan: RemediationPlan, steps: Iterable[Mapping[str, Any]], target: Target) -> list[PlanStep]:
    """Unsaved rows for the steps of a runbook."""
    return [_row(plan, index, step, target) for index, step in enumerate(steps)]


def _row(plan: RemediationPlan, index: int, step: Mapping[str, Any], target: Target) -> PlanStep:
    command, params = step.get("command") or "", step.get("params") or {}
    translated = translate(action=step["action"], command=command, params=params, target=target)
    return PlanStep(
        plan=plan,
        index=index,
        name=step["name"],
        description=step.get("description") or step["name"],
        action=step["action"],
        action_type=translated.action_type,
        command=command,
        params=dict(translated.params),
        timeout_seconds=max(1, int(_timeout(step).total_seconds())),
        continue_on_failure=bool(step.get("continueOnFailure")),
        # also an annotation value and part of names in the cluster
        key=hashlib.sha256(f"{plan.uid}/{index}".encode()).hexdigest()[:32],
    )


def _timeout(step: Mapping[str, Any]) -> timedelta:
    try:
        return parse_duration(step.get("timeout") or "60s")
    except ValueError:
        return DEFAULT_TIMEOUT


def digest(steps: Sequence[PlanStep]) -> str:
    """The same for the same set of actions and parameters, in whatever order and spelling."""
    parts = sorted(
        json.dumps(
            [step.action_type or step.action, "" if step.action_type else step.command, step.params], sort_keys=True
        )
        for step in steps
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def problems(steps: Iterable[PlanStep], target: Target) -> list[str]:
    """Why the plan cannot run as it is written: unsupported actions, objects that are not the incident's."""
    found = []
    for step in steps:
        params = step.params if step.action != KUBECTL else {}
        problem = translate(action=step.action, command=step.command, params=params, target=target).problem
        if problem:
            found.append(f"step {step.name}: {problem}")
    return found
