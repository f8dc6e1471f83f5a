"""Doors from the queue to the services. Every message is only a nudge: the sweeps find what was lost."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from aiops.nudges import nudge, work_off
from federation.models import memory_of
from incidents.models import Incident
from slos.models import LIVE, SLO, IncidentSLA, SLAClock
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
def start_clocks(*, ids: list[int]) -> None:
    """Start the SLA clocks of new incidents."""
    if IncidentSLA.objects.filter(enabled=True).exists():
        work_off("slos.tasks.start_clocks", ids, _start)


def _start(pk: int) -> None:
    incident = Incident.objects.select_related("cluster").defer(*memory_of("cluster")).filter(pk=pk).first()
    if incident is not None:
        clocks.start(incident=incident, at=timezone.now())


@shared_task(ignore_result=True)
def settle_clocks(*, ids: list[int]) -> None:
    """Stop the SLA clocks whose promise was kept; the sweep does it, should this fail."""
    # most incidents of a storm have no clock: one look for all of them
    running = set(SLAClock.objects.filter(incident__in=ids, state__in=LIVE).values_list("incident", flat=True))
    work_off("slos.tasks.settle_clocks", [pk for pk in ids if pk in running], _settle)


def _settle(pk: int) -> None:
    incident = Incident.objects.select_related("cluster").defer(*memory_of("cluster")).filter(pk=pk).first()
    if incident is not None:
        clocks.settle(incident=incident, at=timezone.now())


@shared_task(ignore_result=True)
def sweep_clocks() -> None:
    """Warn of SLA clocks that are at risk and tell of those that are due."""
    clocks.advance_due(at=timezone.now())
