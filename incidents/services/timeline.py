"""Writes the story of an incident: timeline events for people, decisions for whoever asks why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F

from aiops import bulk
from aiops.redaction import redact, redact_details
from incidents.models import Decision, Incident, TimelineEvent

Type = TimelineEvent.Type


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to append. `source` is a component (`runbook-engine`) or `api`; `details` are free-form facts."""

    type: str
    source: str
    message: str
    severity: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def append(*, incident: Incident, entries: Sequence[Entry], at: datetime) -> None:
    """Append `entries` and count them, in the caller's transaction.

    The count is raised by the database, so this never loses a race. The version in memory goes up by one as well: a caller
    that read a row that is stale by now still loses its own compare-and-set afterwards.
    """
    append_all(entries=[(incident, entry) for entry in entries], at=at)


def append_all(*, entries: Sequence[tuple[Incident, Entry]], at: datetime) -> None:
    """`append` for many incidents at once: one insert and one update per distinct number of events."""
    if not entries:
        return
    bulk.create(event(incident, entry, at) for incident, entry in entries)
    counts: dict[int, int] = {}
    for incident, _ in entries:
        counts[incident.pk] = counts.get(incident.pk, 0) + 1
    by_count: dict[int, list[int]] = {}
    for pk, count in counts.items():
        by_count.setdefault(count, []).append(pk)
    for count, pks in by_count.items():
        Incident.objects.filter(pk__in=sorted(pks)).update(
            timeline_count=F("timeline_count") + count, version=F("version") + 1, updated_at=at
        )
    for incident in {id(incident): incident for incident, _ in entries}.values():
        incident.timeline_count += counts[incident.pk]
        incident.version += 1
        incident.updated_at = at


def event(incident: Incident, entry: Entry, at: datetime) -> TimelineEvent:
    """The unsaved row, for a caller that counts it in an update of its own."""
    return TimelineEvent(
        incident=incident,
        at=at,
        type=entry.type,
        source=entry.source[:253],
        message=redact(entry.message)[:4096],
        severity=entry.severity,
        details=redact_details(dict(entry.details)),
    )


def decide(
    *,
    incident: Incident,
    at: datetime,
    stage: str,
    rule: str,
    verdict: str,
    reason: str = "",
    inputs: Mapping[str, Any] | None = None,
) -> Decision:
    """Record why the platform did or did not do something."""
    row = Decision(
        incident=incident,
        at=at,
        stage=stage,
        rule=rule[:253],
        verdict=verdict[:64],
        reason=redact(reason)[:4096],
        inputs=redact_details(dict(inputs or {})),
    )
    return bulk.create([row])[0]
