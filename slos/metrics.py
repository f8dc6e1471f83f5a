"""What /metrics says of SLOs and SLAs: a few queries, read when Prometheus asks. What is deleted or unknown is not shown."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Avg, Count
from django.utils import timezone

from aiops.health.metrics import Gauge
from slos.models import NO_DATA, SLO, BurnAlert, ClockKind, ClockState, SLAClock, Status

PREFIX = "chatcli_operator"
MOST = 5_000  # SLOs; a scrape must stay small
PERIOD = timedelta(days=30)  # over which compliance counts
NAMES = ("service", "slo_name", "namespace")
WINDOWS = ("1h", "6h", "24h", "72h")
COLUMNS = (
    "service",
    "name",
    "namespace",
    "current",
    "budget_total",
    "budget_consumed",
    "status",
    "evaluated_at",
    "burn_rates",
    "failures",
    "forecast",
)

Row = dict[str, Any]


def measure() -> Iterable[Gauge]:
    rows = list(SLO.objects.filter(enabled=True).order_by("pk").values(*COLUMNS)[:MOST])
    return [*_slos(rows), _alerts(), *_slas()]


def _labels(row: Row) -> tuple[str, str, str]:
    return row["service"], row["name"], row["namespace"]


def _gauge(name: str, text: str, rows: Iterable[Row], value: Callable[[Row], float | None]) -> Gauge:
    found = [(_labels(row), number) for row in rows if (number := value(row)) is not None]
    return Gauge(f"{PREFIX}_{name}", text, NAMES, found)


def _slos(rows: list[Row]) -> list[Gauge]:
    known = [row for row in rows if row["current"] is not None]
    rates = [
        ((*_labels(row), window), rate)
        for row in known
        for window in WINDOWS
        if (rate := row["burn_rates"].get(window)) is not None
    ]
    states = [((*_labels(row), str(status)), float(row["status"] == status)) for row in rows for status in Status]
    return [
        _gauge("slo_current_value", "The value in the unit of the target", known, lambda row: row["current"]),
        _gauge("slo_error_budget_remaining", "Share of the budget, negative when overspent", known, _remaining),
        Gauge(f"{PREFIX}_slo_burn_rate", "1 spends the budget in exactly the window", (*NAMES, "window"), rates),
        Gauge(f"{PREFIX}_slo_state", "1 for the status that the SLO has", (*NAMES, "state"), states),
        _gauge("slo_time_to_exhaustion_seconds", "Until the budget is gone at this pace", known, _exhaustion),
        _gauge("slo_evaluation_errors", "Evaluations in a row without an answer", rows, lambda row: row["failures"]),
        _gauge("slo_last_evaluation_timestamp", "Unix time of the last evaluation with an answer", rows, _evaluated),
    ]


def _remaining(row: Row) -> float | None:
    if row["budget_consumed"] is None or not row["budget_total"]:
        return None
    return float(1 - row["budget_consumed"] / row["budget_total"])


def _exhaustion(row: Row) -> float | None:
    days = row["forecast"].get("daysRemaining")
    return None if days is None else float(days) * 86_400


def _evaluated(row: Row) -> float | None:
    return row["evaluated_at"].timestamp() if row["evaluated_at"] else None


def _alerts() -> Gauge:
    rows = (
        BurnAlert.objects.exclude(window=NO_DATA)
        .order_by()
        .values_list("slo__service", "slo__name", "slo__namespace", "severity")
    )
    counts = [(tuple(labels), count) for *labels, count in rows.annotate(Count("pk"))[:MOST]]
    return Gauge(f"{PREFIX}_slo_violations_total", "Burn-rate alerts so far", (*NAMES, "severity"), counts)


def _slas() -> list[Gauge]:
    clocks = SLAClock.objects.exclude(state=ClockState.CANCELLED).order_by()
    broken = clocks.filter(breached_at__isnull=False).values_list("severity", "kind").annotate(Count("pk"))
    return [
        Gauge(
            f"{PREFIX}_sla_violations_total",
            "Promises that were broken",
            ("severity", "type"),
            [((severity, kind), count) for severity, kind, count in broken],
        ),
        _taken("sla_response_time_seconds", ClockKind.RESPONSE),
        _taken("sla_resolution_time_seconds", ClockKind.RESOLUTION),
        _compliance(),
    ]


def _taken(name: str, kind: ClockKind) -> Gauge:
    rows = SLAClock.objects.filter(kind=kind, taken_seconds__isnull=False).order_by()
    means = rows.values_list("severity").annotate(mean=Avg("taken_seconds"))
    return Gauge(
        f"{PREFIX}_{name}", "Mean working time", ("severity",), [((severity,), mean) for severity, mean in means]
    )


def _compliance() -> Gauge:
    """Of the promises of the last 30 days that fell due, those that were kept."""
    now = timezone.now()
    rows = SLAClock.objects.filter(due_at__gt=now - PERIOD, due_at__lte=now).exclude(state=ClockState.CANCELLED)
    totals: dict[str, list[int]] = {}
    for severity, state, count in rows.order_by().values_list("severity", "state").annotate(Count("pk")):
        judged = totals.setdefault(severity, [0, 0])
        judged[0] += count if state == ClockState.MET else 0
        judged[1] += count
    shares = [((severity,), 100 * met / judged) for severity, (met, judged) in totals.items()]
    return Gauge(f"{PREFIX}_sla_compliance_percentage", "Of the last 30 days", ("severity",), shares)
