"""The figures of an SLO as people see them: in the unit of the target, clamped and rounded where the contract says so. Pure.

What cannot be measured is None throughout, never 0 and never 100 (X9.3).
"""

from dataclasses import dataclass
from datetime import datetime

from slos import budget, burn_rate, objectives
from slos.models import SLO, SLOType
from slos.windows import Window

MINUTE_DIGITS = 3
VALUE_DIGITS = 4


def window_of(slo: SLO, at: datetime) -> Window:
    """The window that the last evaluation judged; before the first one, what it would be at `at`."""
    return objectives.window(slo, slo.measured_until or at)


@dataclass(frozen=True, slots=True)
class Figures:
    """Minutes of bad time; `remaining` is never negative and `remaining_percent` from 0 to 100."""

    total: float
    consumed: float | None
    remaining: float | None
    remaining_percent: float | None


def figures_of(slo: SLO, at: datetime) -> Figures:
    total = round(budget.allowed_minutes(window_of(slo, at), objectives.budget_ratio(slo)), MINUTE_DIGITS)
    if slo.current is None or slo.budget_consumed is None:
        return Figures(total, None, None, None)
    consumed = round(slo.budget_consumed, MINUTE_DIGITS)
    remaining = max(0.0, round(total - consumed, MINUTE_DIGITS))
    return Figures(total, consumed, remaining, percent_left(total, consumed))


def percent_left(total: float, consumed: float) -> float:
    """0 to 100; of a budget of nothing everything is left until something is consumed."""
    if total <= 0:
        return 0.0 if consumed > 0 else 100.0
    return max(0.0, min(100.0, 100 * (total - consumed) / total))


def value_of(slo: SLO, *, good: float, total: float, value_sum: float, value_count: float) -> float | None:
    """What a span of the history amounts to, in the unit of the target."""
    if slo.type == SLOType.LATENCY and value_count:
        return rounded(value_sum / value_count)
    if slo.type == SLOType.LATENCY or (bad := burn_rate.bad_share(good, total)) is None:
        return None
    return rounded(100 * bad if slo.type == SLOType.ERROR_RATE else 100 * (1 - bad))


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, VALUE_DIGITS)
