"""The library of incident SLAs: create, change, delete. Values come checked from `slos/sla_definitions.py`.

A change counts for incidents that come afterwards; clocks that run keep what was promised when they started.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from aiops.errors import Conflict, Invalid, LostRace
from aiops.notifications.models import Channel
from aiops.states import change
from incidents.models import EscalationPolicy
from slos.models import IncidentSLA

IDENTITY = ("name", "namespace")


@transaction.atomic
def create(*, values: Mapping[str, Any], actor: Actor, at: datetime) -> IncidentSLA:
    """Raises `Conflict` when the namespace has one of that name, `Invalid` for a promise of nothing or an unknown reference."""
    row = IncidentSLA(**values, created_at=at, updated_at=at)
    _check(row)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(f"SLA {row.name} exists already in namespace {row.namespace}") from error
    record(_record("create", row, actor, {"severity": row.severity}), at=at)
    return row


@transaction.atomic
def update(*, row: IncidentSLA, values: Mapping[str, Any], actor: Actor, at: datetime) -> IncidentSLA:
    """Change what `values` names; nothing happens when that changes nothing. Raises `Invalid`, `LostRace`."""
    renamed = {
        name: ["Cannot be changed."] for name in IDENTITY if name in values and values[name] != getattr(row, name)
    }
    if renamed:
        raise Invalid("An SLA keeps its name and namespace", fields=renamed)
    changes = {column: value for column, value in values.items() if getattr(row, column) != value}
    if not changes:
        return row
    change(row, **changes, updated_at=at)
    _check(row)
    record(_record("update", row, actor, {"changed": sorted(changes)}), at=at)
    return row


@transaction.atomic
def delete(*, row: IncidentSLA, actor: Actor, at: datetime) -> None:
    """Its clocks run on. Raises `LostRace`."""
    if not IncidentSLA.objects.select_for_update().filter(pk=row.pk, version=row.version).exists():
        raise LostRace(f"{row} changed meanwhile", "Read it again and repeat the request.")
    IncidentSLA.objects.filter(pk=row.pk).delete()
    record(_record("delete", row, actor, {"severity": row.severity}), at=at)


def _check(row: IncidentSLA) -> None:
    fields: dict[str, list[str]] = {}
    if not (row.response_seconds or row.mitigation_seconds or row.resolution_seconds):
        fields["responseTime"] = ["Promise at least one of responseTime, mitigationTime and resolutionTime."]
    if row.escalation_policy and not EscalationPolicy.objects.filter(name=row.escalation_policy).exists():
        fields["escalationPolicyRef"] = ["There is no escalation policy of this name."]
    known = set(Channel.objects.filter(name__in=row.notification_channels).values_list("name", flat=True))
    missing = sorted(set(row.notification_channels) - known)
    if missing:
        fields["notificationChannels"] = [f"There is no channel {missing[0]!r}."]
    if fields:
        raise Invalid("The SLA is not valid", fields=fields)


def _record(verb: str, row: IncidentSLA, actor: Actor, details: dict[str, Any]) -> Record:
    return Record(
        f"incident-sla.{verb}",
        actor,
        IncidentSLA.KIND,
        row.name,
        namespace=row.namespace,
        event_type="config_changed",
        details=details,
    )
