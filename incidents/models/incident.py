from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from aiops.models import Resource
from aiops.states import change, transition
from federation.models import Cluster
from incidents.states import INCIDENT_TRANSITIONS, IncidentState, Severity, Source


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> "IncidentQuerySet":
        return self.exclude(state=IncidentState.RESOLVED)


class Incident(Resource):
    """The one problem people work on: all signals of one workload (or node) of one cluster."""

    KIND: ClassVar[str] = "Incident"

    cluster = models.ForeignKey(Cluster, on_delete=models.SET_NULL, null=True, blank=True, related_name="incidents")
    # kept beside the key, so that an incident says where it happened after its cluster was unregistered
    cluster_name = models.CharField(max_length=253, blank=True)
    correlation_key = models.CharField(max_length=64, editable=False)  # digest of cluster, namespace, kind and name
    correlation_id = models.CharField(max_length=64)

    state = models.CharField(max_length=16, choices=IncidentState, default=IncidentState.DETECTED)
    severity = models.CharField(max_length=16, choices=Severity)
    severity_frozen = models.BooleanField(default=False)  # a person set it: signals change it no more
    risk_score = models.PositiveSmallIntegerField(default=0)
    signal_type = models.CharField(max_length=63, blank=True)
    source = models.CharField(max_length=16, choices=Source, default=Source.WATCHER)
    detection_source = models.CharField(max_length=64, blank=True)
    description = models.CharField(max_length=1024)
    resource_kind = models.CharField(max_length=63)
    resource_name = models.CharField(max_length=253)

    started_at = models.DateTimeField()  # the condition's own time in the cluster: what MTTD counts from
    detected_at = models.DateTimeField()
    escalated_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.TextField(blank=True)

    runbook = models.CharField(max_length=253, blank=True)
    escalation_policy = models.CharField(max_length=253, blank=True)
    assigned_to = models.CharField(max_length=253, blank=True)
    remediation_attempts = models.PositiveSmallIntegerField(default=0)
    max_remediation_attempts = models.PositiveSmallIntegerField(default=5)
    requires_human_action = models.BooleanField(default=False)
    required_action = models.TextField(blank=True)
    chaos_experiment = models.CharField(max_length=253, blank=True)

    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=253, blank=True)
    acknowledge_message = models.CharField(max_length=1024, blank=True)
    snoozed_at = models.DateTimeField(null=True, blank=True)
    snoozed_by = models.CharField(max_length=253, blank=True)
    snooze_until = models.DateTimeField(null=True, blank=True)
    snooze_reason = models.CharField(max_length=1024, blank=True)

    timeline_count = models.PositiveIntegerField(default=0)  # events in the timeline, kept by services.timeline
    # when the pipeline looks at this incident next without being nudged; null when it waits for a person or a plan
    due_at = models.DateTimeField(null=True, blank=True)
    analysis_tries = models.PositiveSmallIntegerField(default=0)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-detected_at", "name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="incident_name_is_unique"),
            models.UniqueConstraint(
                fields=["correlation_key"], condition=~Q(state="Resolved"), name="incident_one_open_per_correlation_key"
            ),
        ]
        indexes = [
            models.Index(fields=["-detected_at", "name"], name="incident_newest"),
            models.Index(fields=["state", "-detected_at", "name"], name="incident_by_state"),
            models.Index(fields=["namespace", "-detected_at", "name"], name="incident_by_namespace"),
            models.Index(fields=["severity", "-detected_at", "name"], name="incident_by_severity"),
            models.Index(fields=["signal_type", "-detected_at", "name"], name="incident_by_signal"),
            models.Index(fields=["cluster_name", "-detected_at", "name"], name="incident_by_cluster"),
            # the three that dashboards combine: without it a rare state in a busy namespace walks through the namespace
            models.Index(
                fields=["namespace", "state", "severity", "-detected_at", "name"], name="incident_by_all_three"
            ),
            models.Index(
                fields=["assigned_to", "-detected_at", "name"],
                condition=~Q(assigned_to=""),
                name="incident_by_assignee",
            ),
            models.Index(fields=["resource_name", "-detected_at"], name="incident_by_resource"),
            models.Index(fields=["correlation_key", "-resolved_at"], name="incident_recurrence"),
            models.Index(fields=["correlation_id"], name="incident_by_correlation_id"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="incident_due"),
            # the sweeps look for what began lately, and among what is open: neither may read all of history
            models.Index(fields=["-started_at"], name="incident_by_start"),
            models.Index(fields=["detected_at"], condition=~Q(state="Resolved"), name="incident_open"),
            models.Index(
                fields=["acknowledged_at"], condition=Q(acknowledged_at__isnull=False), name="incident_acknowledged"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def resource(self) -> str:
        return f"{self.resource_kind}/{self.resource_name}"

    @property
    def acknowledged(self) -> bool:
        return self.acknowledged_at is not None

    def snoozed(self, at: datetime) -> bool:
        return self.snooze_until is not None and at < self.snooze_until

    def move_to(self, state: str, **changes: Any) -> str:
        """Change the state; returns the one before. Raises `InvalidTransition` or `LostRace`."""
        return transition(self, state, allowed=INCIDENT_TRANSITIONS, **changes)

    def change(self, **changes: Any) -> None:
        """Change fields but not the state. Raises `LostRace`."""
        change(self, **changes)


class TimelineEvent(models.Model):
    """One line of the story of an incident."""

    class Type(models.TextChoices):
        DETECTION = "Detection"
        ANALYSIS = "Analysis"
        RUNBOOK_MATCH = "RunbookMatch"
        APPROVAL_REQUIRED = "ApprovalRequired"
        NOTIFICATION = "Notification"
        APPROVAL_DECISION = "ApprovalDecision"
        REMEDIATION_ACTION = "RemediationAction"
        REMEDIATION_FAILED = "RemediationFailed"
        ROLLBACK = "Rollback"
        VERIFICATION = "Verification"
        CONTAINMENT = "Containment"
        ESCALATION = "Escalation"
        ACKNOWLEDGEMENT = "Acknowledgement"
        SNOOZE = "Snooze"
        UNSNOOZE = "Unsnooze"
        COMMENT = "Comment"
        ASSIGNMENT = "Assignment"
        MERGE = "Merge"
        RESOLUTION = "Resolution"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline", db_index=False)
    at = models.DateTimeField()
    type = models.CharField(max_length=32, choices=Type)
    source = models.CharField(max_length=253)
    message = models.CharField(max_length=4096)
    severity = models.CharField(max_length=16, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["incident", "at", "id"], name="timeline_of_incident")]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.message}"


class Decision(models.Model):
    """Why the platform did or did not do something: stage, rule, inputs, verdict."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="decisions", db_index=False)
    at = models.DateTimeField()
    stage = models.CharField(max_length=32)  # deduplicate, correlate, suppress, match, refuse, escalate, …
    rule = models.CharField(max_length=253)
    verdict = models.CharField(max_length=64)
    reason = models.CharField(max_length=4096, blank=True)
    inputs = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["incident", "at", "id"], name="decision_of_incident")]

    def __str__(self) -> str:
        return f"{self.stage}/{self.rule}: {self.verdict}"
