from typing import Any, NoReturn

from django.db import models
from django.db.models import Q

from aiops.errors import Conflict
from aiops.states import change


class AuditSeverity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AuditChain(models.Model):
    """The head of one hash chain. Several chains stand beside each other, so that writers need not queue up for one."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    length = models.PositiveBigIntegerField(default=0)
    head = models.CharField(max_length=64, blank=True)
    # records up to this position were forgotten; the hash of the last one of them
    truncated = models.PositiveBigIntegerField(default=0)
    anchor = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"chain {self.number} ({self.length} records)"


class AuditEvent(models.Model):
    """Who did what, when, to which object. Append-only: rows are inserted by `services.record` and by nothing else.

    The subject is named by kind and name, so that the audit log knows no app.
    """

    id = models.CharField(primary_key=True, max_length=64)
    at = models.DateTimeField()
    action = models.CharField(max_length=64)
    event_type = models.CharField(max_length=64, blank=True)
    severity = models.CharField(max_length=16, choices=AuditSeverity, default=AuditSeverity.INFO)
    user = models.CharField(max_length=253)
    role = models.CharField(max_length=16)
    actor_type = models.CharField(max_length=16)
    resource_type = models.CharField(max_length=64)
    resource = models.CharField(max_length=253)
    namespace = models.CharField(max_length=253, blank=True)
    correlation_id = models.CharField(max_length=253, blank=True)
    details = models.JSONField(default=dict)
    source_ip = models.CharField(max_length=64)
    user_agent = models.CharField(max_length=512, blank=True)
    checksum = models.CharField(max_length=71)  # "sha256:" and 64 hex digits over the record without this member
    chain = models.PositiveSmallIntegerField()
    position = models.PositiveBigIntegerField()
    previous = models.CharField(max_length=64, blank=True)  # hash of the record before it in its chain
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["chain", "position"], name="audit_one_record_per_position")]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["action", "-at"], name="audit_by_action"),
            models.Index(fields=["resource", "-at"], name="audit_by_resource"),
            models.Index(fields=["user", "-at"], name="audit_by_user"),
            models.Index(fields=["correlation_id", "-at"], name="audit_by_correlation"),
            models.Index(fields=["namespace", "-at"], name="audit_by_namespace"),
            models.Index(fields=["event_type", "-at"], condition=~Q(event_type=""), name="audit_by_event"),
            models.Index(fields=["severity", "-at"], condition=~Q(severity="info"), name="audit_by_severity"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.action} {self.resource}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("force_insert"):
            raise Conflict("Audit records are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Conflict("Audit records are never deleted")


class AuditVerdict(models.Model):
    """What a walk along all chains found. Reports show the newest one, since a walk costs minutes when the log is long."""

    checked_at = models.DateTimeField()
    records = models.PositiveBigIntegerField()
    broken = models.CharField(max_length=1024, blank=True)  # the first broken place; empty: the log holds

    class Meta:
        ordering = ["-checked_at", "-pk"]
        indexes = [models.Index(fields=["-checked_at"], name="audit_verdict_newest")]

    def __str__(self) -> str:
        return self.broken or "intact"


class ExportFormat(models.TextChoices):
    CSV = "csv"
    JSON = "json"


class ExportState(models.TextChoices):
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class AuditExport(models.Model):
    """An export that is too large for one answer: a worker writes it, and it can be fetched until `expires_at`."""

    job_id = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=16, choices=ExportState, default=ExportState.PROCESSING)
    format = models.CharField(max_length=8, choices=ExportFormat)
    selection = models.JSONField()  # aiops.audit.exports.Selection
    requested_by = models.CharField(max_length=253)
    estimated_records = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    records = models.PositiveBigIntegerField(null=True, blank=True)
    size = models.PositiveBigIntegerField(null=True, blank=True)  # bytes
    digest = models.CharField(max_length=64, blank=True)  # SHA-256 of the file, in hex
    attempts = models.PositiveSmallIntegerField(default=0)  # the last one wrote the file
    leased_until = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["leased_until"], condition=Q(state="processing"), name="audit_export_to_write"),
            models.Index(fields=["expires_at"], name="audit_export_by_expiry"),
        ]

    def __str__(self) -> str:
        return self.job_id

    def change(self, **changes: Any) -> None:
        """Raises `LostRace`."""
        change(self, **changes)


class ExportPart(models.Model):
    """A piece of an exported file. In the database, because the worker that writes and the server that sends share nothing else."""

    export = models.ForeignKey(AuditExport, on_delete=models.CASCADE, related_name="parts")
    attempt = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField()
    content = models.BinaryField()  # zlib

    class Meta:
        ordering = ["export", "attempt", "number"]
        constraints = [
            models.UniqueConstraint(fields=["export", "attempt", "number"], name="audit_export_part_once_per_attempt")
        ]

    def __str__(self) -> str:
        return f"{self.export} part {self.number}"
