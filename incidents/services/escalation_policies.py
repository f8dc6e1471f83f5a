"""Who is told when nobody answers: the policies themselves. Every change is checked and audited."""

from datetime import datetime
from typing import Any

from django.db import transaction

from aiops.audit import services as audit
from aiops.audit.actor import Actor
from aiops.errors import Conflict
from aiops.notifications.models import Channel
from incidents import escalation
from incidents.models import EscalationPolicy


@transaction.atomic
def save(*, policy: EscalationPolicy, actor: Actor, at: datetime) -> EscalationPolicy:
    """Create or change a policy. Raises `Invalid` whose `fields` name the offending members."""
    escalation.check_policy(
        severities=policy.severities,
        namespaces=policy.namespaces,
        levels=policy.levels,
        channels=set(Channel.objects.values_list("name", flat=True)),
    )
    is_new = policy.pk is None
    policy.updated_at = at
    if is_new:
        policy.created_at = at
    else:
        policy.version += 1
    policy.save()
    details = {"enabled": policy.enabled, "levels": policy.levels}
    _record("create" if is_new else "update", policy, actor, at, details)
    return policy


@transaction.atomic
def remove(*, policy: EscalationPolicy, actor: Actor, at: datetime) -> None:
    """Delete a policy. Raises `Conflict` while an escalation runs by it: nobody else would be told any more."""
    if policy.runs.filter(due_at__isnull=False).exists():
        raise Conflict(f"Escalation policy {policy.name} is in use", "An escalation runs by it right now.")
    _record("delete", policy, actor, at, {})
    policy.delete()


def _record(verb: str, policy: EscalationPolicy, actor: Actor, at: datetime, details: dict[str, Any]) -> None:
    record = audit.Record(
        action=f"escalation-policy.{verb}",
        actor=actor,
        resource_type="Config",
        resource=policy.name,
        namespace=policy.namespace,
        event_type="config_changed",
        details=details,
    )
    audit.record(record, at=at)
