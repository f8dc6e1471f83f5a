from datetime import datetime
from typing import Any

from django.db import models

from aiops.apikeys.roles import Role
from aiops.apikeys.scopes import Scope


class Source(models.TextChoices):
    CREATED = "created"  # by the command or in the console
    FILE = "file"  # imported from CHATCLI_API_KEYS_FILE, and withdrawn when it leaves that file


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def active(self, at: datetime) -> "ApiKeyQuerySet":
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=at), revoked_at=None)


class ApiKey(models.Model):
    """A key as it is stored: never the key itself, only enough to recognize it and to tell it from others."""

    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # first 8 hex digits of the key's SHA-256: the identity of a key that has neither owner nor description (api.md 1.2)
    fingerprint = models.CharField(max_length=8, editable=False)
    role = models.CharField(max_length=16, choices=Role.choices)
    description = models.CharField(max_length=253, blank=True)
    owner = models.CharField(max_length=253, blank=True)
    namespaces = models.JSONField(default=list, blank=True, help_text="Allowed namespaces; empty = all")
    clusters = models.JSONField(default=list, blank=True, help_text="Allowed clusters; empty = all")
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.CREATED, editable=False)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="apikey_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.role})"

    @property
    def identity(self) -> str:
        return self.owner or self.description or f"key:{self.fingerprint}"

    @property
    def scope(self) -> Scope:
        return Scope.of(self.namespaces, self.clusters)

    def is_active(self, at: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


class IdempotencyRecord(models.Model):
    """What was answered to an `Idempotency-Key` (CON-4). `status` is null while the first request is still at work."""

    caller = models.CharField(max_length=80)
    key = models.CharField(max_length=128)
    path = models.CharField(max_length=64)  # SHA-256 of method, path and query
    body = models.CharField(max_length=64)  # SHA-256 of the body
    status = models.PositiveSmallIntegerField(null=True)
    headers: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    content = models.TextField(blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="idempotency_one_answer_per_key")]

    def __str__(self) -> str:
        return self.key
