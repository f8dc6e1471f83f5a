"""Multi-window, multi-burn-rate alerts: which rules apply, what they need to fire, and whether they can at all. Pure.

A burn rate of 1 spends the whole budget in exactly the window of the SLO (domain/slo-math.md §4).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from slos import windows

TOLERANCE = 1e-12  # 14.4 x 0.001 is 0.014400000000000001 in doubles, and equality does not fire
SHORTEST = timedelta(minutes=5)  # the width of a slice of events: no window can be shorter
COUNTERS_APART = 1e-3  # share of the events by which counters that are scraped apart may contradict each other
REPORTED = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 72))  # what the API shows
MIN_COVERAGE = 0.5  # of the long window, before it judges
CALM = 2  # evaluations in a row below the threshold until an alert clears
FEWEST_EVENTS, MOST_EVENTS = 10, 100
REACHABLE = Decimal("0.9")  # error rate to which a derived threshold is capped that could never be reached
PAGES = frozenset({"critical", "high"})
SEVERITIES = {"warning": "medium"}  # the contract allows it in a rule; incidents do not know it


@dataclass(frozen=True, slots=True)
class Rule:
    """Fires when the burn rate over both windows exceeds `factor`."""

    short: timedelta
    long: timedelta
    factor: float
    severity: str
    is_derived: bool = False  # from the default table rather than from a person

    @property
    def name(self) -> str:
        return f"{windows.spell(self.short)}/{windows.spell(self.long)}"

    @property
    def is_page(self) -> bool:
        return self.severity in PAGES


@dataclass(frozen=True, slots=True)
class _Default:
    spent: Decimal  # share of the budget that is gone when the long window has burned at the factor
    long: timedelta
    short: timedelta
    severity: str


DEFAULTS = (
    _Default(Decimal("0.02"), timedelta(hours=1), timedelta(minutes=5), "critical"),
    _Default(Decimal("0.05"), timedelta(hours=6), timedelta(minutes=30), "high"),
    _Default(Decimal("0.10"), timedelta(days=1), timedelta(hours=2), "medium"),
    _Default(Decimal("0.10"), timedelta(days=3), timedelta(hours=6), "low"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured over one look-back window: sums, and the share of it that has data."""

    good: float
    total: float
    coverage: float = 1.0

    @property
    def error_rate(self) -> float | None:
        """None without events: not 0 and not 1 (§5)."""
        bad = bad_share(self.good, self.total)
        return None if bad is None else bad


def bad_share(good: float, total: float) -> float | None:
    """b / n, None when nothing can be said: no events, or more good ones than there are (§7)."""
    if not total > 0 or contradicts(good, total):
        return None
    return min(1.0, max(0.0, (total - good) / total))


def contradicts(good: float, total: float) -> bool:
    """More good than total events, beyond what counters that are scraped apart explain; or less than none."""
    slack = max(1e-9, total * COUNTERS_APART)
    return good > total + slack or good < -slack or total < 0


def burn_rate(error_rate: float | None, budget: Decimal) -> float | None:
    """E / B. A budget of nothing has no pace: 0 while nothing fails, then infinite, which JSON does not know, so None."""
    if error_rate is None:
        return None
    if budget <= 0:
        return 0.0 if error_rate == 0 else None
    return error_rate / float(budget)


def derive(window: timedelta, budget: Decimal) -> list[Rule]:
    """The default rules for this window (§4): factor = spent share x window / long window.

    Guard rails: the long window is at most half of the SLO's; a factor below 1 would alert on normal spending and becomes
    1; one that only an error rate above 1 could reach is capped.
    """
    rows = [row for row in DEFAULTS if row.long * 2 <= window] or [_shrunk(window)]
    rules = []
    for row in rows:
        factor = max(Decimal(1), row.spent * _ratio(window, row.long))
        if budget > 0:
            factor = min(factor, REACHABLE / budget)
        rules.append(Rule(row.short, row.long, float(factor), row.severity, is_derived=True))
    return rules


def _shrunk(window: timedelta) -> _Default:
    """The first rule for a window that is too short for all of them."""
    long = max(SHORTEST, timedelta(minutes=window // timedelta(minutes=2)))
    return _Default(Decimal("0.5"), long, SHORTEST, "critical")


def _ratio(a: timedelta, b: timedelta) -> Decimal:
    return Decimal(a // timedelta(seconds=1)) / Decimal(b // timedelta(seconds=1))


def read(stored: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """The rules that a person wrote, as the contract spells them. Raises `ValueError` or `KeyError` for other shapes."""
    return [
        Rule(
            short=max(SHORTEST, windows.parse(str(entry["shortWindow"]))),
            long=max(SHORTEST, windows.parse(str(entry["longWindow"]))),
            factor=float(entry["burnRate"]),
            severity=SEVERITIES.get(str(entry["severity"]), str(entry["severity"])),
        )
        for entry in stored
    ]


def rules(stored: Sequence[Mapping[str, Any]], *, window: timedelta, budget: Decimal) -> list[Rule]:
    """The rules that apply to an SLO."""
    return read(stored) if stored else derive(window, budget)


def can_fire(rule: Rule, budget: Decimal) -> bool:
    """No error rate exceeds 1, so a threshold at or above it is never crossed."""
    return Decimal(str(rule.factor)) * budget < 1


def exceeds(error_rate: float | None, factor: float, budget: Decimal) -> bool:
    """E > f x B, false at equality."""
    return error_rate is not None and error_rate > factor * float(budget) + TOLERANCE


def minimum_events(rule: Rule, budget: Decimal, wanted: int | None = None) -> int:
    """Events in the long window below which a page cannot tell one failure from an outage (§5)."""
    if wanted is not None:
        return wanted
    threshold = Decimal(str(rule.factor)) * budget
    if threshold <= 0:
        return MOST_EVENTS
    return max(FEWEST_EVENTS, min(MOST_EVENTS, math.ceil(1 / threshold)))


def fires(
    rule: Rule, *, short: Reading, long: Reading, budget: Decimal, counts_events: bool, wanted: int | None = None
) -> bool:
    """Whether the rule is true now. Too few events silence pages only: tickets may go on."""
    if long.coverage < MIN_COVERAGE:
        return False
    if counts_events and rule.is_page and long.total < minimum_events(rule, budget, wanted):
        return False
    return exceeds(long.error_rate, rule.factor, budget) and exceeds(short.error_rate, rule.factor, budget)


def warnings(stored: Sequence[Rule], *, budget: Decimal) -> list[str]:
    """What a person should know about these rules."""
    return [
        f"The rule {rule.name} can never fire: a burn rate of {rule.factor:g} needs an error rate of "
        f"{rule.factor * float(budget):.3g}, and none exceeds 1"
        for rule in stored
        if not can_fire(rule, budget)
    ]


def detection_time(rule: Rule, *, error_rate: float, budget: Decimal) -> timedelta | None:
    """How long a constant error rate lasts until the rule fires, starting clean; None: never."""
    if error_rate <= 0:
        return None
    needed = rule.factor * float(budget) / error_rate * rule.long
    return needed if needed <= rule.long else None
