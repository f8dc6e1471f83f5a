"""Doors from the queue to the services. Every message is only a nudge: the sweeps find what was lost."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from aiops.nudges import nudge
from incidents.models import Incident
from slos.models import SLO
from slos.services import clocks, evaluation, history


@shared_task(ignore_result=True)
def sweep() -> None:
    """Have what is due evaluated. The run claims its SLOs, so a second one at the same time takes others, or none."""
    if SLO.objects.due(timezone.now()).exists():
        nudge("slos.tasks.evaluate_due", expires=settings.AIOPS_SWEEP_INTERVAL)


@shared_task(ignore_result=True)
def evaluate_due() -> None:
    evaluation.evaluate_due(at=timezone.now())


@shared_task(ignore_result=True)
def forget() -> None:
    """Drop measurements that no window looks at any more."""
    history.forget(at=timezone.now())


@shared_task(ignore_result=True)
def start_clocks(*, incident_id: int) -> None:
    """Start the SLA clocks of a new incident."""
    incident = Incident.objects.select_related("cluster").filter(pk=incident_id).first()
    if incident is not None:
        clocks.start(incident=incident, at=timezone.now())


@shared_task(ignore_result=True)
def settle_clocks(*, incident_id: int) -> None:
    """Stop the SLA clocks whose promise was kept; the sweep does it, should this fail."""
    incident = Incident.objects.select_related("cluster").filter(pk=incident_id).first()
    if incident is not None:
        clocks.settle(incident=incident, at=timezone.now())


@shared_task(ignore_result=True)
def sweep_clocks() -> None:
    """Warn of SLA clocks that are at risk and tell of those that are due."""
    clocks.advance_due(at=timezone.now())
