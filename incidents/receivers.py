"""What follows from what happened: receivers only enqueue, once the transaction is committed."""

from typing import Any

from django.dispatch import receiver

from aiops.nudges import nudge
from incidents.models import Incident
from incidents.signals import incident_opened


@receiver(incident_opened)
def analyze_on_open(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    nudge("incidents.tasks.analyze_incident", incident_id=incident.pk)
