"""Doors from the queue to the services. Every message is only a nudge: the sweeps find what was lost."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from aiops.nudges import nudge
from slos.models import SLO
from slos.services import evaluation, history


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
