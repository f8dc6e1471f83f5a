"""Listens to incidents. Receivers only enqueue: the sweep finds the same rows, should a message get lost."""

from typing import Any

from django.dispatch import receiver

from aiops.nudges import nudge
from incidents.models import Incident
from incidents.signals import incident_acknowledged, incident_opened, incident_resolved
from slos.models import LIVE, SLAClock


@receiver(incident_opened)
def start_clocks_on_open(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    nudge("slos.tasks.start_clocks", incident_id=incident.pk)


@receiver([incident_acknowledged, incident_resolved])
def settle_clocks_on_answer(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    if SLAClock.objects.filter(incident=incident, state__in=LIVE).exists():
        nudge("slos.tasks.settle_clocks", incident_id=incident.pk)
