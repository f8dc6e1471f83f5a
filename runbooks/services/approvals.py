"""Takes people's answers to approval requests.

Whoever decides locks the plan first and the request second, so that of two who decide at once exactly one wins, and never
waits for a worker that holds them the other way round.
"""

from datetime import datetime

from django.db import IntegrityError, transaction

from aiops.apikeys.roles import RANKS
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.errors import Conflict, Gone, NotAllowed
from aiops.notifications import services as notifications
from aiops.nudges import nudge
from incidents.models import TimelineEvent
from runbooks import approval_rules, steps
from runbooks.models import ApprovalDecision, ApprovalRequest, RemediationPlan
from runbooks.services import leases, outcomes, telling
from runbooks.services.outcomes import Then
from runbooks.signals import approval_decided
from runbooks.states import ApprovalState

ADVANCE = "runbooks.tasks.advance_plan"
VERDICTS = {
    "approved": ("approval.approve", "approval_granted"),
    "rejected": ("approval.reject", "approval_rejected"),
}


@transaction.atomic
def approve(
    *, approval: ApprovalRequest, approver: str, comment: str = "", actor: Actor, at: datetime
) -> ApprovalRequest:
    """One person's yes; with the last one that is needed the plan runs (APR-1, APR-3).

    Raises `NotAllowed` for a role that does not suffice, `Gone` when it expired, `Conflict` when it is decided, when the
    requester approves himself, when the same person approves twice, and when the plan is not the one that was asked about.
    """
    plan, row = _locked(approval)
    _check_role(row, actor)
    if row.state == ApprovalState.EXPIRED or _is_late(row, at):
        raise Gone("Approval request has expired", f"{row.name} expired at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    _check_open(row)
    if row.forbid_self_approval and approver == row.requester:
        raise Conflict("Self-approval is not allowed", f"{approver} requested {row.name}")
    if steps.digest(list(plan.steps.all())) != row.actions_digest:
        raise Conflict("The plan has changed", f"{row.name} was asked for other actions than {plan.name} has now")
    word = _approved_by(row, approver, comment, at)
    if row.decisions.filter(decision="approved").count() >= row.required_approvers:
        row.move_to(ApprovalState.APPROVED, decided_at=at, decided_by=approver, decision_reason=comment, updated_at=at)
        _start(plan, row, at)
    else:
        row.change(updated_at=at)
    _tell(plan, row, word, actor, at)
    return row


@transaction.atomic
def reject(*, approval: ApprovalRequest, approver: str, reason: str, actor: Actor, at: datetime) -> ApprovalRequest:
    """One person's no ends it, whatever the quorum (APR-2): the plan fails, and automation leaves the incident alone.

    Raises `NotAllowed` for a role that does not suffice and `Conflict` when it is decided or expired.
    """
    plan, row = _locked(approval)
    _check_role(row, actor)
    if _is_late(row, at):
        raise Conflict("Approval request has expired", f"{row.name} expired at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    _check_open(row)
    # a yes that waited for others may still become a no
    word, _ = ApprovalDecision.objects.update_or_create(
        approval=row, approver=approver, defaults={"decision": "rejected", "reason": reason, "at": at}
    )
    row.move_to(ApprovalState.REJECTED, decided_at=at, decided_by=approver, decision_reason=reason, updated_at=at)
    _tell(plan, row, word, actor, at)
    outcomes.fail(plan, result=f"Rejected by {approver}: {reason}", then=Then.ESCALATE, at=at)
    return row


def expire(plan: RemediationPlan, at: datetime) -> None:
    """Nobody answered in time: the plan fails and the incident is escalated. The caller holds the plan locked."""
    row = ApprovalRequest.objects.select_for_update().get(plan=plan)
    if row.state != ApprovalState.PENDING:
        return
    row.move_to(ApprovalState.EXPIRED, updated_at=at)
    text = f"Nobody decided on {row.name} within {row.timeout_minutes} minutes"
    details = {"approvalName": row.name, "decision": "expired"}
    telling.write(plan, TimelineEvent.Type.APPROVAL_DECISION, text, at=at, details=details)
    subject = (ApprovalRequest.KIND, row.name)
    notifications.announce(telling.message(plan, "approval_expired", body=text, at=at, subject=subject), at=at)
    approval_decided.send(sender=ApprovalRequest, approval=row)
    outcomes.fail(plan, result=text, then=Then.ESCALATE, at=at)
    audit.record(
        telling.record(plan, "approval.expire", event_type="approval_expired", severity="warning", subject=subject),
        at=at,
    )


def withdraw(plan: RemediationPlan, reason: str, at: datetime) -> None:
    """The question is moot: the plan ended without an answer. The caller holds the plan locked."""
    row = ApprovalRequest.objects.select_for_update().filter(plan=plan, state=ApprovalState.PENDING).first()
    if row is not None:
        row.move_to(ApprovalState.EXPIRED, decision_reason=f"Withdrawn: {reason}", updated_at=at)


def _locked(approval: ApprovalRequest) -> tuple[RemediationPlan, ApprovalRequest]:
    plan = leases.lock(approval.plan_id)
    return plan, ApprovalRequest.objects.select_for_update().get(pk=approval.pk)


def _check_role(row: ApprovalRequest, actor: Actor) -> None:
    if actor.role != SYSTEM.role and RANKS.get(actor.role, 0) < RANKS[row.required_role]:
        raise NotAllowed("Insufficient role", f"{row.name} needs the role {row.required_role}")


def _is_late(row: ApprovalRequest, at: datetime) -> bool:
    return row.state == ApprovalState.PENDING and at >= row.expires_at


def _check_open(row: ApprovalRequest) -> None:
    if row.state != ApprovalState.PENDING:
        raise Conflict(
            f"Approval request is already {row.state.lower()}", f"{row.name}: decided by {row.decided_by or '-'}"
        )


def _approved_by(row: ApprovalRequest, approver: str, comment: str, at: datetime) -> ApprovalDecision:
    try:
        with transaction.atomic():
            return ApprovalDecision.objects.create(
                approval=row, approver=approver, decision="approved", reason=comment, at=at
            )
    except IntegrityError as error:
        raise Conflict("Already approved by this person", f"{approver} has approved {row.name} before") from error


def _start(plan: RemediationPlan, row: ApprovalRequest, at: datetime) -> None:
    opening = approval_rules.next_opening(row.change_window, at) if row.change_window else at
    outcomes.start(plan, at=at, due_at=opening or at)
    nudge(ADVANCE, plan_id=plan.pk)


def _tell(plan: RemediationPlan, row: ApprovalRequest, word: ApprovalDecision, actor: Actor, at: datetime) -> None:
    text = f"{row.name} {word.decision} by {word.approver}" + (f": {word.reason}" if word.reason else "")
    details = {"approvalName": row.name, "decision": word.decision, "approver": word.approver, "state": row.state}
    telling.write(plan, TimelineEvent.Type.APPROVAL_DECISION, text, at=at, details=details)
    subject = (ApprovalRequest.KIND, row.name)
    if row.state != ApprovalState.PENDING:
        approval_decided.send(sender=ApprovalRequest, approval=row)
        notifications.announce(telling.message(plan, "approval_decided", body=text, at=at, subject=subject), at=at)
    action, event_type = VERDICTS[word.decision]
    by = actor.named(word.approver)
    audit.record(
        telling.record(plan, action, event_type=event_type, actor=by, subject=subject, reason=word.reason), at=at
    )
