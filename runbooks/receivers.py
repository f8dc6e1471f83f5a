"""Listens to incidents. Receivers only enqueue: the sweep finds the same rows, should a message get lost."""

from typing import Any

from django.dispatch import receiver

from aiops.nudges import nudge, nudge_rows
from incidents.models import Incident
from incidents.signals import incident_analyzed, incident_resolved
from runbooks.models import RemediationPlan
from runbooks.states import RUNNING


@receiver(incident_analyzed)
def plan_on_analysis(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    nudge_rows("runbooks.tasks.plan_remediations", incident.pk)


@receiver(incident_resolved)
def stop_plans_on_resolution(sender: type[Incident], incident: Incident, **kwargs: Any) -> None:
    if not incident.remediation_attempts:
        return  # no plan was ever made; a storm that ends resolves hundreds of such incidents in one transaction
    for plan_id in RemediationPlan.objects.filter(incident=incident, state__in=RUNNING).values_list("pk", flat=True):
        nudge("runbooks.tasks.advance_plan", plan_id=plan_id)
