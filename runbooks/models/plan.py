from typing import Any, ClassVar

from django.db import models
from django.db.models import Q, Value

from aiops.models import Resource
from aiops.states import change, transition
from federation.models import Cluster
from incidents.models import Incident
from runbooks.models.runbook import Runbook
from runbooks.states import PLAN_TRANSITIONS, STEP_TRANSITIONS, TERMINAL, PlanState, StepState


class RemediationPlan(Resource):
    """The use of a runbook on one incident: one attempt."""

    KIND: ClassVar[str] = "RemediationPlan"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="plans")
    cluster = models.ForeignKey(Cluster, on_delete=models.SET_NULL, null=True, blank=True, related_name="plans")
    runbook = models.ForeignKey(Runbook, on_delete=models.SET_NULL, null=True, blank=True, related_name="plans")
    runbook_name = models.CharField(max_length=253, blank=True)  # RB-6: kept when the runbook is deleted
    attempt = models.PositiveSmallIntegerField()
    strategy = models.TextField()
    state = models.CharField(max_length=16, choices=PlanState, default=PlanState.PENDING)
    requested_by = models.CharField(max_length=253, default="system")
    approval_required = models.BooleanField(default=False)
    rollback_on_failure = models.BooleanField(default=True)
    # what the plan works on; one running plan per target is a constraint
    target_key = models.CharField(max_length=64)
    target_kind = models.CharField(max_length=63)
    target_name = models.CharField(max_length=253)
    # sorted types and parameters: a set that failed once is not tried again on the same incident, and approvals bind to it
    actions_digest = models.CharField(max_length=64)
    safety_constraints = models.JSONField(default=list)
    evidence = models.JSONField(default=list)  # {type, data, timestamp}
    preflight_snapshot = models.JSONField(null=True, blank=True)
    blast_radius = models.JSONField(null=True, blank=True)
    verification = models.JSONField(default=dict)  # {good, since, samples, lastReason, baseline}
    started_at = models.DateTimeField(null=True, blank=True)
    actions_completed_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    result = models.TextField(blank=True)
    rollback_performed = models.BooleanField(default=False)
    rollback_result = models.TextField(blank=True)
    post_failure_healthy = models.BooleanField(null=True, blank=True)
    # why it failed, set before the first step is undone: from then on the plan only goes back
    failure = models.TextField(blank=True)
    cancel_requested_by = models.CharField(max_length=253, blank=True)
    cancel_reason = models.TextField(blank=True)
    tries = models.PositiveSmallIntegerField(
        default=0
    )  # calls in a row that the cluster did not answer; decides the back-off
    # when the next look is due; null: waits for a person or is finished
    due_at = models.DateTimeField(null=True, blank=True)
    # the worker that works on it; after this time another one may take over
    leased_until = models.DateTimeField(null=True, blank=True)
    lease_holder = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at", "name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="plan_name_is_unique"),
            models.UniqueConstraint(fields=["incident", "attempt"], name="plan_one_per_attempt"),
            models.UniqueConstraint(
                fields=["target_key"], condition=~Q(state__in=sorted(TERMINAL)), name="plan_one_running_per_target"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "name"], name="plan_newest"),
            models.Index(fields=["state", "-created_at"], name="plan_by_state"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="plan_due"),
            models.Index(fields=["target_key", "-created_at"], name="plan_of_target"),
            models.Index(fields=["namespace", "-created_at"], name="plan_of_namespace"),
        ]

    def move_to(self, state: str, **changes: Any) -> str:
        """Change the state; returns the one before. Raises `InvalidTransition` or `LostRace`."""
        return transition(self, state, allowed=PLAN_TRANSITIONS, **changes)

    def change(self, **changes: Any) -> None:
        change(self, **changes)


class PlanStep(models.Model):
    """One step of a plan, journaled: written as `Running` with its key before the cluster is touched."""

    plan = models.ForeignKey(RemediationPlan, on_delete=models.CASCADE, related_name="steps")
    index = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=253)
    description = models.TextField()
    action = models.CharField(max_length=64)  # as the runbook says it
    action_type = models.CharField(
        max_length=64, blank=True
    )  # the typed action that runs; blank for diagnostics and manual steps
    command = models.TextField(blank=True)
    params = models.JSONField(default=dict)
    timeout_seconds = models.PositiveIntegerField(default=60)
    continue_on_failure = models.BooleanField(default=False)
    state = models.CharField(max_length=16, choices=StepState, default=StepState.PENDING)
    key = models.CharField(max_length=64, unique=True)  # idempotency key, also an annotation on the changed object
    snapshot = models.JSONField(null=True, blank=True)  # what the action needs to roll back
    output = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    rolled_back_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["plan", "index"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "index"], name="step_one_per_index"),
            models.UniqueConstraint(fields=["plan", "name"], name="step_name_is_unique_in_plan"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} {self.index + 1}. {self.name}"

    def move_to(self, state: str, **changes: Any) -> str:
        return transition(self, state, allowed=STEP_TRANSITIONS, **changes)


class AutomationSwitch(models.Model):
    """The kill switch. A row that is `stopped` stops every action: everywhere (no cluster) or in one cluster."""

    cluster = models.OneToOneField(
        Cluster,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="automation_switch",
        help_text="Empty: all.",
    )
    stopped = models.BooleanField(default=False)
    reason = models.CharField(max_length=1024, blank=True)
    changed_by = models.CharField(max_length=253, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "automation switches"
        constraints = [
            # a constant instead of a column: at most one row without a cluster
            models.UniqueConstraint(Value(1), condition=Q(cluster__isnull=True), name="one_global_switch"),
        ]

    def __str__(self) -> str:
        return f"{self.cluster or 'all clusters'}: {'stopped' if self.stopped else 'running'}"
