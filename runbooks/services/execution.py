"""Moves a plan forward, one thing per call. Whatever it waits for, a person, a rollout, the cluster, is a due time in its row.

A call claims the plan, does the next thing its state asks for, and gives it back with the time of the next look. Every stage
looks at the rows only, so it does not matter who called before, or whether he came to an end.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from aiops import quantities
from aiops.audit import services as audit
from aiops.audit.actor import Actor
from aiops.clients.errors import ClientUnavailable
from aiops.errors import Conflict, LostRace, Missing
from aiops.nudges import nudge
from federation import tiers
from incidents.models import Incident, TimelineEvent
from incidents.services import timeline
from incidents.states import IncidentState
from runbooks.models import ApprovalRequest, PlanStep, RemediationPlan
from runbooks.services import (
    approvals,
    asking,
    envelope,
    leases,
    outcomes,
    preflight,
    rollback,
    running,
    slots,
    telling,
    verification,
)
from runbooks.services.outcomes import Then
from runbooks.services.preflight import Findings
from runbooks.states import TERMINAL, PlanState, StepState

ADVANCE = "runbooks.tasks.advance_plan"
MAX_TRIES = 8  # calls in a row that the cluster does not answer, some five minutes
LONGEST_WAIT = timedelta(seconds=60)
WAITING_LOOK = timedelta(seconds=15)  # how often a plan that waits for a person looks whether it is still needed
BY_ITSELF = "The workload recovered by itself before the plan was approved"
OPEN_STEPS = [StepState.PENDING, StepState.PENDING_APPROVAL, StepState.RUNNING]

Due = datetime | None


def advance(*, plan_id: int, at: datetime, holder: str) -> bool:
    """Do the next thing for the plan; returns whether there is more to do at once.

    `holder` names the worker. Of two workers one gets the plan; the other is told that there is nothing to do.
    """
    plan = leases.claim(plan_id=plan_id, at=at, holder=holder)
    if plan is None:
        return False
    tries = 0
    try:
        due_at = _stage(plan, at)
    except ClientUnavailable as error:
        due_at, tries = _wait_for_cluster(plan, error, at)
    except LostRace:
        due_at = at + timedelta(seconds=1)
    leases.release(plan, due_at=due_at, tries=tries)
    return due_at is not None and due_at <= at


def due(*, at: datetime, limit: int = 200) -> list[int]:
    """Plans that want a look and that nobody works on, the longest waiting first."""
    free = Q(leased_until=None) | Q(leased_until__lte=at)
    is_due = Q(due_at__lte=at) | Q(leased_until__lte=at)
    # what stops a plan is not lost when it comes in the same moment in which a worker gives the plan back
    is_stopped = ~Q(cancel_requested_by="") | Q(incident__state=IncidentState.RESOLVED)
    rows = (
        RemediationPlan.objects.filter(free, is_due | is_stopped).exclude(state__in=TERMINAL).order_by("due_at", "pk")
    )
    return list(rows.values_list("pk", flat=True)[:limit])


def _stage(plan: RemediationPlan, at: datetime) -> Due:
    if plan.failure:
        return _go_back(plan, at)
    if plan.incident.state == IncidentState.RESOLVED:
        return _stop(plan, f"The incident was resolved meanwhile: {plan.incident.resolution}", Then.LEAVE, at)
    if plan.cancel_requested_by:
        return _cancel(plan, at)
    return STAGES[plan.state](plan, at)


# --- pending: may it run, and who has to agree? ----------------------------------------------------------------------------


def _prepare(plan: RemediationPlan, at: datetime) -> Due:
    findings = preflight.look(plan, at)
    with leases.held(plan) as row:
        _keep(row, findings, at)
        if findings.reasons:
            final = any(refusal.final for refusal in findings.refused) or row.cluster is None
            result = f"Refused: {'; '.join(findings.reasons)}"
            outcomes.fail(row, result=result, then=Then.ESCALATE if final else Then.RETRY, at=at)
            return None
        return _decide(row, findings, at)


def _keep(row: RemediationPlan, findings: Findings, at: datetime) -> None:
    envelope.record(incident=row.incident, refused=findings.refused, what=row.name, at=at)
    noted = "; ".join(findings.reasons or findings.summaries) or "nothing is changed in the cluster"
    row.change(
        preflight_snapshot=findings.snapshot,
        blast_radius=findings.radius,
        verification={"baseline": findings.score},
        safety_constraints=constraints(row),
        evidence=telling.evidence(row, "preflight_snapshot", noted, at=at),
        updated_at=at,
    )


def _decide(row: RemediationPlan, findings: Findings, at: datetime) -> Due:
    """Run, wait for a person, wait for the window, or nothing of it."""
    asked = asking.demand(row, findings, at)
    timeline.decide(
        incident=row.incident,
        at=at,
        stage="approve",
        rule=asked.rule or asked.policy or "default",
        verdict=asked.mode,
        reason=asked.why,
        inputs={"plan": row.name, "requiredRole": asked.required_role, "requiredApprovers": asked.required_approvers},
    )
    if asked.mode == "block":
        outcomes.fail(row, result=f"Blocked by {asked.why}", then=Then.ESCALATE, at=at)
        return None
    if asked.mode == "auto":
        opening = asking.opening(asked, at)
        if opening is None or opening > at:
            return opening  # the plan stays as it is, and all of this is asked again when the window opens
        outcomes.start(row, at=at, due_at=at)
        return at
    asking.request(row, findings, asked, at)
    row.move_to(PlanState.WAITING_APPROVAL, approval_required=True, updated_at=at)
    return at + WAITING_LOOK


def constraints(plan: RemediationPlan) -> list[str]:
    """The limits in force, in sentences."""
    limits = envelope.limits()
    return [
        f"At most {limits.growth} times the replicas and resources of now",
        f"At most {limits.most_replicas} replicas, {quantities.memory(limits.most_memory)} memory and {limits.most_cpu} cores",
        "Never the last ready pod; disruption budgets are respected",
        f"At most {limits.plans_per_resource} plans per resource and {limits.plans_per_namespace} per namespace in an hour",
        *(tiers.sentences(plan.cluster.tier) if plan.cluster else ()),
    ]


# --- waiting for a person --------------------------------------------------------------------------------------------------


def _wait(plan: RemediationPlan, at: datetime) -> Due:
    with leases.held(plan) as row:
        if row.state != PlanState.WAITING_APPROVAL:
            return at  # decided while we took the plan
        if row.approval.expires_at <= at:
            approvals.expire(row, at)
            return None
        if _has_recovered(row.incident):
            approvals.withdraw(row, BY_ITSELF, at)
            outcomes.fail(row, result=BY_ITSELF, then=Then.RECOVER, at=at)
            return None
        return min(asking.remind(row, at), at + WAITING_LOOK)


def _has_recovered(incident: Incident) -> bool:
    """All of its signals are gone for good, not only missing in the last look."""
    anomalies = incident.anomalies.order_by()
    return anomalies.exists() and not anomalies.filter(cleared_at=None).exists()


# --- executing -------------------------------------------------------------------------------------------------------------


def _execute(plan: RemediationPlan, at: datetime) -> Due:
    rows = list(plan.steps.order_by("index"))
    step = next((row for row in rows if row.state in OPEN_STEPS), None)
    if step is None:
        return _begin_verification(plan, at)
    if all(row.started_at is None for row in rows):
        opening = asking.opening_of(plan, at)
        if opening is None or opening > at:
            return opening or at + timedelta(days=1)
        changed = _changed_since_approval(plan)
        if changed:
            return _stop(plan, changed, Then.RETRY, at)
        turn = slots.take(plan, at)
        if turn.reason:
            return turn.due_at or _stop(plan, f"Refused: {turn.reason}", Then.ESCALATE, at)
    return running.run(plan, step, at)


def _changed_since_approval(plan: RemediationPlan) -> str:
    """An approval is for the object as it was. Its status moves all the time, so its specification counts."""
    approval = ApprovalRequest.objects.filter(plan=plan).first()
    asked = (approval.evidence or {}).get("targetGeneration") if approval else None
    if asked is None:
        return ""
    now = preflight.generation(plan)
    if now is not None and now != asked:
        return (
            f"{plan.target_kind}/{plan.target_name} was changed since it was approved (generation {asked}, now {now})"
        )
    return ""


def _begin_verification(plan: RemediationPlan, at: datetime) -> Due:
    with leases.held(plan) as row:
        due_at = verification.next_look(at)
        row.move_to(PlanState.VERIFYING, actions_completed_at=at, due_at=due_at, updated_at=at)
        return due_at


# --- verifying -------------------------------------------------------------------------------------------------------------


def _verify(plan: RemediationPlan, at: datetime) -> Due:
    sample = verification.take(plan)
    with leases.held(plan) as row:
        state = verification.add(row.verification, sample, at)
        row.change(verification=state)
        if verification.is_verified(state, at):
            _succeed(row, sample, at)
            return None
        if at < verification.deadline(row, state):
            return verification.next_look(at)
        text = f"Not verified in time: {sample.reason}"
        keep = verification.has_improved(state)
        row.change(
            failure=f"{text} (it has improved, so it is not rolled back)" if keep else text,
            verification=state | {"keep": keep},
            evidence=telling.evidence(row, "health_check", text, at=at),
            updated_at=at,
        )
        _tell_verification(row, text, "failed", at)
        return at


def _succeed(row: RemediationPlan, sample: verification.Sample, at: datetime) -> None:
    action = verification.required_action(row)
    text = f"{row.target_kind}/{row.target_name} is {'contained' if action else f'healthy: {sample.reason}'}"
    row.change(evidence=telling.evidence(row, "health_check", text, at=at), updated_at=at)
    _tell_verification(row, text, "passed", at)
    outcomes.complete(row, result=_result(row, is_contained=bool(action)), required_action=action, at=at)


def _tell_verification(row: RemediationPlan, text: str, result: str, at: datetime) -> None:
    details = {"samples": row.verification.get("samples", 0), "result": result}
    telling.write(row, TimelineEvent.Type.VERIFICATION, text, at=at, details=details)


def _result(row: RemediationPlan, *, is_contained: bool) -> str:
    done = row.steps.filter(state=StepState.COMPLETED).exclude(action_type="").values_list("output", flat=True)
    texts = "; ".join(text.splitlines()[0] for text in done if text)
    if is_contained:
        return f"Contained, a person has to repair it: {texts}"
    return f"Verified healthy after: {texts}" if texts else "Verified healthy; nothing had to be changed"


# --- going back ------------------------------------------------------------------------------------------------------------


def _go_back(plan: RemediationPlan, at: datetime) -> Due:
    rollback.settle(plan, at)
    undone = rollback.Undone()
    if plan.rollback_on_failure and not plan.verification.get("keep"):
        undone = rollback.undo(plan, at)
    _end_failed(plan, undone, at)
    return None


def _end_failed(plan: RemediationPlan, undone: rollback.Undone, at: datetime) -> None:
    sample = verification.look(plan)
    with leases.held(plan) as row:
        row.change(
            rollback_performed=undone.performed,
            rollback_result=undone.text,
            post_failure_healthy=None if sample.score is None else sample.good,
            updated_at=at,
        )
        then = Then(row.verification.get("then", Then.RETRY)) if undone.clean else Then.ESCALATE
        result = f"{row.failure}. Rolled back: {undone.text}" if undone.texts else row.failure
        outcomes.fail(row, result=result, then=then, at=at, rolled_back=undone.performed and undone.clean)


def _wait_for_cluster(plan: RemediationPlan, error: ClientUnavailable, at: datetime) -> tuple[Due, int]:
    """When to ask again, and the number of tries; after too many of them the plan ends one way or the other."""
    tries = plan.tries + 1
    if tries < MAX_TRIES:
        seconds = error.retry_after or 2**tries
        return at + min(timedelta(seconds=seconds), LONGEST_WAIT), tries
    text = f"The cluster does not answer: {error.message}"
    if plan.failure:
        _end_failed(plan, rollback.Undone(clean=False, texts=[f"not undone: {text}"]), at)
        return None, 0
    if plan.state in {PlanState.PENDING, PlanState.WAITING_APPROVAL}:
        return _stop(plan, text, Then.RETRY, at), 0
    with leases.held(plan) as row:
        row.change(failure=text, updated_at=at)
    return at, 0


# --- stopping --------------------------------------------------------------------------------------------------------------


def _stop(plan: RemediationPlan, result: str, then: Then, at: datetime) -> Due:
    """End the plan where it stands, without going back."""
    rollback.settle(plan, at)
    with leases.held(plan) as row:
        approvals.withdraw(row, result, at)
        outcomes.fail(row, result=result, then=then, at=at)
    return None


def _cancel(plan: RemediationPlan, at: datetime) -> Due:
    result = cancellation(plan)
    if plan.state in {PlanState.PENDING, PlanState.WAITING_APPROVAL} or not plan.rollback_on_failure:
        return _stop(plan, result, Then.ESCALATE, at)
    with leases.held(plan) as row:
        row.change(failure=result, verification=row.verification | {"then": Then.ESCALATE}, updated_at=at)
    return at


def cancellation(plan: RemediationPlan) -> str:
    reason = f": {plan.cancel_reason}" if plan.cancel_reason else ""
    return f"Cancelled by {plan.cancel_requested_by}{reason}"


STAGES: dict[str, Callable[[RemediationPlan, datetime], Due]] = {
    PlanState.PENDING: _prepare,
    PlanState.WAITING_APPROVAL: _wait,
    PlanState.EXECUTING: _execute,
    PlanState.VERIFYING: _verify,
}


# --- what people do to a plan ----------------------------------------------------------------------------------------------


@transaction.atomic
def cancel(*, plan: RemediationPlan, by: str, reason: str = "", actor: Actor, at: datetime) -> RemediationPlan:
    """Stop before the next step, and roll back what was done if the runbook says so. Raises `Conflict` when it is finished.

    A plan that did nothing yet ends at once; any other at the next look, which is due now.
    """
    row = leases.lock(plan.pk)
    if row.state in TERMINAL:
        raise Conflict("Remediation is finished", f"{row.name} is {row.state}")
    if row.cancel_requested_by:
        raise Conflict("Remediation is being cancelled", f"{row.name}: {cancellation(row)}")
    row.change(cancel_requested_by=by, cancel_reason=reason, due_at=at, updated_at=at)
    is_taken = row.leased_until is not None and row.leased_until > at
    if row.state in {PlanState.PENDING, PlanState.WAITING_APPROVAL} and not is_taken:
        approvals.withdraw(row, cancellation(row), at)
        outcomes.fail(row, result=cancellation(row), then=Then.ESCALATE, at=at)
    else:
        nudge(ADVANCE, plan_id=row.pk)
    audit.record(telling.record(row, "remediation.cancel", actor=actor.named(by), reason=reason), at=at)
    return row


@transaction.atomic
def complete_step(
    *, plan: RemediationPlan, step_name: str, by: str, note: str = "", actor: Actor, at: datetime
) -> RemediationPlan:
    """A person did the manual step. Raises `Missing` for an unknown step, `Conflict` for one that does not wait for a person."""
    row = leases.lock(plan.pk)
    step = PlanStep.objects.select_for_update().filter(plan=row, name=step_name).first()
    if step is None:
        raise Missing("Unknown step", f"{row.name} has no step {step_name}")
    if step.action != "script" or step.state != StepState.RUNNING or row.state != PlanState.EXECUTING:
        raise Conflict("The step does not wait for a person", f"{step.name} is a {step.action} step and {step.state}")
    step.move_to(StepState.COMPLETED, completed_at=at, output=f"Done by {by}" + (f": {note}" if note else ""))
    row.change(due_at=at, evidence=telling.evidence(row, "event", f"{step.name}: {step.output}", at=at), updated_at=at)
    telling.write_step(row, step, succeeded=True, text=step.output, at=at)
    nudge(ADVANCE, plan_id=row.pk)
    audit.record(
        telling.record(row, "remediation.complete-step", actor=actor.named(by), step=step.name, note=note), at=at
    )
    return row
