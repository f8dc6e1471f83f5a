"""The look before the leap: what a plan would do to the cluster as it is, whether it may, and who has to agree.

`look` reads the cluster and lets the server try every action; `decide` draws the conclusion from that in one transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiops.api.formats import format_time
from aiops.clients.errors import ClientRefused, VersionConflict
from aiops.clients.kubernetes import KubernetesClient
from federation import services as federation
from runbooks import health, steps
from runbooks.actions import ACTIONS, ActionRefused, Call, Change, Risk, Target
from runbooks.actions.base import read, understood
from runbooks.actions.selectors import pods_of
from runbooks.models import PlanStep, RemediationPlan
from runbooks.policy import Refusal
from runbooks.services import blast_radius, envelope

MEMBERS = (("cpuRequest", "requests", "cpu"), ("cpuLimit", "limits", "cpu"),
           ("memoryRequest", "requests", "memory"), ("memoryLimit", "limits", "memory"))  # fmt: skip


@dataclass(slots=True)
class Findings:
    """What the look found. `refused` is empty when the plan may run; `problems` are faults of the plan itself."""

    problems: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    snapshot: dict[str, Any] | None = None
    radius: dict[str, Any] | None = None
    target_version: str = ""
    generation: int | None = None  # of the target's specification: an approval binds to it
    score: float = 0.0  # health before: what a failed attempt is compared with
    is_risky: bool = False  # an action that always waits for a person

    @property
    def reasons(self) -> list[str]:
        return [*self.problems, *map(str, self.refused)]


def target_of(plan: RemediationPlan) -> Target:
    return Target.of(plan.target_kind, plan.target_name, plan.namespace)


def call_for(plan: RemediationPlan, step: PlanStep, client: KubernetesClient, at: datetime) -> Call:
    return Call(client, target_of(plan), step.params, plan.name, step.key, at)


def started_by_person(plan: RemediationPlan) -> bool:
    return plan.requested_by != "system"


def look(plan: RemediationPlan, at: datetime) -> Findings:
    """Try the whole plan without changing anything. Raises `ClientUnavailable` when the cluster does not answer."""
    rows = list(plan.steps.order_by("index"))
    findings = Findings(problems=steps.problems(rows, target_of(plan)))
    if plan.cluster is None:
        findings.problems.append("the incident belongs to no registered cluster")
    if findings.problems or plan.cluster is None:
        return findings
    # as if it were approved: whether it has to be is what this look decides
    here = circumstances(plan, approvers=envelope.ENOUGH, at=at)
    findings.refused = envelope.blanket_refusals(circumstances=here)
    if findings.refused:
        return findings
    try:
        client = federation.connect(plan.cluster)
        with understood():
            _look_at_target(plan, client, findings, at)
            changes = _try_steps(plan, rows, client, here, findings)
            if not findings.reasons:
                radius = blast_radius.measure(client=client, target=target_of(plan), changes=changes)
                findings.radius = radius.document()
    except (ClientRefused, ActionRefused) as error:
        findings.problems.append(error.message)
    return findings


def circumstances(plan: RemediationPlan, *, approvers: int, at: datetime) -> envelope.Circumstances:
    """The plan in the terms of the safety envelope; it must have a cluster."""
    assert plan.cluster is not None
    return envelope.Circumstances(
        cluster=plan.cluster,
        target=target_of(plan),
        at=at,
        started_by_person=started_by_person(plan),
        approvers=approvers,
        plan=plan,
    )


def _try_steps(
    plan: RemediationPlan,
    rows: list[PlanStep],
    client: KubernetesClient,
    here: envelope.Circumstances,
    findings: Findings,
) -> list[Change]:
    """Every typed action against the cluster as it is now.

    A later step may rest on what an earlier one does: that it finds nothing to change yet is no fault of the plan.
    """
    changes: list[Change] = []
    for step in rows:
        if not step.action_type:
            continue
        action, call = ACTIONS[step.action_type], call_for(plan, step, client, here.at)
        try:
            change = action.prepare(call)
            findings.refused += envelope.refusals(client=client, change=change, circumstances=here)
            if not findings.refused:
                action.preview(call, change)
        except VersionConflict:
            continue  # it changed under our eyes; the step looks again before it acts
        except (ClientRefused, ActionRefused) as error:
            if not changes:
                findings.problems.append(f"step {step.name}: {error.message}")
            continue
        changes.append(change)
        findings.summaries.append(change.summary)
        findings.is_risky = findings.is_risky or action.risk == Risk.HIGH
    return changes


def _look_at_target(plan: RemediationPlan, client: KubernetesClient, findings: Findings, at: datetime) -> None:
    obj = read(client, target_of(plan))
    findings.target_version = str(obj["metadata"]["resourceVersion"])
    findings.generation = obj["metadata"].get("generation")
    findings.score = health.of(obj, pods_of(client, obj)).score
    findings.snapshot = snapshot(obj, at) | _autoscaling(client, target_of(plan))


def _autoscaling(client: KubernetesClient, target: Target) -> dict[str, Any]:
    autoscaler = envelope.autoscaler_of(client, target) or {}
    return {"hpaMinReplicas": autoscaler.get("minReplicas"), "hpaMaxReplicas": autoscaler.get("maxReplicas")}


def generation(plan: RemediationPlan) -> int | None:
    """The generation of the target's specification; None when the target is gone. Raises `ClientUnavailable`."""
    if plan.cluster is None:
        return None
    try:
        obj = read(federation.connect(plan.cluster), target_of(plan))
    except (ClientRefused, ActionRefused):
        return None
    found: int | None = obj["metadata"].get("generation")
    return found


def snapshot(obj: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The object's settings before the first action, as the contract shows them (§3.7)."""
    spec = obj.get("spec") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    found: dict[str, Any] = {
        "resourceKind": obj["kind"],
        "resourceName": obj["metadata"]["name"],
        "namespace": obj["metadata"].get("namespace", ""),
        "replicas": spec.get("replicas"),
        "containerImages": {item["name"]: item.get("image", "") for item in containers},
        "containerResources": {item["name"]: _resources(item) for item in containers},
        "capturedAt": format_time(at),
    }
    if obj["kind"] == "Node":
        found["nodeUnschedulable"] = bool(spec.get("unschedulable"))
    for member in ("suspend", "activeDeadlineSeconds", "backoffLimit", "parallelism", "schedule"):
        if member in spec:
            found[member] = spec[member]
    return found


def _resources(container: Mapping[str, Any]) -> dict[str, str | None]:
    resources = container.get("resources") or {}
    return {name: (resources.get(bound) or {}).get(resource) for name, bound, resource in MEMBERS}
