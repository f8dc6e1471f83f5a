"""Listens to incidents. Receivers only enqueue: the sweep finds the same rows, should a message get lost."""

from typing import Any

from django.dispatch import receiver

from aiops.nudges import nudge_rows
from incidents.models import Incident
from incidents.signals import incident_acknowledged, incident_opened, incident_resolved


@receiver(incident_opened)
def start_clocks_on_open(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    nudge_rows("slos.tasks.start_clocks", incident.pk)


@receiver([incident_acknowledged, incident_resolved])
def settle_clocks_on_answer(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    # without asking for clocks first: a storm that ends resolves hundreds of incidents in one transaction
    nudge_rows("slos.tasks.settle_clocks", incident.pk)
