"""Postmortems (api.md §7). The stored report holds what is no column; it is already in the contract's words."""

import math
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import (
    BooleanField,
    DurationField,
    EnumField,
    IntegerField,
    JsonField,
    ListField,
    NullableText,
    NumberField,
    TextField,
    TimeField,
)
from aiops.api.serializers import Body, Metadata, ObjectSerializer, Rendered, Shape, Stored
from incidents.api.serializers.incidents import ResourceRef, person, read
from incidents.models import PostMortem
from incidents.states import PostMortemState, Severity

Method = serializers.SerializerMethodField
Row = Any


class Publication(models.TextChoices):
    DRAFT = "draft"
    PUBLISHED = "published"


def texts() -> ListField:
    return ListField(child=TextField())


def lasted(start: datetime, end: datetime | None, now: datetime) -> timedelta:
    """From detection to resolution; until now while there is none."""
    return max((end or now) - start, timedelta(0))


class PostMortemItem(Shape):
    # context: `now`

    name = TextField()
    namespace = TextField()
    incident = TextField(source="incident.name")
    issueRef = TextField(source="incident.name")
    title = TextField()
    severity = EnumField(Severity)
    duration = Method()
    impact = TextField()
    rootCause = TextField()
    status = Method()
    state = EnumField(PostMortemState)
    createdAt = TimeField()
    author = TextField()
    requiresHumanAction = BooleanField()
    requiredAction = NullableText()
    chaosInduced = Method()
    chaosExperiment = NullableText(source="incident.chaos_experiment")
    resource = Method()
    resourceRef = Method()
    reviewedAt = TimeField(allow_null=True)
    creationTimestamp = TimeField(source="created_at")

    @classmethod
    def changes_at(cls, row: Row, now: datetime) -> datetime | None:
        """The duration of an open incident grows by the second."""
        if read(row, "resolved_at") is not None:
            return None
        start: datetime = read(row, "detected_at")
        return start + timedelta(seconds=math.floor((now - start).total_seconds()) + 1)

    @extend_schema_field(DurationField())
    def get_duration(self, row: Row) -> str:
        span = lasted(read(row, "detected_at"), read(row, "resolved_at"), self.context["now"])
        return DurationField().to_representation(span)

    @extend_schema_field(EnumField(Publication))
    def get_status(self, row: Row) -> str:
        return Publication.PUBLISHED if read(row, "complete") else Publication.DRAFT

    def get_chaosInduced(self, row: Row) -> bool:
        return bool(row["incident__chaos_experiment"])

    def get_resource(self, row: Row) -> str:
        return f"{row['incident__resource_kind']}/{row['incident__resource_name']}"

    @extend_schema_field(ResourceRef)
    def get_resourceRef(self, row: Row) -> Rendered:
        return {
            "kind": row["incident__resource_kind"],
            "name": row["incident__resource_name"],
            "namespace": row["namespace"],
        }


ITEM_COLUMNS = (
    "name",
    "namespace",
    "incident__name",
    "incident__resource_kind",
    "incident__resource_name",
    "incident__chaos_experiment",
    "title",
    "severity",
    "detected_at",
    "resolved_at",
    "impact",
    "root_cause",
    "complete",
    "state",
    "author",
    "requires_human_action",
    "required_action",
    "reviewed_at",
    "created_at",
)


# --- the report ----------------------------------------------------------------------------------------------------------


class Impact(Stored):
    """Free-form; these members are usual."""

    description = TextField(required=False)
    usersAffected = IntegerField(required=False)
    requestsAffected = TextField(required=False)
    revenueImpact = TextField(required=False)
    slosBreached = ListField(child=TextField(), required=False)


class RootCause(Stored):
    description = TextField()
    category = TextField()
    confidence = NumberField(min_value=0, max_value=1)


class ReportEvent(Stored):
    time = TimeField()
    event = TextField()


class RemediationApplied(Stored):
    runbook = TextField(allow_null=True)
    steps = texts()
    result = serializers.ChoiceField(choices=["success", "failed", "partial"])


class ActionItem(Stored):
    priority = serializers.ChoiceField(choices=["P1", "P2", "P3", "P4"])
    description = TextField()
    assignee = TextField()
    status = serializers.ChoiceField(choices=["open", "done"])
    dueDate = serializers.DateField()


class ExecutedAction(Stored):
    action = TextField()
    params = serializers.DictField(child=JsonField())
    result = serializers.ChoiceField(choices=["success", "failed"])
    detail = TextField()
    timestamp = TimeField()


class MetricSnapshot(Stored):
    name = TextField()
    value = TextField()
    timestamp = TimeField()
    phase = serializers.ChoiceField(choices=["before", "during", "after"])


class Affected(Stored):
    resource = ResourceRef()
    impact = TextField()
    severity = EnumField(Severity)


class GitCorrelation(Stored):
    commitSHA = TextField()
    commitMessage = TextField()
    author = TextField()
    timestamp = TimeField()
    confidence = NumberField()
    filesChanged = texts()


class Trending(Stored):
    occurrenceCount = IntegerField()
    windowDays = IntegerField()
    relatedPostMortems = texts()
    pattern = TextField()


class Feedback(Stored):
    overrideRootCause = TextField(allow_null=True)
    remediationAccuracy = IntegerField(min_value=1, max_value=5)
    comments = TextField(allow_null=True)
    providedBy = TextField()
    providedAt = TimeField()


class PostMortemReport(Stored):
    title = TextField()
    summary = TextField()
    severity = EnumField(Severity)
    duration = DurationField()
    detectedAt = TimeField()
    resolvedAt = TimeField(allow_null=True)
    impact = Impact()
    rootCause = RootCause(allow_null=True)
    timeline = ReportEvent(many=True)
    remediationApplied = RemediationApplied(allow_null=True)
    actionItems = ActionItem(many=True)
    lessonsLearned = texts()
    preventionActions = texts()
    actionsExecuted = ExecutedAction(many=True)
    metricSnapshots = MetricSnapshot(many=True)
    blastRadius = Affected(many=True)
    gitCorrelation = GitCorrelation(allow_null=True)
    trending = Trending(allow_null=True)
    gitOpsContext = TextField(allow_null=True)
    logAnalysisSummary = TextField(allow_null=True)
    cascadeChain = texts()
    sliImpact = TextField(allow_null=True)
    errorBudgetBurned = NumberField(allow_null=True)
    feedback = Feedback(allow_null=True)
    chaosInduced = BooleanField()
    chaosExperiment = TextField(allow_null=True)


EMPTY_REPORT: Rendered = {
    "impact": {},
    "rootCause": None,
    "timeline": [],
    "remediationApplied": None,
    "actionItems": [],
    "lessonsLearned": [],
    "preventionActions": [],
    "actionsExecuted": [],
    "metricSnapshots": [],
    "blastRadius": [],
    "gitCorrelation": None,
    "trending": None,
    "gitOpsContext": None,
    "logAnalysisSummary": None,
    "cascadeChain": [],
    "sliImpact": None,
    "errorBudgetBurned": None,
}


def report_of(row: PostMortem, now: datetime) -> Rendered:
    """The stored part, completed by what the row itself knows."""
    incident = row.incident
    stored: Rendered = row.report
    return (
        EMPTY_REPORT
        | stored
        | {
            "title": row.title,
            "summary": row.summary,
            "severity": row.severity,
            "duration": DurationField().to_representation(lasted(row.detected_at, row.resolved_at, now)),
            "detectedAt": row.detected_at,
            "resolvedAt": row.resolved_at,
            "feedback": row.feedback,
            "chaosInduced": bool(incident.chaos_experiment),
            "chaosExperiment": incident.chaos_experiment or None,
        }
    )


class PostMortemMetadata(Metadata):
    incident = TextField(source="incident.name")
    author = TextField()
    reviewedBy = Method()

    def get_reviewedBy(self, row: PostMortem) -> str | None:
        if row.reviewed_at is None:
            return row.reviewer or None
        return row.reviewer or row.annotations.get("aiops.chatcli.io/reviewed-by") or None


class PostMortemSpec(Shape):
    issueRef = TextField(source="incident.name")
    severity = EnumField(Severity)
    resource = TextField(source="incident.resource")
    resourceRef = Method()

    @extend_schema_field(ResourceRef)
    def get_resourceRef(self, row: PostMortem) -> Rendered:
        incident = row.incident
        return {"kind": incident.resource_kind, "name": incident.resource_name, "namespace": incident.namespace}


class PostMortemStatus(Shape):
    state = EnumField(PostMortemState)
    reviewer = NullableText()
    notes = NullableText()
    reviewStartedAt = TimeField(allow_null=True)
    closedAt = TimeField(allow_null=True)
    generatedAt = TimeField(allow_null=True)
    reviewedAt = TimeField(allow_null=True)
    feedback = Feedback(allow_null=True)
    requiresHumanAction = BooleanField()
    requiredAction = NullableText()


class PostMortemDocument(ObjectSerializer):
    # context: `now`

    KIND = "PostMortem"

    metadata = PostMortemMetadata(source="*")
    spec = PostMortemSpec(source="*")
    report = Method()
    status = PostMortemStatus(source="*")

    @extend_schema_field(PostMortemReport)
    def get_report(self, row: PostMortem) -> Rendered:
        return report_of(row, self.context["now"])


# --- bodies --------------------------------------------------------------------------------------------------------------


class ReviewBody(Body):
    reviewer = TextField(max_length=253, required=False)
    notes = TextField(max_length=4096, required=False)


class FeedbackBody(Body):
    providedBy = person()
    remediationAccuracy = IntegerField(min_value=1, max_value=5)
    overrideRootCause = TextField(max_length=4096, required=False)
    comments = TextField(max_length=4096, required=False)


class AcknowledgeHumanActionBody(Body):
    acknowledgedBy = TextField(max_length=253, required=False)
    note = TextField(max_length=1024, required=False)
