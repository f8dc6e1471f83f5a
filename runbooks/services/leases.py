"""Who works on a plan. A worker takes the plan for a while, and every write of its names the lease: a worker that was away for
too long finds that it has lost it, and stops."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from aiops.errors import LostRace
from aiops.statements import Slot, Statement
from federation.models import memory_of
from runbooks.models import RemediationPlan
from runbooks.states import TERMINAL

WHOLE = (
    RemediationPlan.objects.select_related("incident", "cluster", "runbook")
    .defer(*memory_of("cluster"))
    .filter(pk=Slot("plan"))
)
LOADED = Statement(lambda: WHOLE)
LOCKED = Statement(lambda: WHOLE.select_for_update(of=("self",)))


def lease() -> timedelta:
    """Longer than any single call to a cluster may take; after it a plan whose worker died goes on elsewhere."""
    return timedelta(seconds=settings.AIOPS_PLAN_LEASE)


def claim(*, plan_id: int, at: datetime, holder: str) -> RemediationPlan | None:
    """Take the plan, if it is not finished and nobody else has it. None otherwise."""
    free = Q(leased_until=None) | Q(leased_until__lte=at) | Q(lease_holder=holder)
    taken = (
        RemediationPlan.objects.filter(free, pk=plan_id)
        .exclude(state__in=TERMINAL)
        .update(leased_until=at + lease(), lease_holder=holder)
    )
    return load(plan_id) if taken else None


def load(plan_id: int) -> RemediationPlan:
    return _found(LOADED.first(plan=plan_id))


@contextmanager
def held(plan: RemediationPlan) -> Iterator[RemediationPlan]:
    """A transaction in which the plan is locked and still ours; yields the row as it is now.

    Raises `LostRace` when another worker took over. Whoever else wants to change the plan (a cancel, an approval) waits.
    """
    with transaction.atomic():
        row = lock(plan.pk)
        if row.lease_holder != plan.lease_holder:
            raise LostRace(f"{plan} is worked on by somebody else by now")
        yield row
    plan.version = row.version


def lock(plan_id: int) -> RemediationPlan:
    """The plan, locked for the rest of the transaction: the first lock of whoever changes a plan and what hangs on it."""
    return _found(LOCKED.first(plan=plan_id))


def _found(plan: RemediationPlan | None) -> RemediationPlan:
    if plan is None:
        raise RemediationPlan.DoesNotExist
    return plan


def release(plan: RemediationPlan, *, due_at: datetime | None, tries: int = 0) -> None:
    """Give the plan back; `due_at` says when it is looked at next, unless somebody who changed it meanwhile said so."""
    ours = RemediationPlan.objects.filter(pk=plan.pk, lease_holder=plan.lease_holder)
    if not ours.filter(version=plan.version).update(leased_until=None, lease_holder="", due_at=due_at, tries=tries):
        ours.update(leased_until=None, lease_holder="", tries=tries)
