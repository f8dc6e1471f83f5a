"""Writes into an incident's timeline that a message about it went out."""

from datetime import datetime

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from aiops.notifications.models import Notification
from incidents.models import Incident, TimelineEvent
from incidents.services import timeline


def note_sent(*, notification: Notification, at: datetime) -> None:
    """Timeline and audit record, in the transaction that marks the message as sent."""
    facts = {
        "channel": notification.channel_name,
        "target": notification.target,
        "event": notification.event,
        "type": notification.channel_type,
    }
    incident = Incident.objects.filter(name=notification.incident_name).first() if notification.incident_name else None
    if incident is not None:
        entry = timeline.Entry(
            type=TimelineEvent.Type.NOTIFICATION,
            source="notification-manager",
            message=f"Sent {notification.event} to {notification.channel_name}",
            details=facts,
        )
        timeline.append(incident=incident, entries=[entry], at=at)
    audit.record(
        audit.Record(
            action="notification.send",
            actor=SYSTEM,
            resource_type=notification.subject_kind,
            resource=notification.subject_name,
            namespace=incident.namespace if incident else "",
            event_type="notification_sent",
            correlation_id=notification.incident_name,
            details=facts,
        ),
        at=at,
    )
