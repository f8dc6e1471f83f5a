"""The arithmetic of the figures. Pure; times are whole seconds.

Distributions come as a mapping from seconds to how often they occurred, in any order.
"""

from collections.abc import Mapping
from datetime import timedelta
from math import ceil, sqrt

Distribution = Mapping[int, int]
Z = 1.959964  # of a two-sided 95 % interval


def mean(total: int, count: int) -> timedelta:
    """The mean, rounded to whole seconds; zero without samples (ANA-8)."""
    return timedelta(seconds=int(total / count + 0.5)) if count else timedelta()


def percent(part: int, whole: int) -> float:
    """A percent number with one decimal; 0 of nothing."""
    return round(100 * part / whole, 1) if whole else 0.0


def ratio(part: int, whole: int) -> float | None:
    """A ratio with two decimals; unknown of nothing."""
    return round(part / whole, 2) if whole else None


def nearest_rank(values: Distribution, percentile: float) -> int:
    """The smallest value that at least `percentile` percent of all values do not exceed; 0 without values."""
    rank = max(1, ceil(sum(values.values()) * percentile / 100))
    for value, count in sorted(values.items()):
        rank -= count
        if rank <= 0:
            return value
    return 0


def survival_median(ended: Distribution, running: Distribution) -> int | None:
    """Kaplan–Meier: the time by which half of all incidents are resolved, counting the open ones for as long as they were seen.

    `running` holds how long the open ones have lasted so far. None when fewer than half can be said to be resolved by any
    time, or there are none. The mean of the closed ones alone is too low while the long ones are still open; this is not.
    """
    at_risk = sum(ended.values()) + sum(running.values())
    surviving = 1.0
    for moment in sorted({*ended, *running}):
        resolved = ended.get(moment, 0)
        if resolved:
            surviving *= 1 - resolved / at_risk
            if surviving <= 0.5:
                return moment
        at_risk -= resolved + running.get(moment, 0)  # who is seen for the last time at a moment is still at risk at it
    return None


def change(now: float | None, before: float | None) -> str | None:
    """A signed percent string: `+8%`, `-15%`, `0%`. None without a value to compare with."""
    if now is None or not before:
        return None
    points = 100 * (now - before) / before
    whole = int(points + 0.5) if points >= 0 else -int(0.5 - points)
    return f"{whole:+d}%" if whole else "0%"


def success_interval(successes: int, count: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share, as ratios; None without samples."""
    if not count:
        return None
    share = successes / count
    center = share + Z * Z / (2 * count)
    spread = Z * sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    return round(max(0.0, (center - spread) / scale), 3), round(min(1.0, (center + spread) / scale), 3)
