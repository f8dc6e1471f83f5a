"""Minutes of budget that people add or give back (X9.5)."""

from datetime import datetime

from django.db import transaction

from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from slos import budget, figures
from slos.budget import Budget
from slos.models import SLO, Adjustment


@transaction.atomic
def adjust(*, slo: SLO, minutes: float, reason: str, for_time: datetime, actor: Actor, at: datetime) -> Adjustment:
    """Positive minutes are bad time at `for_time`, negative ones give time back, though never more than was consumed.

    The figures change at once; the next evaluation finds the same.
    """
    slo = SLO.objects.select_for_update().get(pk=slo.pk)
    adjustment = Adjustment.objects.create(
        slo=slo, at=for_time, minutes=minutes, reason=reason, created_by=actor.name[:253], created_at=at
    )
    # what an evaluation under way finds does not know of it: its claim is withdrawn
    columns: dict[str, object] = {"due_at": at, "lease_until": None, "claim": None}
    if slo.budget_consumed is not None and for_time > figures.window_of(slo, at).start:
        columns |= _spent(slo, minutes)
    SLO.objects.filter(pk=slo.pk).update(**columns)
    details = {"minutes": minutes, "reason": reason, "at": for_time.isoformat()}
    record(
        Record(
            "slo.adjust",
            actor,
            SLO.KIND,
            slo.name,
            namespace=slo.namespace,
            event_type="config_changed",
            details=details,
        ),
        at=at,
    )
    return adjustment


def _spent(slo: SLO, minutes: float) -> dict[str, object]:
    found: dict[str, object] = {}
    for column in ("budget_consumed", "budget_consumed_with_maintenance"):
        consumed = getattr(slo, column)
        if consumed is not None:
            found[column] = max(0.0, consumed + minutes)
    spent = Budget(slo.budget_total, max(0.0, (slo.budget_consumed or 0.0) + minutes))
    alerts = slo.alerts.filter(cleared_at__isnull=True)[:1]
    found["status"] = budget.status(spent, target_met=slo.target_met, alerts=list(alerts))
    return found
