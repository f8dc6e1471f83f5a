"""The states of plans, steps and approvals and the legal moves between them. Pure; values are the words of the API contract."""

from django.db import models


class PlanState(models.TextChoices):
    PENDING = "Pending"
    WAITING_APPROVAL = "WaitingApproval"
    EXECUTING = "Executing"
    VERIFYING = "Verifying"
    COMPLETED = "Completed"
    FAILED = "Failed"
    ROLLED_BACK = "RolledBack"


class StepState(models.TextChoices):
    PENDING = "Pending"
    PENDING_APPROVAL = "PendingApproval"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class ApprovalState(models.TextChoices):
    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


P, T, A = PlanState, StepState, ApprovalState

PLAN_TRANSITIONS: dict[str, frozenset[str]] = {
    P.PENDING: frozenset({P.WAITING_APPROVAL, P.EXECUTING, P.FAILED}),
    P.WAITING_APPROVAL: frozenset({P.EXECUTING, P.FAILED}),
    P.EXECUTING: frozenset({P.VERIFYING, P.FAILED, P.ROLLED_BACK}),
    P.VERIFYING: frozenset({P.COMPLETED, P.FAILED, P.ROLLED_BACK}),
    P.COMPLETED: frozenset(),
    P.FAILED: frozenset(),
    P.ROLLED_BACK: frozenset(),
}
TERMINAL = frozenset({P.COMPLETED, P.FAILED, P.ROLLED_BACK})
RUNNING = frozenset(P) - TERMINAL

STEP_TRANSITIONS: dict[str, frozenset[str]] = {
    T.PENDING: frozenset({T.RUNNING, T.SKIPPED, T.FAILED}),
    T.PENDING_APPROVAL: frozenset({T.PENDING, T.RUNNING, T.SKIPPED}),
    T.RUNNING: frozenset({T.COMPLETED, T.FAILED, T.SKIPPED}),
    T.COMPLETED: frozenset(),
    T.FAILED: frozenset(),
    T.SKIPPED: frozenset(),
}

APPROVAL_TRANSITIONS: dict[str, frozenset[str]] = {
    A.PENDING: frozenset({A.APPROVED, A.REJECTED, A.EXPIRED}),
    A.APPROVED: frozenset(),
    A.REJECTED: frozenset(),
    A.EXPIRED: frozenset(),
}
