"""Runs one step of a plan, and journals it: the step is `Running`, with all that is needed to undo it, before the cluster is
touched. A worker that finds a running step looks in the cluster whether it was done, and does it only if it was not.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q

from aiops.clients.errors import ClientRefused, ClientUnavailable, VersionConflict
from aiops.notifications import services as notifications
from aiops.redaction import redact
from aiops.states import change
from federation import services as federation
from incidents.analysis import conclusion
from incidents.models import TimelineEvent
from incidents.services import evidence
from incidents.states import IncidentState
from runbooks import kubectl, policy, steps
from runbooks.actions import ACTIONS, Action, ActionRefused, Call, NothingToChange, Preview
from runbooks.actions.base import understood
from runbooks.models import ApprovalRequest, PlanStep, RemediationPlan
from runbooks.services import diagnostics, envelope, leases, preflight, telling
from runbooks.services.outcomes import Then
from runbooks.states import ApprovalState, StepState

OUTPUT_MAX = 16_384  # characters of a step's output that are kept


class _Refused(Exception):
    """The step must not or cannot run."""

    def __init__(self, reasons: list[policy.Refusal] | str) -> None:
        super().__init__(reasons if isinstance(reasons, str) else "; ".join(map(str, reasons)))
        self.is_final = not isinstance(reasons, str) and any(reason.final for reason in reasons)


def run(plan: RemediationPlan, step: PlanStep, at: datetime) -> datetime | None:
    """Do the step, or the next part of it; returns when the plan is due again, None when it waits for a person.

    Raises `ClientUnavailable` when the cluster does not answer: the step stays as it is and is tried again.
    """
    if step.action_type:
        return _run_action(plan, step, at)
    return OTHERS[step.action](plan, step, at)


# --- typed actions -------------------------------------------------------------------------------------------------------


def _run_action(plan: RemediationPlan, step: PlanStep, at: datetime) -> datetime | None:
    action = ACTIONS.get(step.action_type)
    if action is None or plan.cluster is None:
        return fail(plan, step, f"{step.action_type} cannot run here", at=at)
    try:
        call = preflight.call_for(plan, step, federation.connect(plan.cluster), at)
        if step.state == StepState.RUNNING and action.applied(call, step.snapshot or {}):
            return complete(plan, step, "Found done after an interruption", at=at)
        if _is_overdue(step, at):
            return fail(plan, step, f"not done within {step.timeout_seconds} s", at=at)
        return _act(plan, step, action, call, at)
    except NothingToChange as nothing:
        return complete(plan, step, nothing.message, at=at)
    except VersionConflict as error:
        # somebody was faster: what we judged is not what is there now, so look again
        raise ClientUnavailable(error.message, status=error.status) from error
    except (ClientRefused, ActionRefused) as error:
        return fail(plan, step, error.message, at=at)
    except _Refused as error:
        return fail(plan, step, f"refused by the safety envelope: {error}", is_final=error.is_final, at=at)


def _act(plan: RemediationPlan, step: PlanStep, action: Action, call: Call, at: datetime) -> datetime | None:
    circumstances = preflight.circumstances(plan, approvers=_approvers(plan), at=at)
    with understood():
        made = action.prepare(call)
        refused = envelope.refusals(client=call.client, change=made, circumstances=circumstances)
        preview = None if refused else action.preview(call, made)
    if preview is None:
        _record(plan, refused, step, at)
        raise _Refused(refused)
    if not _journal(plan, step, preview, at):
        return at
    outcome = action.execute(call, made)
    return complete(plan, step, outcome.output, at=at)


def _approvers(plan: RemediationPlan) -> int:
    """How many people agreed to exactly these actions; nobody did before the last one whose word was needed."""
    said_yes = Count("decisions", filter=Q(decisions__decision="approved"))
    request = ApprovalRequest.objects.filter(
        plan=plan, state=ApprovalState.APPROVED, actions_digest=steps.digest(list(plan.steps.all()))
    )
    return request.annotate(said_yes=said_yes).values_list("said_yes", flat=True).first() or 0


def _is_overdue(step: PlanStep, at: datetime) -> bool:
    return (
        step.state == StepState.RUNNING
        and step.started_at is not None
        and at - step.started_at > timedelta(seconds=step.timeout_seconds) + leases.lease()
    )


def _record(plan: RemediationPlan, refused: list[policy.Refusal], step: PlanStep, at: datetime) -> None:
    with leases.held(plan) as row:
        envelope.record(incident=row.incident, refused=refused, what=f"{row.name}/{step.name}", at=at)


def _journal(plan: RemediationPlan, step: PlanStep, preview: Preview, at: datetime) -> bool:
    """Write that the step runs. False when the plan was stopped since we looked: then nothing is done."""
    with leases.held(plan) as row:
        if row.cancel_requested_by or row.incident.state == IncidentState.RESOLVED:
            return False
        if step.state == StepState.RUNNING:
            change(step, snapshot=preview.snapshot)
        else:
            step.move_to(StepState.RUNNING, started_at=at, snapshot=preview.snapshot)
    return True


# --- the end of a step ---------------------------------------------------------------------------------------------------


def complete(plan: RemediationPlan, step: PlanStep, output: str, *, at: datetime) -> datetime:
    """The step is done; the next one is due."""
    with leases.held(plan) as row:
        _reach(step, StepState.COMPLETED, output, at)
        row.change(evidence=telling.evidence(row, "action_success", f"{step.name}: {output}", at=at), updated_at=at)
        if step.action_type:
            telling.write_step(row, step, succeeded=True, text=output.splitlines()[0] if output else "done", at=at)
    return at


def fail(plan: RemediationPlan, step: PlanStep, reason: str, *, is_final: bool = False, at: datetime) -> datetime:
    """The step failed. Unless the runbook says to go on, the plan fails with it; `is_final`: and is not tried again."""
    with leases.held(plan) as row:
        _reach(step, StepState.FAILED, reason, at)
        changes: dict[str, Any] = {"evidence": telling.evidence(row, "action_failed", f"{step.name}: {reason}", at=at)}
        if is_final or not step.continue_on_failure:
            then = Then.ESCALATE if is_final else Then.RETRY
            changes |= {
                "failure": f"Step {step.name} failed: {reason}",
                "verification": row.verification | {"then": then},
            }
        row.change(**changes, updated_at=at)
        telling.write_step(row, step, succeeded=False, text=reason, at=at)
    return at


def _reach(step: PlanStep, state: str, output: str, at: datetime) -> None:
    if step.state == StepState.PENDING:  # what takes no time is journaled in one go
        step.move_to(StepState.RUNNING, started_at=at)
    step.move_to(state, completed_at=at, output=redact(output)[:OUTPUT_MAX])


# --- steps that change nothing in the cluster ------------------------------------------------------------------------------


def _diagnose(plan: RemediationPlan, step: PlanStep, at: datetime) -> datetime:
    if plan.cluster is None:
        return fail(plan, step, "the incident belongs to no registered cluster", at=at)
    try:
        client = federation.connect(plan.cluster)
        output = diagnostics.run(client=client, command=step.command, target=preflight.target_of(plan))
    except (ClientRefused, ActionRefused, kubectl.CommandError) as error:
        return fail(plan, step, str(error), at=at)
    return complete(plan, step, output, at=at)


def _wait(plan: RemediationPlan, step: PlanStep, at: datetime) -> datetime:
    if step.started_at is None:
        with leases.held(plan):
            step.move_to(StepState.RUNNING, started_at=at)
        return at + timedelta(seconds=step.timeout_seconds)
    due_at = step.started_at + timedelta(seconds=step.timeout_seconds)
    return due_at if at < due_at else complete(plan, step, f"waited {step.timeout_seconds} s", at=at)


def _wait_for_person(plan: RemediationPlan, step: PlanStep, at: datetime) -> None:
    """A script is never run by us: a person does it and says so (`execution.complete_step`)."""
    if step.state != StepState.PENDING:
        return
    with leases.held(plan) as row:
        step.move_to(StepState.RUNNING, started_at=at)
        text = f"Step {step.name} waits for a person: {step.description}"
        telling.write(row, TimelineEvent.Type.REMEDIATION_ACTION, text, at=at, details={"step": step.name})


def _notify(plan: RemediationPlan, step: PlanStep, at: datetime) -> datetime:
    channel = step.params.get("channel", "")
    text = step.params.get("message") or step.description
    with leases.held(plan) as row:
        told = telling.message(
            row,
            "remediation_started",
            body=text,
            at=at,
            occurrence=f"step-{step.key}",
            channels=[channel] if channel else [],
        )
        notifications.announce(told, at=at)
    return complete(plan, step, f"Sent to {channel or 'whoever the policies name'}", at=at)


def _analyze(plan: RemediationPlan, step: PlanStep, at: datetime) -> datetime:
    found = conclusion.conclude(evidence.gather(incident=plan.incident))
    return complete(plan, step, found.text, at=at)


OTHERS: dict[str, Callable[[RemediationPlan, PlanStep, datetime], datetime | None]] = {
    steps.KUBECTL: _diagnose,
    steps.WAIT: _wait,
    steps.SCRIPT: _wait_for_person,
    steps.NOTIFICATION: _notify,
    steps.ANALYZE: _analyze,
}
