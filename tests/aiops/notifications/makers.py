"""Rows of the outbox, for its tests."""

import base64
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction

from aiops.encryption import encrypt
from aiops.notifications import services
from aiops.notifications.models import Attachment, Channel, Notification, Policy
from tests.conftest import NOON

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def make_channel(name: str = "ops", secrets: dict[str, str] | None = None, **overrides: Any) -> Channel:
    values: dict[str, Any] = {
        "name": name,
        "type": "webhook",
        "config": {"url": "http://127.0.0.1:9/hook"},
        "secrets": encrypt(orjson.dumps({"secret": SECRET} if secrets is None else secrets).decode()),
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Channel.objects.create(**values | overrides)


def make_policy(*rules: dict[str, Any], **overrides: Any) -> Policy:
    values: dict[str, Any] = {
        "name": "everything",
        "rules": list(rules) or [{"channels": ["ops"]}],
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Policy.objects.create(**values | overrides)


def make_attachment(**overrides: Any) -> Attachment:
    content = "<p>outage…</p>".encode()
    values: dict[str, Any] = {"name": "report.html", "media_type": "text/html", "content": content, "created_at": NOON}
    return Attachment.objects.create(**values | overrides)


def make_message(**overrides: Any) -> services.Message:
    values: dict[str, Any] = {
        "event": "incident_created",
        "subject_kind": "Incident",
        "subject_name": "INC-20270412-001",
        "incident_name": "INC-20270412-001",
        "severity": "high",
        "signal_type": "oom_kill",
        "namespace": "shop",
        "resource_kind": "Deployment",
        "state": "Detected",
        "title": "checkout runs out of memory",
    }
    return services.Message(**values | overrides)


def announce(*messages: services.Message, at: datetime = NOON) -> list[Notification]:
    """Announce and return all rows, oldest first."""
    with transaction.atomic():
        services.announce(*messages, at=at)
    return list(Notification.objects.order_by("created_at", "pk"))
