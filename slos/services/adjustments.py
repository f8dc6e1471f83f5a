"""Minutes of budget that people add or give back (X9.5)."""

from datetime import datetime

from django.db import transaction

from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from aiops.errors import Invalid
from slos import budget, figures, objectives
from slos.models import SLO, Adjustment
from slos.windows import Window


@transaction.atomic
def adjust(*, slo: SLO, minutes: float, reason: str, for_time: datetime, actor: Actor, at: datetime) -> Adjustment:
    """Positive minutes are bad time at `for_time`, negative ones give time back, though never more than was consumed.

    The figures change at once; the next evaluation finds the same. Raises `Invalid` for a time that is yet to come.
    """
    if for_time > at:
        raise Invalid("The adjustment is about the future", fields={"at": ["Must not be in the future."]})
    slo = SLO.objects.select_for_update().get(pk=slo.pk)
    adjustment = Adjustment.objects.create(
        slo=slo, at=for_time, minutes=minutes, reason=reason, created_by=actor.name[:253], created_at=at
    )
    # what an evaluation under way finds does not know of it: its claim is withdrawn
    columns: dict[str, object] = {"due_at": at, "lease_until": None, "claim": None}
    window = figures.window_of(slo, at)
    if slo.budget_consumed is not None and for_time > window.start:
        columns |= _spent(slo, window)
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


def _spent(slo: SLO, window: Window) -> dict[str, object]:
    """What the last evaluation would have found with the adjustments that there are now."""
    adjusted = sum(slo.adjustments.filter(at__gt=window.start).values_list("minutes", flat=True))
    share = objectives.budget_ratio(slo)
    found: dict[str, object] = {}
    if slo.sli_with_maintenance is not None:
        whole = budget.spend(window, budget=share, error_rate=1 - slo.sli_with_maintenance, adjusted=adjusted)
        found["budget_consumed_with_maintenance"] = whole.consumed
    if slo.sli is not None:
        spent = budget.spend(window, budget=share, error_rate=1 - slo.sli, adjusted=adjusted)
        alerts = slo.alerts.filter(cleared_at__isnull=True)[:1]
        found["budget_consumed"] = spent.consumed
        found["status"] = budget.status(spent, target_met=slo.target_met, alerts=list(alerts))
    return found
