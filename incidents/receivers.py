"""What follows from what happened. Receivers enqueue, once the transaction is committed, or add to the same transaction."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from aiops.notifications.models import Notification
from aiops.notifications.signals import notification_sent
from aiops.nudges import nudge_rows
from incidents.models import Incident
from incidents.services import escalation, messages
from incidents.signals import incident_acknowledged, incident_escalated, incident_opened


@receiver(incident_opened)
def analyze_on_open(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    nudge_rows("incidents.tasks.analyze_incidents", incident.pk)


@receiver(incident_escalated)
def tell_people_on_escalation(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    if escalation.start(incident=incident, trigger=escalation.ESCALATED, at=incident.updated_at):
        incident.refresh_from_db()  # the caller goes on with the row as it is now


@receiver(incident_acknowledged)
def stop_escalation_on_acknowledgement(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    by = f"acknowledged by {incident.acknowledged_by}"
    escalation.stop(incident=incident, by=by, at=incident.acknowledged_at or incident.updated_at)


@receiver(notification_sent)
def note_sent_message(sender: type[Notification], notification: Notification, at: datetime, **kwargs: Any) -> None:
    messages.note_sent(notification=notification, at=at)
