"""The record as people get it: in the list, in exports, and as its checksum covers it. Pure.

Whoever holds an exported record can check it without us: take `checksum` out, write the rest as JSON with sorted members, no
white space and UTF-8, and compare the SHA-256.
"""

import hashlib
from datetime import UTC
from typing import Any

import orjson
from django.db import models

from aiops.audit.models import AuditEvent


class AuditSubject(models.TextChoices):
    """What kind of object a record is about (api.md 11.1)."""

    INCIDENT = "Incident"
    APPROVAL = "Approval"
    RUNBOOK = "Runbook"
    POST_MORTEM = "PostMortem"
    REMEDIATION = "Remediation"
    SLO = "SLO"
    CLUSTER = "Cluster"
    CONFIG = "Config"
    AUDIT = "Audit"


# objects whose kind has another name elsewhere in the API
OTHER_NAMES = {
    "ApprovalRequest": AuditSubject.APPROVAL,
    "RemediationPlan": AuditSubject.REMEDIATION,
    "ClusterRegistration": AuditSubject.CLUSTER,
}


def subject(kind: str) -> AuditSubject:
    """The log's name of a kind. What it has no name for (channels, policies, schedules) is configuration."""
    if kind in AuditSubject.values:
        return AuditSubject(kind)
    return OTHER_NAMES.get(kind, AuditSubject.CONFIG)


def shown(event: AuditEvent) -> dict[str, Any]:
    """All members of a record (api.md 11.1)."""
    return {**_facts(event), "checksum": event.checksum}


def checksum(event: AuditEvent) -> str:
    content = orjson.dumps(_facts(event), option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _facts(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "timestamp": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "action": event.action,
        "user": event.user,
        "role": event.role,
        "resource": event.resource,
        "resourceType": event.resource_type,
        "namespace": event.namespace or None,
        "details": event.details,
        "sourceIP": event.source_ip,
        "userAgent": event.user_agent,
        "eventType": event.event_type or None,
        "severity": event.severity,
        "actorType": event.actor_type,
        "correlationId": event.correlation_id or None,
    }
