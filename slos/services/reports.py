"""What the API shows of the past of SLOs: values per day, budget per hour, day or week. Reads only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import models

from slos import figures, objectives
from slos.figures import Figures
from slos.models import SLO
from slos.services import history
from slos.windows import Window

MINUTE = timedelta(minutes=1)


class Granularity(models.TextChoices):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class DayValue:
    date: date
    value: float | None


@dataclass(slots=True)
class Entry:
    """Minutes of the budget that an hour, day or week (its Monday) spent; `adjustment` is the part that people did."""

    date: date | datetime
    consumed: float
    adjustment: float = 0.0
    cumulative: float = 0.0
    remaining_percent: float = 0.0


def daily_values(slo: SLO, at: datetime) -> list[DayValue]:
    """The value of each day of the window that was measured, newest first."""
    window = figures.window_of(slo, at)
    rows = slo.days.filter(day__gte=window.start.date(), day__lte=window.end.date())
    return [DayValue(row.day, _value(slo, row)) for row in rows.order_by("-day")]


def _value(slo: SLO, row: Any) -> float | None:
    return figures.value_of(
        slo,
        good=row.good - row.excluded_good,
        total=row.total - row.excluded_total,
        value_sum=row.value_sum,
        value_count=row.value_count,
    )


def budget_history(slo: SLO, granularity: str, at: datetime) -> list[Entry]:
    """What was spent when, newest first. `cumulative` counts from the start of the window and ends at what is consumed now."""
    known = figures.figures_of(slo, at)
    if known.consumed is None:
        return []
    window = figures.window_of(slo, at)
    entries: dict[date | datetime, Entry] = {}
    for moment, minutes in _spent(slo, granularity, window):
        key = _bucket(moment, granularity)
        entries.setdefault(key, Entry(key, 0.0)).consumed += minutes
    for adjustment in slo.adjustments.filter(at__gt=window.start):
        key = _bucket(adjustment.at, granularity)
        entry = entries.setdefault(key, Entry(key, 0.0))
        entry.adjustment += adjustment.minutes
        entry.consumed += adjustment.minutes
    ordered = sorted(entries.values(), key=lambda entry: _order(entry.date), reverse=True)
    return list(_accumulate(ordered, known, known.consumed))


def _accumulate(newest_first: Iterable[Entry], known: Figures, consumed: float) -> Iterator[Entry]:
    """Backwards from what is consumed now, so that the newest entry agrees with the other documents (SLO-4)."""
    left = consumed
    for entry in newest_first:
        entry.cumulative = round(max(0.0, left), figures.MINUTE_DIGITS)
        entry.remaining_percent = round(figures.percent_left(known.total, left), 1)
        left -= entry.consumed
        entry.consumed = round(entry.consumed, figures.MINUTE_DIGITS)
        entry.adjustment = round(entry.adjustment, figures.MINUTE_DIGITS)
        yield entry


def _spent(slo: SLO, granularity: str, window: Window) -> Iterator[tuple[datetime, float]]:
    """(beginning, minutes) of every part of the window: the share of bad events in it, in minutes of the window."""
    if not slo.total:
        return
    judged = (window.elapsed if window.is_calendar else window.length) / MINUTE
    for beginning, sums in history.spread(slo, window, by_hour=granularity == Granularity.HOURLY):
        yield beginning, sums.bad / slo.total * judged


def _bucket(moment: datetime, granularity: str) -> date | datetime:
    moment = moment.astimezone(UTC)
    if granularity == Granularity.HOURLY:
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.date()
    return day - timedelta(days=day.weekday()) if granularity == Granularity.WEEKLY else day


def _order(key: date | datetime) -> tuple[int, int]:
    return key.toordinal(), key.hour if isinstance(key, datetime) else 0


def rules_shown(slo: SLO) -> list[dict[str, Any]]:
    """The burn-rate rules as the contract shows them, the default ones where nobody wrote any."""
    if slo.burn_rate_rules:
        return list(slo.burn_rate_rules)
    return [
        {
            "severity": rule.severity,
            "shortWindow": rule.name.partition("/")[0],
            "longWindow": rule.name.partition("/")[2],
            "burnRate": round(rule.factor, 6),
        }
        for rule in objectives.rules(slo)
    ]
