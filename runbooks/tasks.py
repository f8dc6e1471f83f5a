"""What workers are asked to do: each task turns an id into one service call. The rows say what is due; messages only hurry."""

import os
import socket
import threading

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from aiops.nudges import nudge, nudge_rows, work_off
from runbooks.services import execution, planning

BATCH = 200
PLANS = 1_000  # per sweep, ten in a message
MAX_STAGES = 100  # of one message; a plan has at most 50 steps
PLAN, ADVANCE = "runbooks.tasks.plan_remediations", "runbooks.tasks.advance_plan"


@shared_task(acks_late=True)
def plan_remediations(*, ids: list[int]) -> None:
    work_off(PLAN, ids, _plan)


def _plan(pk: int) -> None:
    planning.plan_by_key(incident_id=pk, at=timezone.now())


@shared_task(acks_late=True)
def advance_plan(*, plan_id: int) -> None:
    for _ in range(MAX_STAGES):
        if not execution.advance(plan_id=plan_id, at=timezone.now(), holder=_holder()):
            return


@shared_task
def sweep() -> None:
    """Find what is due and whose message got lost, or never came since it only became due now."""
    at = timezone.now()
    nudge_rows(PLAN, *planning.due(at=at, limit=PLANS), expires=settings.AIOPS_SWEEP_INTERVAL)
    for plan_id in execution.due(at=at, limit=BATCH):
        nudge(ADVANCE, plan_id=plan_id, expires=settings.AIOPS_SWEEP_INTERVAL)


def _holder() -> str:
    """Who holds a lease: this thread of this process of this host."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{threading.get_native_id()}"
