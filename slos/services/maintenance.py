"""Planned maintenance: what happens meanwhile spends no budget; the figure with it is kept beside the official one."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from aiops.errors import Invalid
from slos import objectives
from slos.models import SLO, Exclusion
from slos.services import history


@transaction.atomic
def plan(
    *,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    actor: Actor,
    at: datetime,
    slo: SLO | None = None,
    namespace: str = "",
) -> Exclusion:
    """Exclude that span from the SLO, or from all of `namespace`. Of the past, the last three days can still be excluded.

    Raises `Invalid` when it ends before it starts, or covers nothing.
    """
    if ends_at <= starts_at:
        raise Invalid("The maintenance ends before it starts", fields={"endsAt": ["Must be after startsAt."]})
    if slo is None and not namespace:
        raise Invalid("The maintenance covers nothing", fields={"namespace": ["Name an SLO or a namespace."]})
    exclusion = Exclusion.objects.create(
        slo=slo,
        namespace=slo.namespace if slo else namespace,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason,
        created_by=actor.name[:253],
        created_at=at,
    )
    _add_up_again(exclusion, at)
    record(_record("slo.maintenance.create", exclusion, actor), at=at)
    return exclusion


@transaction.atomic
def call_off(*, exclusion: Exclusion, actor: Actor, at: datetime) -> None:
    """What happened in that span counts again, as far as its slices are still kept."""
    entry = _record("slo.maintenance.delete", exclusion, actor)
    covered = _covered(exclusion)
    exclusion.delete()
    _recompute(covered, exclusion, at)
    record(entry, at=at)


def _add_up_again(exclusion: Exclusion, at: datetime) -> None:
    if exclusion.starts_at < at:
        _recompute(_covered(exclusion), exclusion, at)


def _covered(exclusion: Exclusion) -> list[SLO]:
    which = Q(pk=exclusion.slo_id) if exclusion.slo_id else Q(namespace=exclusion.namespace)
    return list(SLO.objects.filter(which).order_by("pk").select_for_update(of=("self",)))


def _recompute(slos: Sequence[SLO], exclusion: Exclusion, at: datetime) -> None:
    for slo in slos:
        history.recompute(slo=slo, grid=objectives.grid(slo), start=exclusion.starts_at, at=at)
    # an evaluation under way does not know of it: its claim is withdrawn
    SLO.objects.filter(pk__in=[slo.pk for slo in slos]).update(due_at=at, lease_until=None, claim=None)


def _record(action: str, exclusion: Exclusion, actor: Actor) -> Record:
    return Record(
        action,
        actor,
        SLO.KIND,
        exclusion.slo.name if exclusion.slo else exclusion.namespace,
        namespace=exclusion.namespace,
        event_type="config_changed",
        details={
            "reason": exclusion.reason,
            "startsAt": exclusion.starts_at.isoformat(),
            "endsAt": exclusion.ends_at.isoformat(),
        },
    )
