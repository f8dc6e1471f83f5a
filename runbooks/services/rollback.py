"""Undoes what a failed plan has done, newest step first, and only where nobody else has changed the same since."""

from dataclasses import dataclass, field
from datetime import datetime

from aiops.clients.errors import ClientRefused, ClientUnavailable, NotFound, VersionConflict
from aiops.clients.kubernetes import KubernetesClient
from aiops.states import change
from federation import services as federation
from incidents.models import TimelineEvent
from runbooks.actions import ACTIONS, ActionRefused
from runbooks.actions.base import understood
from runbooks.models import PlanStep, RemediationPlan
from runbooks.services import envelope, leases, preflight, telling
from runbooks.states import StepState

RETRIES = 3  # of one inverse patch that met a newer version


@dataclass(slots=True)
class Undone:
    """`clean`: whatever the plan did is undone. `texts`: one sentence per step."""

    performed: bool = False
    clean: bool = True
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "; ".join(self.texts)


def settle(plan: RemediationPlan, at: datetime) -> None:
    """Find out what became of a step that was running when its worker stopped. Raises `ClientUnavailable`."""
    for step in plan.steps.filter(state=StepState.RUNNING):
        done = bool(step.action_type) and plan.cluster is not None and _was_applied(plan, step, at)
        with leases.held(plan) as row:
            if done:
                step.move_to(StepState.COMPLETED, completed_at=at, output="Found done after an interruption")
                telling.write_step(row, step, succeeded=True, text=step.output, at=at)
            else:
                step.move_to(StepState.SKIPPED, completed_at=at)


def _was_applied(plan: RemediationPlan, step: PlanStep, at: datetime) -> bool:
    assert plan.cluster is not None
    action = ACTIONS[step.action_type]
    try:
        call = preflight.call_for(plan, step, federation.connect(plan.cluster), at)
        with understood():
            return action.applied(call, step.snapshot or {})
    except (ClientRefused, ActionRefused):
        return False


def undo(plan: RemediationPlan, at: datetime) -> Undone:
    """Undo all steps that changed something. Harmless to repeat. Raises `ClientUnavailable`."""
    undone = Undone()
    stopped = envelope.stopped(plan.cluster) if plan.cluster else ("the cluster is not registered any more",)
    rows = plan.steps.filter(state=StepState.COMPLETED, snapshot__isnull=False).exclude(action_type="")
    for step in rows.order_by("-index"):
        if plan.cluster is None or stopped:  # a kill switch stops every write, going back included
            undone.clean = False
            undone.texts.append(f"{step.name}: not undone: {stopped[0]}")
            continue
        try:
            with understood():
                text = _undo_step(plan, step, federation.connect(plan.cluster), at)
        except NotFound:
            text = "the object is gone"  # nothing is left to restore
        except (ClientRefused, ActionRefused) as error:
            undone.clean = False
            undone.texts.append(f"{step.name}: not undone: {error.message}")
            continue
        undone.performed = True
        undone.texts.append(f"{step.name}: {text}")
        _mark(plan, step, text, at)
    return undone


def _undo_step(plan: RemediationPlan, step: PlanStep, client: KubernetesClient, at: datetime) -> str:
    action, call = ACTIONS[step.action_type], preflight.call_for(plan, step, client, at)
    for _ in range(RETRIES):
        try:
            return action.roll_back(call, step.snapshot or {})
        except VersionConflict:
            continue  # its status moved on; the next look decides whether its settings did
    raise ClientUnavailable(f"{call.target} changes faster than it can be written")


def _mark(plan: RemediationPlan, step: PlanStep, text: str, at: datetime) -> None:
    if step.rolled_back_at:
        return
    with leases.held(plan) as row:
        change(step, rolled_back_at=at)
        row.change(evidence=telling.evidence(row, "rollback", f"{step.name}: {text}", at=at), updated_at=at)
        details = {"step": step.name, "action": step.action_type, "result": text}
        telling.write(row, TimelineEvent.Type.ROLLBACK, f"Rolled back {step.name}: {text}", at=at, details=details)
