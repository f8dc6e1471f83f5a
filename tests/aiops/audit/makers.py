from datetime import datetime
from typing import Any

from django.db import transaction

from aiops.audit import services
from aiops.audit.actor import SYSTEM, Actor, ActorKind
from aiops.audit.models import AuditEvent
from tests.conftest import NOON

INES = Actor(ActorKind.USER, "ines.okafor@example.com", "operator", ip="192.0.2.17", user_agent="cli/2.1")


def make_event(at: datetime = NOON, **overrides: Any) -> AuditEvent:
    values: dict[str, Any] = {
        "action": "incident.resolve",
        "actor": SYSTEM,
        "resource_type": "Incident",
        "resource": "INC-20270412-001",
        "namespace": "shop",
    }
    with transaction.atomic():
        return services.record(services.Record(**values | overrides), at=at)[0]
