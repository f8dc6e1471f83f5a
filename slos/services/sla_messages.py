"""Tells people of promises that are at risk or broken: message, timeline, decision and audit record in one transaction."""

from datetime import datetime

from aiops.api.formats import format_time
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.notifications import services as notifications
from incidents.models import Incident, TimelineEvent
from incidents.services import escalation, timeline
from slos.models import SLAClock

SOURCE = "sla-clock"
WARNING, BREACHED = "sla_at_risk", "sla_breached"


def at_risk(clock: SLAClock, *, at: datetime) -> None:
    """Three quarters of the time are gone."""
    due = format_time(clock.due_at) if clock.due_at else "never"
    _tell(clock, WARNING, f"The {clock.kind} SLA {clock.sla_name} is at risk: due at {due}", at)


def breached(clock: SLAClock, *, at: datetime, is_first: bool = True) -> None:
    """The promise is broken, or still is; the first time the SLA's escalation policy is asked."""
    due = format_time(clock.due_at) if clock.due_at else "never"
    words = "is breached" if is_first else "is still breached"
    _tell(clock, BREACHED, f"The {clock.kind} SLA {clock.sla_name} {words}: it was due at {due}", at)
    if is_first and clock.sla is not None and clock.sla.escalation_policy and clock.ended_at is None:
        escalation.start(
            incident=clock.incident, trigger=escalation.ESCALATED, at=at, policy_name=clock.sla.escalation_policy
        )


def paused(incident: Incident, told: str, *, action: str, actor: Actor, at: datetime) -> None:
    entry = timeline.Entry(type=TimelineEvent.Type.COMMENT, source=SOURCE, message=told)
    timeline.append(incident=incident, entries=[entry], at=at)
    audit.record(
        audit.Record(action, actor, Incident.KIND, incident.name, incident.namespace, correlation_id=incident.name),
        at=at,
    )


def _tell(clock: SLAClock, event: str, told: str, at: datetime) -> None:
    incident = clock.incident
    facts = {
        "sla": clock.sla_name,
        "kind": clock.kind,
        "dueAt": format_time(clock.due_at) if clock.due_at else None,
        "allowedSeconds": clock.allowed_seconds,
    }
    entry = timeline.Entry(
        type=TimelineEvent.Type.ESCALATION, source=SOURCE, message=told, severity=incident.severity, details=facts
    )
    timeline.append(incident=incident, entries=[entry], at=at)
    timeline.decide(
        incident=incident, at=at, stage="sla", rule=clock.sla_name, verdict=event, reason=told, inputs=facts
    )
    notifications.announce(_message(clock, event, told, at), at=at)
    audit.record(
        audit.Record(
            action="incident.sla",
            actor=SYSTEM,
            resource_type=Incident.KIND,
            resource=incident.name,
            namespace=incident.namespace,
            event_type="sla_breach" if event == BREACHED else "",
            severity="warning",
            correlation_id=incident.name,
            details=facts,
        ),
        at=at,
    )


def _message(clock: SLAClock, event: str, told: str, at: datetime) -> notifications.Message:
    incident = clock.incident
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
        title=f"{incident.name}: {told}",
        body=incident.description,
        hold_until=incident.snooze_until if incident.snoozed(at) else None,
        occurrence=f"{clock.kind}/{clock.severity}/{clock.version}",
        channels=tuple(clock.sla.notification_channels) if clock.sla else (),
    )
