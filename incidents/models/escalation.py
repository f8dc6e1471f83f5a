from typing import ClassVar

from django.db import models
from django.db.models import Q

from aiops.models import Resource
from incidents.models.incident import Incident


class EscalationPolicy(Resource):
    """Whom to tell, and whom next when nobody answers.

    `levels`: list of {name, timeoutMinutes, notifyChannels[], targets[], repeatIntervalMinutes}.
    """

    KIND: ClassVar[str] = "EscalationPolicy"

    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)  # taken when no other policy matches
    severities = models.JSONField(default=list, blank=True)  # empty: any
    namespaces = models.JSONField(default=list, blank=True)  # empty: any
    starts_on = models.CharField(
        max_length=16, choices=[("created", "created"), ("escalated", "escalated")], default="escalated"
    )
    levels = models.JSONField(default=list)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name_plural = "escalation policies"
        constraints = [models.UniqueConstraint(fields=["name"], name="escalation_policy_name_is_unique")]


class EscalationRun(models.Model):
    """A policy at work on an incident: the level it stands at and when the next one is due."""

    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, related_name="escalation")
    policy = models.ForeignKey(EscalationPolicy, on_delete=models.CASCADE, related_name="runs")
    level = models.PositiveSmallIntegerField(default=0)  # index of the level notified last
    repeats = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # when the next level is told; null: finished or stopped
    stopped_at = models.DateTimeField(null=True)
    stopped_by = models.CharField(max_length=64, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="escalation_due")]

    def __str__(self) -> str:
        return f"{self.policy} on {self.incident}, level {self.level}"
