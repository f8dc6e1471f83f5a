"""When something runs full. Pure.

A robust straight line (Theil–Sen: the median of the slopes between all pairs of points) through what was used, as percent of
the limit, after the weekly pattern was taken out. The line says when 100 % is reached; Sen's interval of the slope says how
sure that is, and a line through the older three quarters says how wrong it would have been about the newer quarter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from statistics import fmean, median

LEAST = 3  # points
MOST = 40  # points that a line is laid through; more are averaged, since the pairs grow with their square
WEEK = 7.0
WEEKS = 3  # of data that a weekly pattern needs
FULL = 100.0  # percent
HORIZON = 365.0  # days; what lies beyond is not told
STEEP = 1.0  # percent points per day that make a direction
Z = 1.96

Point = tuple[float, float]  # days, percent


@dataclass(frozen=True, slots=True)
class Line:
    """`slope` in percent points per day with its 95 % interval, `level` at day `at`."""

    slope: float
    low: float
    high: float
    level: float
    at: float
    error: float | None  # mean absolute error of the back-test, percent points


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """Days from the last point until the limit is reached: expected, and the earliest and latest that the data allow."""

    days: float | None
    earliest: float | None
    latest: float | None


@lru_cache(maxsize=4_096)
def fit(points: tuple[Point, ...], since: float = 0.0) -> Line | None:
    """The line through the points from day `since` on; None below three of them.

    Points come in order of time. The older ones only help to tell the weekly pattern.
    """
    recent = [point for point in _without_weeks(points) if point[0] >= since] if points else []
    if len(recent) < LEAST:
        return None
    thinned = _thinned(recent)
    slope, low, high = _theil_sen(thinned)
    return Line(slope, low, high, _level(thinned, slope), thinned[-1][0], _back_test(thinned))


def exhaustion(line: Line) -> Exhaustion:
    return Exhaustion(*(_days(line.level, slope) for slope in (line.slope, line.high, line.low)))


def direction(slopes: Sequence[float]) -> str:
    """The contract's word for the slopes of processor and memory."""
    if any(slope > STEEP for slope in slopes):
        return "increasing"
    return "decreasing" if any(slope < -STEEP for slope in slopes) else "stable"


def _days(level: float, slope: float) -> float | None:
    if level >= FULL:
        return 0.0
    if slope <= 0:
        return None
    days = (FULL - level) / slope
    return days if days <= HORIZON else None


def _theil_sen(points: Sequence[Point]) -> tuple[float, float, float]:
    """Median slope, and the slopes between which the true one lies with 95 % (Sen 1968)."""
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for position, earlier in enumerate(points)
        for later in points[position + 1 :]
        if later[0] > earlier[0]
    )
    if not slopes:
        return 0.0, 0.0, 0.0
    count = len(points)
    spread = Z * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, round((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, round((len(slopes) + spread) / 2))
    return median(slopes), slopes[low], slopes[high]


def _level(points: Sequence[Point], slope: float) -> float:
    """The value of the line at the last point."""
    last = points[-1][0]
    return median(value + slope * (last - day) for day, value in points)


def _without_weeks(points: Sequence[Point]) -> Sequence[Point]:
    """Take the weekly pattern out: for each weekday the median distance from the line."""
    if points[-1][0] - points[0][0] < WEEKS * WEEK:
        return points
    slope, _, _ = _theil_sen(_thinned(points))
    rests: dict[int, list[float]] = {}
    for day, value in points:
        rests.setdefault(int(day % WEEK), []).append(value - slope * day)
    middle = median(median(values) for values in rests.values())
    pattern = {weekday: median(values) - middle for weekday, values in rests.items()}
    return [(day, value - pattern[int(day % WEEK)]) for day, value in points]


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    if len(points) <= MOST:
        return points
    size = -(-len(points) // MOST)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(day for day, _ in group), fmean(value for _, value in group)) for group in groups]


def _back_test(points: Sequence[Point]) -> float | None:
    known = len(points) * 3 // 4
    if known < LEAST or known == len(points):
        return None
    older, newer = points[:known], points[known:]
    slope, _, _ = _theil_sen(older)
    level, last = _level(older, slope), older[-1][0]
    return fmean(abs(value - (level + slope * (day - last))) for day, value in newer)
