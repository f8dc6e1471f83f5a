"""SLOs as the library stores them."""

from datetime import timedelta
from typing import Any

from aiops.audit.actor import SYSTEM
from slos import definitions
from slos.models import SLO, DailyHistory
from slos.services import library
from tests.conftest import NOON

BODY: dict[str, Any] = {"name": "checkout-availability", "service": "checkout", "type": "availability", "target": 99.9}
EVENTS: dict[str, Any] = {
    "source": "prometheus",
    "goodEventsQuery": 'http_requests_total{code!~"5.."}',
    "totalEventsQuery": "http_requests_total",
    "prometheus": "http://127.0.0.1:9090",
}


def body(**members: Any) -> dict[str, Any]:
    return BODY | members


def make_slo(*, at=NOON, columns: dict[str, Any] | None = None, **members: Any) -> SLO:
    """An SLO made from a request body; `columns` is written over what was stored."""
    slo = library.create(values=definitions.read(body(**members)), actor=SYSTEM, at=at)
    if columns:
        SLO.objects.filter(pk=slo.pk).update(**columns)
        slo.refresh_from_db()
    return slo


def measured(*, error_rate: float = 0.000375, at=NOON, **columns: Any) -> dict[str, Any]:
    """What an evaluation of a 99.9 % SLO over 30 days finds."""
    consumed = error_rate * 43200
    return {
        "current": 100 * (1 - error_rate),
        "sli": 1 - error_rate,
        "sli_with_maintenance": 1 - error_rate,
        "target_met": error_rate <= 0.001,
        "good": 1_000_000 * (1 - error_rate),
        "total": 1_000_000.0,
        "coverage": 1.0,
        "window_start": at - timedelta(days=30),
        "window_end": at,
        "budget_total": 43.2,
        "budget_consumed": consumed,
        "budget_consumed_with_maintenance": consumed,
        "burn_rates": {"5m": 0.2, "1h": 0.4, "6h": 1.3, "24h": 0.9, "72h": 1.1},
        "forecast": {"exhaustionDate": None, "daysRemaining": None, "trend": "stable"},
        "status": "healthy",
        "status_reason": "",
        "evaluated_at": at,
        "measured_until": at,
        "measured_since": at - timedelta(days=30),
        **columns,
    }


def make_day(slo: SLO, days_ago: int, *, good: float, total: float) -> DailyHistory:
    day = (NOON - timedelta(days=days_ago)).date()
    return DailyHistory.objects.create(slo=slo, day=day, good=good, total=total, slices=1440)
