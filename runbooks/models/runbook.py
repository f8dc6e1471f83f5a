from typing import Any, ClassVar

from django.db import models

from aiops.models import Resource
from aiops.states import change


class Category(models.TextChoices):
    OOMKILL = "oomkill"
    CRASHLOOP = "crashloop"
    LATENCY = "latency"
    SCALING = "scaling"
    DISK = "disk"
    NETWORK = "network"
    CUSTOM = "custom"


class Runbook(Resource):
    """A recipe: when it fits, and the typed steps it takes."""

    KIND: ClassVar[str] = "Runbook"

    category = models.CharField(max_length=16, choices=Category)
    description = models.TextField()
    severity = models.JSONField(default=list)  # severities it is meant for
    automated = models.BooleanField(default=False)
    approval_required = models.BooleanField(default=True)
    rollback_on_failure = models.BooleanField(default=True)
    # as stored and shown: {name, description, action, command, timeout, continueOnFailure, params}
    steps = models.JSONField(default=list)
    match_conditions = models.JSONField(default=dict)  # {resourceTypes[], descriptionPatterns[], namespaces[]}
    trigger = models.JSONField(null=True, blank=True)  # {signalType, severity, resourceKind}
    max_attempts = models.PositiveSmallIntegerField(default=3)
    auto_generated = models.BooleanField(default=False)
    revision = models.CharField(max_length=32, default="1.0.0")  # metadata.version
    created_by = models.CharField(max_length=253)
    updated_by = models.CharField(max_length=253, blank=True)
    # counted when plans end, so that lists need not
    times_used = models.PositiveIntegerField(default=0)
    plans_completed = models.PositiveIntegerField(default=0)
    plans_failed = models.PositiveIntegerField(default=0)  # failed or rolled back
    execution_seconds = models.FloatField(default=0)  # sum over completed plans
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "namespace"]
        constraints = [
            models.UniqueConstraint(fields=["namespace", "name"], name="runbook_name_is_unique_in_namespace")
        ]

    def change(self, **changes: Any) -> None:
        change(self, **changes)


class RunbookVersion(models.Model):
    """What a runbook looked like after a change, and how that differs from before."""

    runbook = models.ForeignKey(Runbook, on_delete=models.CASCADE, related_name="versions")
    revision = models.CharField(max_length=32)
    updated_by = models.CharField(max_length=253)
    updated_at = models.DateTimeField()
    diff = models.TextField(blank=True)  # unified diff of the exported YAML
    document = models.TextField()  # the exported YAML

    class Meta:
        ordering = ["-updated_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["runbook", "revision"], name="runbook_version_is_unique")]

    def __str__(self) -> str:
        return f"{self.runbook} {self.revision}"
