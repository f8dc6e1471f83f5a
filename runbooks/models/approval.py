from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from aiops.models import Resource
from aiops.states import change, transition
from incidents.models import Incident
from runbooks.models.plan import RemediationPlan
from runbooks.states import APPROVAL_TRANSITIONS, ApprovalState


class ApprovalPolicy(Resource):
    """Which plans need whose consent. The rules of enabled policies are tried in order of priority; the first match decides.

    `rules`: list of {name, match{severities[], actionTypes[], namespaces[], resourceKinds[], clusters[], tiers[]}, mode,
    requiredRole, requiredApprovers, timeoutMinutes, changeWindow{timezone, allowedDays[], startHour, endHour},
    autoApproveConditions{minConfidence, maxSeverity, historicalSuccessRate}}; an empty list matches anything.
    """

    KIND: ClassVar[str] = "ApprovalPolicy"

    enabled = models.BooleanField(default=True)
    priority = models.IntegerField(default=0)  # higher first
    default_mode = models.CharField(max_length=16, default="manual")
    forbid_self_approval = models.BooleanField(default=True)
    rules = models.JSONField(default=list)

    class Meta:
        ordering = ["-priority", "name"]
        verbose_name_plural = "approval policies"
        constraints = [models.UniqueConstraint(fields=["name"], name="approval_policy_name_is_unique")]


class ApprovalRequest(Resource):
    """The question to people whether a plan may run. It binds to the exact actions and to the target as it was seen."""

    KIND: ClassVar[str] = "ApprovalRequest"

    class Mode(models.TextChoices):
        AUTO = "auto"
        MANUAL = "manual"
        QUORUM = "quorum"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="approvals")
    plan = models.OneToOneField(RemediationPlan, on_delete=models.CASCADE, related_name="approval")
    state = models.CharField(max_length=16, choices=ApprovalState, default=ApprovalState.PENDING)
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.MANUAL)
    action = models.CharField(max_length=1024)  # sentence for people
    action_type = models.CharField(max_length=64)
    requested_actions = models.JSONField(default=list)
    target = models.JSONField(default=dict)  # {kind, name, namespace}
    target_version = models.CharField(max_length=64, blank=True)  # resourceVersion of the target when it was asked
    actions_digest = models.CharField(max_length=64)
    risk_score = models.PositiveSmallIntegerField()
    severity = models.CharField(max_length=16)
    confidence = models.FloatField(default=0)
    blast_radius = models.JSONField(null=True, blank=True)
    evidence = models.JSONField(null=True, blank=True)
    required_role = models.CharField(max_length=16, default="operator")
    required_approvers = models.PositiveSmallIntegerField(default=1)
    timeout_minutes = models.PositiveIntegerField(default=30)
    forbid_self_approval = models.BooleanField(default=True)
    runbook_name = models.CharField(max_length=253, blank=True)
    policy_name = models.CharField(max_length=253, blank=True)
    rule_name = models.CharField(max_length=253, blank=True)
    change_window = models.JSONField(null=True, blank=True)
    requester = models.CharField(max_length=253, blank=True)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=253, blank=True)
    decision_reason = models.TextField(blank=True)
    auto_approved = models.BooleanField(default=False)

    class Meta:
        ordering = ["-created_at", "name"]
        constraints = [models.UniqueConstraint(fields=["name"], name="approval_name_is_unique")]
        indexes = [
            models.Index(fields=["-created_at", "name"], name="approval_newest"),
            models.Index(fields=["expires_at"], condition=Q(state="Pending"), name="approval_due"),
        ]

    def move_to(self, state: str, **changes: Any) -> str:
        """Change the state; returns the one before. Raises `InvalidTransition` or `LostRace`."""
        return transition(self, state, allowed=APPROVAL_TRANSITIONS, **changes)

    def change(self, **changes: Any) -> None:
        change(self, **changes)


class ApprovalDecision(models.Model):
    """One person's word on a request."""

    approval = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="decisions")
    approver = models.CharField(max_length=253)
    decision = models.CharField(max_length=16, choices=[("approved", "approved"), ("rejected", "rejected")])
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            # the same person counts once towards a quorum
            models.UniqueConstraint(fields=["approval", "approver"], name="approval_one_word_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.approver}: {self.decision}"
