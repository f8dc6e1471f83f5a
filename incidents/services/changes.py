"""One change of one incident with everything that belongs to it: row, timeline, message, audit record, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.dispatch import Signal

from aiops.audit import services as audit
from aiops.audit.actor import Actor
from aiops.notifications import services as notifications
from federation.services import windows
from federation.services.windows import OpenWindow
from incidents.models import Incident, TimelineEvent
from incidents.services import timeline

Type = TimelineEvent.Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened, for the timeline (`type`, `source`, `message`) and for the audit log (`action`, `event_type`).

    `announce` is the event that subscribers hear of, `signal` what the apps above hear of.
    """

    type: str
    message: str
    action: str = ""
    source: str = "api"
    severity: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    event_type: str = ""
    audit_severity: str = "info"
    announce: str = ""
    signal: Signal | None = None

    def entry(self) -> timeline.Entry:
        return timeline.Entry(
            type=self.type, source=self.source, message=self.message, severity=self.severity, details=self.details
        )


def write(incident: Incident, change: Change, *, at: datetime, to: str | None = None, **columns: Any) -> None:
    """Change the row (to the state `to`, if given) and append to its timeline. Raises `InvalidTransition` or `LostRace`."""
    columns |= {"updated_at": at, "timeline_count": incident.timeline_count + 1}
    event = timeline.event(incident, change.entry(), at)
    if to is None:
        incident.change(beside=event, **columns)
    else:
        incident.move_to(to, beside=event, **columns)


def tell(incident: Incident, change: Change, *, actor: Actor, at: datetime, **facts: Any) -> None:
    """Announce the change and write its audit record: last in the transaction, since the audit chain is held until commit."""
    assert connection.in_atomic_block
    if change.announce:
        notifications.announce(message(incident, change.announce, body=change.message, at=at), at=at)
    if change.signal is not None:
        change.signal.send(sender=Incident, incident=incident)
    if change.action:
        audit.record(audit_record(incident, change, actor=actor, **facts), at=at)


def audit_record(incident: Incident, change: Change, *, actor: Actor, **facts: Any) -> audit.Record:
    return audit.Record(
        action=change.action,
        actor=actor,
        resource_type=Incident.KIND,
        resource=incident.name,
        namespace=incident.namespace,
        event_type=change.event_type,
        severity=change.audit_severity,
        correlation_id=incident.name,
        details={**change.details, **facts},
    )


TITLES = {
    "incident_created": "{severity} incident on {resource}",
    "incident_severity_raised": "{resource} is {severity} now",
    "incident_acknowledged": "{resource}: acknowledged",
    "incident_resolved": "{resource}: resolved",
    "incident_escalated": "{resource}: a person has to decide",
    "incident_contained": "{resource}: contained, a person has to act",
    "incident_failed": "{resource}: automation gave up",
}
TERMINAL = frozenset({"incident_resolved"})
RAISED = "incident_severity_raised"


def quiet_windows(at: datetime) -> list[OpenWindow]:
    """The maintenance windows in which nobody is to be told of incidents."""
    return windows.open_windows(at=at, suppress=windows.Suppress.NOTIFICATIONS)


def message(
    incident: Incident, event: str, *, body: str, at: datetime, quiet: Sequence[OpenWindow] | None = None
) -> notifications.Message:
    """A message about `incident`; while it is snoozed (INC-7) or under planned maintenance, it is held back.

    Who writes many gives the `quiet_windows`, which are asked for once.
    """
    title = TITLES[event].format(severity=incident.severity.capitalize(), resource=incident.resource)
    return notifications.Message(
        event=event,
        subject_kind=Incident.KIND,
        subject_name=incident.name,
        incident_name=incident.name,
        severity=incident.severity,
        signal_type=incident.signal_type,
        namespace=incident.namespace,
        resource_kind=incident.resource_kind,
        state=incident.state,
        cluster=incident.cluster_name,
        title=f"{incident.name} {title}",
        body=body,
        hold_until=_hold_until(incident, quiet_windows(at) if quiet is None else quiet, at),
        terminal=event in TERMINAL,
        occurrence=incident.severity if event == RAISED else "",  # a further rise is no repetition
    )


def _hold_until(incident: Incident, quiet: Sequence[OpenWindow], at: datetime) -> datetime | None:
    snoozed = incident.snooze_until if incident.snoozed(at) else None
    if not quiet:
        return snoozed
    place = windows.place_of(
        incident.cluster, name=incident.cluster_name, namespace=incident.namespace, labels=incident.labels
    )
    window = windows.covering(quiet, place)
    return max((end for end in (snoozed, window.until if window else None) if end), default=None)
