from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from aiops.models import Resource
from aiops.states import change
from incidents.models import Incident
from incidents.states import Severity


class IncidentSLA(Resource):
    """How soon people answer, contain and resolve incidents of a severity. The most specific one that fits counts.

    Scopes: a service, a namespace, an environment; what is empty fits any.
    """

    KIND: ClassVar[str] = "IncidentSLA"

    severity = models.CharField(max_length=16, choices=Severity)
    service = models.CharField(max_length=253, blank=True)
    incident_namespace = models.CharField(max_length=253, blank=True)  # of the incidents that it is about
    environment = models.CharField(max_length=32, blank=True)  # of their cluster
    enabled = models.BooleanField(default=True)

    response_seconds = models.PositiveIntegerField(null=True, blank=True)  # working time; null: nothing is promised
    mitigation_seconds = models.PositiveIntegerField(null=True, blank=True)
    resolution_seconds = models.PositiveIntegerField(null=True, blank=True)
    business_hours_only = models.BooleanField(default=False)
    # {timezone, workDays[], startHour, endHour, shifts[{start, end}], holidays{country, subdivision, dates[]}}
    business_hours = models.JSONField(default=dict, blank=True)
    escalation_policy = models.CharField(max_length=253, blank=True)  # asked when a promise is broken
    notification_channels = models.JSONField(default=list, blank=True)  # empty: as the notification policies say

    class Meta:
        verbose_name = "incident SLA"
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["namespace", "name"], name="incident_sla_name_is_unique")]


class ClockKind(models.TextChoices):
    RESPONSE = "response"
    MITIGATION = "mitigation"
    RESOLUTION = "resolution"


class ClockState(models.TextChoices):
    RUNNING = "running"
    PAUSED = "paused"
    AT_RISK = "at-risk"  # three quarters of the time are gone
    BREACHED = "breached"  # too late; it runs on until the incident gets what was promised
    MET = "met"
    MISSED = "missed"  # came, but too late
    CANCELLED = "cancelled"  # merged into another incident, or no promise fits any more


LIVE = frozenset({ClockState.RUNNING, ClockState.PAUSED, ClockState.AT_RISK, ClockState.BREACHED})


class SLAClock(models.Model):
    """A promise at work on an incident. `next_at` is when a sweep looks at it next; null: it waits, or has ended."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="sla_clocks")
    sla = models.ForeignKey(IncidentSLA, on_delete=models.SET_NULL, null=True, blank=True, related_name="clocks")
    sla_name = models.CharField(max_length=253)
    kind = models.CharField(max_length=16, choices=ClockKind)
    severity = models.CharField(max_length=16, choices=Severity)
    state = models.CharField(max_length=16, choices=ClockState, default=ClockState.RUNNING)
    started_at = models.DateTimeField()
    allowed_seconds = models.PositiveIntegerField()
    business_hours = models.JSONField(default=dict, blank=True)  # as they were promised; empty: around the clock
    warn_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)  # null: paused, or nobody ever works
    warned_at = models.DateTimeField(null=True, blank=True)
    breached_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)  # of the breach
    ended_at = models.DateTimeField(null=True, blank=True)  # when the incident got it
    taken_seconds = models.PositiveIntegerField(null=True, blank=True)  # working time until then
    next_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name = "SLA clock"
        ordering = ["-started_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["incident", "kind"], name="sla_clock_one_per_incident_and_kind")]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="sla_clock_next"),
            models.Index(fields=["kind", "severity", "due_at"], name="sla_clock_by_due"),
            models.Index(fields=["state", "due_at"], name="sla_clock_by_state"),
            models.Index(fields=["-breached_at"], condition=Q(breached_at__isnull=False), name="sla_clock_broken"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.incident}"

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    def change(self, **changes: Any) -> None:
        """Raises `LostRace`."""
        change(self, **changes)


class SLAPause(models.Model):
    """A time that the clocks of an incident do not count, for example while a vendor is asked."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="sla_pauses")
    reason = models.CharField(max_length=1024)
    started_at = models.DateTimeField()
    started_by = models.CharField(max_length=253)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=253, blank=True)

    class Meta:
        verbose_name = "SLA pause"
        ordering = ["started_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["incident"], condition=Q(ended_at__isnull=True), name="sla_pause_one_open_per_incident"
            )
        ]

    def __str__(self) -> str:
        return self.reason
