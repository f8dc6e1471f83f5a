"""Approval requests and the decisions on them (api.md 6)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import (
    BooleanField,
    EnumField,
    IntegerField,
    MapField,
    NullableText,
    NumberField,
    ObjectField,
    TextField,
    TimeField,
)
from aiops.api.serializers import Body, ObjectSerializer, Rendered, Shape
from aiops.apikeys.roles import Role
from incidents.states import Severity
from runbooks.api import stored
from runbooks.models import ApprovalRequest
from runbooks.states import ApprovalState

Method = serializers.SerializerMethodField
Row = Any  # an instance, or a dict of `values()`


def state_of(row: Mapping[str, Any] | ApprovalRequest, now: datetime) -> str:
    """APR-4: a pending request past its time is expired at once."""
    state, expires_at = (row["state"], row["expires_at"]) if isinstance(row, Mapping) else (row.state, row.expires_at)
    return str(ApprovalState.EXPIRED if state == ApprovalState.PENDING and expires_at <= now else state)


class StatusWord(models.TextChoices):
    """The approval states in lower case."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class ApprovalItem(Shape):
    # from a row of `values()`; context: `now`

    name = TextField()
    namespace = TextField()
    status = Method()
    state = Method()
    incident = TextField(source="incident.name")
    action = TextField()
    riskScore = IntegerField()
    requiredRole = EnumField(Role)
    runbook = NullableText(source="runbook_name")
    requestedAt = TimeField(source="created_at")
    expiresAt = TimeField()
    decidedAt = TimeField(allow_null=True)
    decidedBy = NullableText()
    requestedBy = NullableText(source="requester")
    approvedBy = Method()
    rejectedBy = Method()
    decisionReason = NullableText()
    labels = MapField()
    creationTimestamp = TimeField(source="created_at")

    @classmethod
    def changes_at(cls, row: Row, now: datetime) -> datetime | None:
        """A pending request expires."""
        expires_at: datetime = row["expires_at"]
        return expires_at if row["state"] == ApprovalState.PENDING and now < expires_at else None

    @extend_schema_field(EnumField(StatusWord))
    def get_status(self, row: Row) -> str:
        return self.get_state(row).lower()

    @extend_schema_field(EnumField(ApprovalState))
    def get_state(self, row: Row) -> str:
        return state_of(row, self.context["now"])

    def get_approvedBy(self, row: Row) -> str | None:
        return row["decided_by"] or None if row["state"] == ApprovalState.APPROVED else None

    def get_rejectedBy(self, row: Row) -> str | None:
        return row["decided_by"] or None if row["state"] == ApprovalState.REJECTED else None


class ApprovalSpec(Shape):
    issueRef = TextField(source="incident.name")
    remediationPlanRef = TextField(source="plan.name")
    action = TextField(source="action_type")
    targetResource = stored.Target(source="target")
    confidence = NumberField()
    severity = EnumField(Severity)
    mode = EnumField(ApprovalRequest.Mode)
    blastRadius = stored.BlastRadius(allow_null=True)
    requiredRole = EnumField(Role)
    requiredApprovers = IntegerField(min_value=1)
    timeoutMinutes = IntegerField()
    requestedActions = stored.TypedAction(many=True)
    policyRef = NullableText(source="policy_name")
    ruleName = NullableText()
    requester = NullableText()
    evidence = ObjectField(allow_null=True)


class ApprovalDecisionShape(Shape):
    approver = TextField()
    decision = TextField()
    reason = TextField()
    timestamp = TimeField(source="at")


class ApprovalStatus(Shape):
    # context: `now`

    state = Method()
    status = Method()
    createdAt = TimeField()
    expiresAt = TimeField()
    approvedBy = Method()
    approvedAt = Method()
    comment = Method()
    rejectedBy = Method()
    rejectedAt = Method()
    reason = Method()
    expiredAt = Method()
    incident = TextField(source="incident.name")
    remediationTriggered = Method()
    autoApproved = BooleanField()
    decisions = Method()

    @extend_schema_field(EnumField(ApprovalState))
    def get_state(self, row: ApprovalRequest) -> str:
        return state_of(row, self.context["now"])

    @extend_schema_field(EnumField(StatusWord))
    def get_status(self, row: ApprovalRequest) -> str:
        return self.get_state(row).lower()

    def get_approvedBy(self, row: ApprovalRequest) -> str | None:
        return row.decided_by or None if row.state == ApprovalState.APPROVED else None

    def get_approvedAt(self, row: ApprovalRequest) -> datetime | None:
        return row.decided_at if row.state == ApprovalState.APPROVED else None

    def get_comment(self, row: ApprovalRequest) -> str | None:
        return row.decision_reason or None if row.state == ApprovalState.APPROVED else None

    def get_rejectedBy(self, row: ApprovalRequest) -> str | None:
        return row.decided_by or None if row.state == ApprovalState.REJECTED else None

    def get_rejectedAt(self, row: ApprovalRequest) -> datetime | None:
        return row.decided_at if row.state == ApprovalState.REJECTED else None

    def get_reason(self, row: ApprovalRequest) -> str | None:
        return row.decision_reason or None if row.state == ApprovalState.REJECTED else None

    def get_expiredAt(self, row: ApprovalRequest) -> datetime | None:
        return row.expires_at if self.get_state(row) == ApprovalState.EXPIRED else None

    def get_remediationTriggered(self, row: ApprovalRequest) -> bool:
        return row.state == ApprovalState.APPROVED

    @extend_schema_field(ApprovalDecisionShape(many=True))
    def get_decisions(self, row: ApprovalRequest) -> list[Rendered]:
        return ApprovalDecisionShape.render_all(row.decisions.all())


class ApprovalRequestDocument(ObjectSerializer):
    KIND = "ApprovalRequest"

    spec = ApprovalSpec(source="*")
    status = ApprovalStatus(source="*")


class ApprovalDocument(ObjectSerializer):
    """The request as it is after the decision."""

    KIND = "Approval"

    spec = ApprovalSpec(source="*")
    status = ApprovalStatus(source="*")


class ApproveBody(Body):
    SYNONYMS = {"approver": "approvedBy", "reason": "comment"}

    approvedBy = TextField(max_length=253)
    comment = TextField(max_length=4096, required=False, default="")


class RejectBody(Body):
    SYNONYMS = {"approver": "rejectedBy"}

    rejectedBy = TextField(max_length=253)
    reason = TextField(max_length=4096)
