"""Remediation plans (api.md 4), and the remediation of an incident (3.7)."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import BooleanField, EnumField, IntegerField, NullableText, ObjectField, TextField, TimeField
from aiops.api.serializers import Body, Document, ObjectSerializer, Rendered, Shape
from runbooks.api import stored
from runbooks.api.stored import average_duration
from runbooks.definitions import SCRIPT
from runbooks.models import ApprovalRequest, PlanStep, RemediationPlan
from runbooks.states import PlanState, StepState

Method = serializers.SerializerMethodField
Row = Any  # an instance, or a dict of `values()`


def approval_of(plan: RemediationPlan) -> ApprovalRequest | None:
    try:
        return plan.approval
    except ObjectDoesNotExist:
        return None


def typed_actions(plan: RemediationPlan) -> list[Rendered]:
    return [{"type": step.action_type, "params": step.params} for step in plan.steps.all() if step.action_type]


def checkpoints(plan: RemediationPlan) -> list[Rendered]:
    return [
        {
            "actionIndex": step.index,
            "actionType": step.action_type or step.name,
            "success": step.state == StepState.COMPLETED,
            "timestamp": step.completed_at,
        }
        for step in plan.steps.all()
        if step.state in {StepState.COMPLETED, StepState.FAILED}
    ]


class PlanItem(Shape):
    # fixed actions only: the mode in which a model decides step by step does not exist, so its members are constant

    name = TextField()
    namespace = TextField()
    issueRef = TextField(source="incident.name")
    attempt = IntegerField(min_value=1)
    strategy = TextField()
    state = EnumField(PlanState)
    startedAt = TimeField(allow_null=True)
    completedAt = TimeField(allow_null=True)
    result = TextField()
    agenticMode = Method()
    agenticStepCount = Method()
    actions = Method()
    creationTimestamp = TimeField(source="created_at")

    def get_agenticMode(self, row: Row) -> bool:
        return False

    def get_agenticStepCount(self, row: Row) -> int:
        return 0

    @extend_schema_field(stored.TypedAction(many=True))
    def get_actions(self, row: Row) -> list[Rendered]:
        return typed_actions(row)


class PlanSpec(PlanItem):
    safetyConstraints = stored.texts()
    evidence = stored.Evidence(many=True)
    rollbackPerformed = BooleanField()
    rollbackResult = TextField()
    agenticHistory = Method()

    @extend_schema_field(stored.AgenticStep(many=True))
    def get_agenticHistory(self, row: Row) -> list[Rendered]:
        return []


class PlanStatus(Shape):
    state = EnumField(PlanState)
    startedAt = TimeField(allow_null=True)
    actionsCompletedAt = TimeField(allow_null=True)
    completedAt = TimeField(allow_null=True)
    result = TextField()
    agenticStepCount = Method()
    agenticStartedAt = Method()
    evidence = stored.Evidence(many=True)
    preflightSnapshot = ObjectField(allow_null=True)
    actionCheckpoints = Method()
    rollbackPerformed = BooleanField()
    rollbackResult = TextField()
    postFailureHealthy = BooleanField(allow_null=True)

    def get_agenticStepCount(self, row: Row) -> int:
        return 0

    def get_agenticStartedAt(self, row: Row) -> datetime | None:
        return None

    @extend_schema_field(stored.Checkpoint(many=True))
    def get_actionCheckpoints(self, row: Row) -> list[Rendered]:
        return checkpoints(row)


class PlanDocument(ObjectSerializer):
    KIND = "RemediationPlan"

    spec = PlanSpec(source="*")
    status = PlanStatus(source="*")


class CancelBody(Body):
    cancelledBy = TextField(max_length=253)
    reason = TextField(max_length=4096, required=False, default="")


class CompleteStepBody(Body):
    completedBy = TextField(max_length=253)
    note = TextField(max_length=4096, required=False, default="")


class Strategy(models.TextChoices):
    AUTOMATED = "automated"
    MANUAL = "manual"
    AGENTIC = "agentic"


class Phase(models.TextChoices):
    """The plan states in the words of 3.7."""

    PENDING = "Pending"
    PENDING_APPROVAL = "PendingApproval"
    EXECUTING = "Executing"
    VERIFYING = "Verifying"
    COMPLETED = "Completed"
    FAILED = "Failed"
    ROLLED_BACK = "RolledBack"


class RemediationMetadata(Shape):
    name = TextField()
    namespace = TextField()
    plan = TextField()


class RemediationSpec(Shape):
    runbook = NullableText(source="runbook_name")
    strategy = Method()
    approvalRequired = BooleanField()
    rollbackOnFailure = BooleanField()

    @extend_schema_field(EnumField(Strategy))
    def get_strategy(self, row: RemediationPlan) -> str:
        """Manual as soon as a person has to do a step."""
        return Strategy.MANUAL if any(step.action == SCRIPT for step in row.steps.all()) else Strategy.AUTOMATED


class RemediationStep(Shape):
    # context: `waiting_for`, the name of the approval that the plan waits for

    name = TextField()
    description = TextField()
    status = Method()
    startedAt = TimeField(allow_null=True)
    completedAt = TimeField(allow_null=True)
    output = NullableText()
    approvalName = Method()

    @extend_schema_field(EnumField(StepState))
    def get_status(self, row: PlanStep) -> str:
        return StepState.PENDING_APPROVAL if self._waits(row) else row.state

    def get_approvalName(self, row: PlanStep) -> str | None:
        return self.context["waiting_for"] if self._waits(row) else None

    def _waits(self, row: PlanStep) -> bool:
        """An approval holds back what changes the cluster."""
        return bool(self.context["waiting_for"] and row.action_type and row.state in WAITING_STEPS)


WAITING_STEPS = frozenset({StepState.PENDING, StepState.PENDING_APPROVAL})


class RemediationStatus(Shape):
    phase = Method()
    attempt = IntegerField(min_value=1)
    steps = Method()
    estimatedDuration = Method()
    riskLevel = Method()
    preflightSnapshot = ObjectField(allow_null=True)
    actionCheckpoints = Method()
    rollbackPerformed = BooleanField()
    postFailureHealthy = BooleanField(allow_null=True)

    @extend_schema_field(EnumField(Phase))
    def get_phase(self, row: RemediationPlan) -> str:
        return Phase.PENDING_APPROVAL if row.state == PlanState.WAITING_APPROVAL else row.state

    @extend_schema_field(RemediationStep(many=True))
    def get_steps(self, row: RemediationPlan) -> list[Rendered]:
        return RemediationStep.render_all(row.steps.all(), **self.context)

    def get_estimatedDuration(self, row: RemediationPlan) -> str | None:
        """What the runbook took on average; unknown before its first success."""
        runbook = row.runbook
        return average_duration(runbook.execution_seconds, runbook.plans_completed) if runbook else None

    def get_riskLevel(self, row: RemediationPlan) -> str | None:
        return (row.blast_radius or {}).get("riskLevel")

    @extend_schema_field(stored.Checkpoint(many=True))
    def get_actionCheckpoints(self, row: RemediationPlan) -> list[Rendered]:
        return checkpoints(row)


class RemediationDocument(Document):
    KIND = "Remediation"

    metadata = RemediationMetadata()
    spec = RemediationSpec()
    status = RemediationStatus()


def remediation_document(plan: RemediationPlan) -> Rendered:
    """The `Remediation` of an incident: its newest plan, read with `runbook`, `incident`, `approval` and `steps`."""
    incident = plan.incident
    approval = approval_of(plan) if plan.state == PlanState.WAITING_APPROVAL else None
    metadata = {"name": incident.name, "namespace": incident.namespace, "plan": plan.name}
    return RemediationDocument.render(
        {"metadata": metadata, "spec": plan, "status": plan}, waiting_for=approval.name if approval else ""
    )
