from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import (
    AgeField,
    BooleanField,
    DurationField,
    EnumField,
    IntegerField,
    ListField,
    MapField,
    NullableText,
    NumberField,
    ObjectField,
    TextField,
    TimeField,
)
from aiops.api.formats import next_age
from aiops.api.serializers import (
    Body,
    Document,
    Envelope,
    ListMetadata,
    ObjectSerializer,
    Rendered,
    Shape,
)
from incidents.intake import Rejected
from incidents.models import TimelineEvent
from incidents.services.correlation import Receipt
from incidents.services.lifecycle import LONGEST_SNOOZE
from incidents.states import IncidentState, Severity, Source

Method = serializers.SerializerMethodField
Row = Any  # an instance, or a dict of `values()`


def read(row: Row, name: str) -> Any:
    return row[name] if type(row) is dict else getattr(row, name)


class ResourceRef(Shape):
    kind = TextField()
    name = TextField()
    namespace = TextField()


class OnResource(Shape):
    """Members of whatever has `resource_kind`, `resource_name` and `namespace`."""

    resource = Method()
    resourceRef = Method()

    def get_resource(self, row: Row) -> str:
        return f"{read(row, 'resource_kind')}/{read(row, 'resource_name')}"

    @extend_schema_field(ResourceRef)
    def get_resourceRef(self, row: Row) -> Rendered:
        return {
            "kind": read(row, "resource_kind"),
            "name": read(row, "resource_name"),
            "namespace": read(row, "namespace"),
        }


class Attention(Shape):
    """What people did and have to do. Context: `now`."""

    acknowledged = Method()
    snoozed = Method()
    assignedTo = NullableText()
    requiresHumanAction = BooleanField()
    requiredAction = NullableText()
    chaosInduced = Method()
    chaosExperiment = NullableText()

    def get_acknowledged(self, row: Row) -> bool:
        return read(row, "acknowledged_at") is not None

    def get_snoozed(self, row: Row) -> bool:
        until = read(row, "snooze_until")
        return until is not None and self.context["now"] < until

    def get_chaosInduced(self, row: Row) -> bool:
        return bool(read(row, "chaos_experiment"))


class IncidentItem(OnResource, Attention):
    name = TextField()
    namespace = TextField()
    severity = EnumField(Severity)
    state = EnumField(IncidentState)
    description = TextField()
    source = EnumField(Source)  # type: ignore[assignment]  # DRF takes it out of the class
    signalType = NullableText()
    riskScore = IntegerField(min_value=0, max_value=100)
    detectedAt = TimeField()
    resolvedAt = TimeField(allow_null=True)
    resolution = NullableText()
    age = AgeField("detected_at", until="resolved_at")
    remediationAttempts = IntegerField()
    maxRemediationAttempts = IntegerField()
    cluster = NullableText(source="cluster_name")
    labels = MapField()
    annotations = MapField()
    creationTimestamp = TimeField(source="created_at")

    @classmethod
    def changes_at(cls, row: Row, now: datetime) -> datetime | None:
        """The age of an open incident grows, a snooze ends."""
        until = read(row, "snooze_until")
        moments = [until] if until is not None and now < until else []
        if read(row, "resolved_at") is None:
            moments.append(next_age(read(row, "detected_at"), now))
        return min(moments, default=None)


ITEM_COLUMNS = (
    "name",
    "namespace",
    "severity",
    "state",
    "resource_kind",
    "resource_name",
    "description",
    "source",
    "signal_type",
    "risk_score",
    "detected_at",
    "resolved_at",
    "resolution",
    "assigned_to",
    "remediation_attempts",
    "max_remediation_attempts",
    "requires_human_action",
    "required_action",
    "chaos_experiment",
    "acknowledged_at",
    "snooze_until",
    "cluster_name",
    "labels",
    "annotations",
    "created_at",
)


class SimilarIncidentItem(IncidentItem):
    similarity = NumberField(min_value=0, max_value=1)
    runbook = NullableText()


class SimilarIncidents(Envelope):
    """An `IncidentList` whose items say how similar they are."""

    KIND = "IncidentList"

    metadata = ListMetadata()
    items = SimilarIncidentItem(many=True)


set_override(SimilarIncidents, "component_name", "SimilarIncidentList")


class IncidentSpec(OnResource):
    severity = EnumField(Severity)
    description = TextField()
    signalType = NullableText()
    source = EnumField(Source)  # type: ignore[assignment]  # DRF takes it out of the class
    detectionSource = NullableText()
    correlationId = NullableText()
    runbook = NullableText()
    escalationPolicy = NullableText()
    cluster = NullableText(source="cluster_name")


class AnalysisResult(Shape):
    """The newest analysis in short."""

    rootCause = TextField(source="analysis")
    recommendation = Method()
    confidence = NumberField(min_value=0, max_value=1)
    relatedEvents = ListField(child=TextField())

    def get_recommendation(self, row: Row) -> str:
        recommendations = read(row, "recommendations")
        return str(recommendations[0]) if recommendations else ""


INSIGHT_COLUMNS = ("analysis", "recommendations", "confidence", "related_events")


class BurnedBudget(Shape):
    """How much of the error budget of an SLO the incident spent. `percent` is null for a budget of nothing."""

    slo = TextField()
    namespace = TextField()
    minutes = NumberField(min_value=0)
    percent = NumberField(min_value=0, allow_null=True)


class IncidentStatus(Attention):
    # context: `now`, `insight`, the newest one or None, and `burned`, as `attribution.shown` makes it

    state = EnumField(IncidentState)
    riskScore = IntegerField(min_value=0, max_value=100)
    analysisResult = Method()
    acknowledgedBy = NullableText()
    acknowledgedAt = TimeField(allow_null=True)
    message = NullableText(source="acknowledge_message")
    snoozedBy = NullableText()
    snoozedAt = TimeField(allow_null=True)
    snoozeUntil = TimeField(allow_null=True)
    snoozeReason = NullableText()
    detectedAt = TimeField()
    escalatedAt = TimeField(allow_null=True)
    resolvedAt = TimeField(allow_null=True)
    lastUpdated = TimeField(source="updated_at")
    timelineCount = IntegerField(min_value=0)
    remediationAttempts = IntegerField()
    maxRemediationAttempts = IntegerField()
    resolution = NullableText()
    budgetBurned = Method()

    @extend_schema_field(AnalysisResult(allow_null=True))
    def get_analysisResult(self, row: Row) -> Rendered | None:
        insight = self.context["insight"]
        return None if insight is None else AnalysisResult.render(insight)

    @extend_schema_field(BurnedBudget(many=True))
    def get_budgetBurned(self, row: Row) -> list[Rendered]:
        return BurnedBudget.render_all(self.context["burned"])


class IncidentDocument(ObjectSerializer):
    KIND = "Incident"

    spec = IncidentSpec(source="*")
    status = IncidentStatus(source="*")


DOCUMENT_COLUMNS = (
    *ITEM_COLUMNS,
    "uid",
    "updated_at",
    "version",
    "detection_source",
    "correlation_id",
    "runbook",
    "escalation_policy",
    "acknowledged_by",
    "acknowledge_message",
    "snoozed_at",
    "snoozed_by",
    "snooze_reason",
    "escalated_at",
    "timeline_count",
)


# --- sub-documents -----------------------------------------------------------------------------------------------------


class TimelineMetadata(Shape):
    name = TextField()
    namespace = TextField()
    eventCount = IntegerField(min_value=0)


class TimelineEntry(Shape):
    """An event as the incident it belongs to sees it."""

    timestamp = TimeField(source="timeline.at")
    type = EnumField(TimelineEvent.Type, source="timeline.type")
    source = TextField(source="timeline.source")  # type: ignore[assignment]  # DRF takes it out of the class
    message = TextField(source="timeline.message")
    severity = Method()
    details = ObjectField(source="timeline.details")

    @extend_schema_field(EnumField(Severity, allow_null=True))
    def get_severity(self, row: Rendered) -> str | None:
        return row["timeline__severity"] or None


TIMELINE_COLUMNS = ("at", "type", "source", "message", "severity", "details")


class TimelineDocument(Document):
    KIND = "IncidentTimeline"

    metadata = TimelineMetadata()
    events = TimelineEntry(many=True)


class AnomalyItem(OnResource):
    signalType = TextField()
    source = EnumField(Source)  # type: ignore[assignment]  # DRF takes it out of the class
    cluster = TextField(allow_null=True, source="cluster.name")
    description = TextField()
    severity = EnumField(Severity)
    count = IntegerField(min_value=1)
    firstSeenAt = TimeField()
    lastSeenAt = TimeField()
    clearedAt = TimeField(allow_null=True)
    labels = MapField()


ANOMALY_COLUMNS = (
    "signal_type",
    "source",
    "resource_kind",
    "resource_name",
    "namespace",
    "cluster__name",
    "description",
    "severity",
    "count",
    "first_seen_at",
    "last_seen_at",
    "cleared_at",
    "labels",
)


class DecisionItem(Shape):
    timestamp = TimeField(source="at")
    stage = TextField()
    rule = TextField()
    verdict = TextField()
    reason = TextField()
    inputs = ObjectField()


DECISION_COLUMNS = ("at", "stage", "rule", "verdict", "reason", "inputs")


# --- bodies --------------------------------------------------------------------------------------------------------------


def person() -> TextField:
    return TextField(max_length=253)


class AcknowledgeBody(Body):
    acknowledgedBy = person()
    message = TextField(max_length=1024, required=False)


class SnoozeBody(Body):
    duration = DurationField(above=timedelta(0), maximum=LONGEST_SNOOZE)
    reason = TextField(max_length=1024)
    snoozedBy = person()


class ResolveBody(Body):
    resolution = TextField(max_length=4096, required=False)


class CommentBody(Body):
    author = person()
    message = TextField(max_length=4096)


class AssignBody(Body):
    assignedTo = TextField(max_length=253, allow_null=True)
    assignedBy = person()


class MergeBody(Body):
    into = TextField(max_length=253)
    reason = TextField(max_length=1024, required=False)


class RemediateBody(Body):
    runbook = TextField(max_length=253)
    requestedBy = person()


# --- alerts in -----------------------------------------------------------------------------------------------------------


class ReceiptMetadata(Shape):
    source = TextField()  # type: ignore[assignment]  # DRF takes it out of the class
    receivedAt = TimeField()


class RejectedAlert(Shape):
    index = IntegerField(min_value=0)
    reason = TextField()


class ReceiptStatus(Shape):
    received = IntegerField(min_value=0)
    opened = IntegerField(min_value=0)
    updated = IntegerField(min_value=0)
    resolved = IntegerField(min_value=0)
    suppressed = IntegerField(min_value=0)
    duplicates = IntegerField(min_value=0)
    incidents = ListField(child=TextField())
    rejected = RejectedAlert(many=True)


class AlertReceipt(Document):
    KIND = "AlertReceipt"

    metadata = ReceiptMetadata()
    status = ReceiptStatus()


def receipt(*, source: str, at: datetime, counts: Receipt, rejected: Sequence[Rejected]) -> Rendered:
    return AlertReceipt.render(
        {"metadata": {"source": source, "received_at": at}, "status": {**asdict(counts), "rejected": rejected}}
    )
