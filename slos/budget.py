"""What a measured share of good events means for the error budget. Pure.

Amounts are minutes and signed: an overspent budget is negative here, whoever shows it clamps. A rolling window judges the
whole window by the share of bad events in it, a calendar period by what has elapsed (domain/slo-math.md §3, reading ii).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from slos.windows import Window

MINUTE = timedelta(minutes=1)
WARNING_SHARE = 0.25  # of the budget; SLO-1
FORECAST_BY = ("24h", "6h", "1h")  # the pace that a forecast goes by, the first that is known
TREND_BAND = 0.25  # how far the pace of a day may differ from that of three and still be the same
EVENTS_FOR_BUDGET = 5  # bad events that a budget should allow for, lest one failure spends it


class Trend(StrEnum):
    IMPROVING = "improving"
    STABLE = "stable"
    DETERIORATING = "deteriorating"


@dataclass(frozen=True, slots=True)
class Budget:
    """Minutes of bad time that the window allows, and those that are spent, adjustments included."""

    total: float
    consumed: float

    @property
    def remaining(self) -> float:
        return self.total - self.consumed

    @property
    def consumed_ratio(self) -> float:
        """1: all of it. A budget of nothing is exhausted by the first failure."""
        if self.total <= 0:
            return 1.0 if self.consumed > 0 else 0.0
        return self.consumed / self.total

    @property
    def remaining_ratio(self) -> float:
        return 1 - self.consumed_ratio

    @property
    def is_exhausted(self) -> bool:
        return self.remaining <= 1e-9 if self.total > 0 else self.consumed > 0


def allowed_minutes(window: Window, budget: Decimal) -> float:
    """SLO-3 and X9.24."""
    return float(Decimal(str(window.length / MINUTE)) * budget)


def spend(window: Window, *, budget: Decimal, error_rate: float, adjusted: float = 0.0) -> Budget:
    """The budget after `error_rate` over the window; `adjusted` minutes were added or given back by people (X9.5)."""
    judged = window.elapsed if window.is_calendar else window.length
    consumed = max(0.0, error_rate * (judged / MINUTE) + adjusted)
    return Budget(total=allowed_minutes(window, budget), consumed=consumed)


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the budget is gone. The interval goes by the fastest and the slowest pace of late; None: not in this window."""

    exhaustion: datetime | None = None
    earliest: datetime | None = None
    latest: datetime | None = None
    days_remaining: float | None = None
    trend: Trend = Trend.STABLE


def forecast(budget: Budget, *, window: Window, burn_rates: Mapping[str, float | None]) -> Forecast:
    """Time to exhaustion = remaining share x window / burn rate."""
    trend = trend_of(burn_rates.get("24h"), burn_rates.get("72h"))
    if budget.is_exhausted:
        return Forecast(window.at, window.at, window.at, 0.0, trend)
    known = [rate for rate in burn_rates.values() if rate is not None]
    pace = next((rate for name in FORECAST_BY if (rate := burn_rates.get(name)) is not None), None)
    length = _until_gone(budget, window, pace)
    return Forecast(
        exhaustion=None if length is None else window.at + length,
        earliest=_moment(budget, window, max(known, default=None)),
        latest=_moment(budget, window, min(known, default=None)),
        days_remaining=None if length is None else length / timedelta(days=1),
        trend=trend,
    )


def _moment(budget: Budget, window: Window, pace: float | None) -> datetime | None:
    length = _until_gone(budget, window, pace)
    return None if length is None else window.at + length


def _until_gone(budget: Budget, window: Window, pace: float | None) -> timedelta | None:
    """None when this pace does not exhaust the budget inside the window."""
    if not pace or pace <= 0:
        return None
    days = budget.remaining_ratio * (window.length / timedelta(days=1)) / pace
    limit = window.end - window.at if window.is_calendar else window.length
    return timedelta(days=days) if days <= limit / timedelta(days=1) else None


def trend_of(day: float | None, three_days: float | None) -> Trend:
    if day is None or three_days is None or day == three_days:
        return Trend.STABLE
    if day > three_days * (1 + TREND_BAND):
        return Trend.DETERIORATING
    return Trend.IMPROVING if day < three_days * (1 - TREND_BAND) else Trend.STABLE


def status(budget: Budget | None, *, target_met: bool | None, alerts: Iterable[object]) -> str:
    """SLO-1; what cannot be measured is a warning (X9.3)."""
    if budget is None:
        return "warning"
    if budget.is_exhausted:
        return "breached"
    if not target_met or budget.remaining_ratio <= WARNING_SHARE + 1e-9 or any(True for _ in alerts):
        return "warning"
    return "healthy"


def is_small(events: float, budget: Decimal) -> bool:
    """Whether so few events are expected in the window that hardly any may fail (domain/slo-math.md §5)."""
    return 0 < events * float(budget) < EVENTS_FOR_BUDGET
