from typing import Any, NoReturn

from django.db import models

from aiops.errors import Conflict


class AuditChain(models.Model):
    """The head of one hash chain. Several chains stand beside each other, so that writers need not queue up for one."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    length = models.PositiveBigIntegerField(default=0)
    head = models.CharField(max_length=64, blank=True)

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
    severity = models.CharField(max_length=16, default="info")
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
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.action} {self.resource}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("force_insert"):
            raise Conflict("Audit records are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Conflict("Audit records are never deleted")
