"""The objectives of the invented fleet: one that is kept, one that is close, one that is broken, and what was measured."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from slos.models import SLO, DailyHistory, HourlyHistory, SLOType, Status, Transition

TARGET = 99.9
WINDOW = timedelta(days=30)
BUDGET = WINDOW.total_seconds() * (1 - TARGET / 100)  # seconds
RATES = ("5m", "30m", "1h", "2h", "6h", "24h", "72h")


@dataclass(frozen=True, slots=True)
class Objective:
    name: str
    namespace: str
    service: str
    status: str
    spent: float  # share of the budget


OBJECTIVES = (
    Objective("checkout-availability", "checkout", "checkout-api", Status.HEALTHY, 0.22),
    Objective("payments-availability", "payments", "payments-api", Status.WARNING, 0.87),
    Objective("search-availability", "search", "search-api", Status.BREACHED, 1.34),
)


def slo(objective: Objective, *, since: datetime, until: datetime) -> SLO:
    """The unsaved row."""
    bad = BUDGET * objective.spent
    window = WINDOW.total_seconds()
    ratio = 1 - bad / window
    return SLO(
        name=objective.name, namespace=objective.namespace, service=objective.service, type=SLOType.AVAILABILITY,
        target=str(TARGET), description=f"{objective.service} answers", window="30d", status=objective.status,
        current=100 * ratio, sli=ratio, sli_with_maintenance=ratio, target_met=objective.spent <= 1, good=window - bad,
        total=window, coverage=1.0, window_start=until - WINDOW, window_end=until, budget_total=BUDGET / 60,
        budget_consumed=bad / 60, budget_consumed_with_maintenance=bad / 60,
        burn_rates=dict.fromkeys(RATES, round(objective.spent, 2)), evaluated_at=until, status_since=since,
        measured_since=since, measured_until=until, data_until=until, created_at=since, updated_at=since,
    )  # fmt: skip


def history(slo: SLO, objective: Objective, *, since: datetime, until: datetime, random: Random) -> list[Any]:
    """Unsaved rows of the days and hours, whose bad time in the last 30 days is what the objective says was spent."""
    hours: list[datetime] = []
    hour = max(since, until - WINDOW).replace(minute=0, second=0, microsecond=0)
    while hour < until:
        hours.append(hour)
        hour += timedelta(hours=1)
    weights = [random.expovariate(1) ** 4 for _ in hours]  # most hours are nearly perfect, a few are not
    scale = BUDGET * objective.spent / (sum(weights) or 1)
    bad_by_day: dict[date, float] = {}
    rows: list[Any] = []
    for hour, weight in zip(hours, weights, strict=True):
        bad = min(3_600.0, weight * scale)
        bad_by_day[hour.date()] = bad_by_day.get(hour.date(), 0.0) + bad
        rows.append(HourlyHistory(slo=slo, hour=hour, good=3_600 - bad, total=3_600, slices=60))
    day = since.date()
    while day <= until.date():
        bad = bad_by_day.get(day, BUDGET / 30 * random.random())
        rows.append(DailyHistory(slo=slo, day=day, good=86_400 - bad, total=86_400, slices=1_440))
        day += timedelta(days=1)
    if objective.status != Status.HEALTHY:
        at = since + (until - since) * 0.9
        rows.append(Transition(slo=slo, at=at, was=Status.HEALTHY, becomes=objective.status, reason="budget spent"))
    return rows
