"""Slices of time with what was good and what there was in them, packed by the hour. Pure.

A slice ends on a full minute. Slices of events are wider (five minutes, so that enough scrapes fall into one) than their
distance (one minute), so a window that ends at any minute is cut exactly into slices at a stride of their width: nothing is
counted twice, and nothing falls between two slices.
"""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from slos.burn_rate import Reading

PER_HOUR = 60
MINUTE = 60
HOUR = timedelta(hours=1)
NOTHING = math.nan  # not measured; a slice that was measured and had no events has a total of 0
_EMPTY = array("d", [NOTHING]) * PER_HOUR


class Slice(NamedTuple):
    """(`end` - width, `end`], `end` in seconds since 1970. `value` is a latency in milliseconds, NaN when there is none."""

    end: int
    good: float
    total: float
    value: float = NOTHING


@dataclass(frozen=True, slots=True)
class Grid:
    """How an SLO is cut: `width` and `step` are seconds, whole minutes both; the step divides the width."""

    width: int
    step: int = MINUTE

    def floor(self, moment: datetime) -> int:
        """The last end of a slice at or before `moment`."""
        return int(moment.timestamp()) // self.step * self.step

    def whole(self, end: int) -> bool:
        """Whether the slice is one of those that hours are made of."""
        return end % self.width == 0


def hour_of(end: int) -> int:
    """The hour, in seconds since 1970, to which a slice belongs that ends then."""
    return (end - 1) // 3600 * 3600


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def seconds(at: datetime) -> int:
    return int(at.timestamp())


@dataclass(slots=True)
class Sums:
    """Sums over a span; `excluded_*` is the part of it that lies in planned maintenance."""

    good: float = 0.0
    total: float = 0.0
    excluded_good: float = 0.0
    excluded_total: float = 0.0
    slices: float = 0
    value_sum: float = 0.0
    value_count: float = 0

    def add(self, other: "Sums") -> None:
        self.good += other.good
        self.total += other.total
        self.excluded_good += other.excluded_good
        self.excluded_total += other.excluded_total
        self.slices += other.slices
        self.value_sum += other.value_sum
        self.value_count += other.value_count

    def scaled(self, share: float) -> "Sums":
        return self if share == 1 else Sums(*(getattr(self, name) * share for name in self.__slots__))

    @property
    def bad(self) -> float:
        """What counts as bad: without planned maintenance."""
        return max(0.0, (self.total - self.excluded_total) - (self.good - self.excluded_good))


class Timeline:
    """The slices of one SLO between two hours, a place per minute."""

    def __init__(self, first_hour: int, hours: int) -> None:
        self.first_hour = first_hour
        self.good = _EMPTY * hours
        self.total = _EMPTY * hours
        self.value = _EMPTY * hours
        self.touched: set[int] = set()

    @classmethod
    def load(cls, first_hour: int, hours: int, packed: Mapping[int, bytes]) -> "Timeline":
        """`packed` maps the beginnings of hours to what `pack` made of them; other hours were not measured."""
        line = cls(first_hour, hours)
        for hour, content in packed.items():
            at = (hour - first_hour) // MINUTE
            if 0 <= at < hours * PER_HOUR:
                numbers = array("d", content)
                line.good[at : at + PER_HOUR] = numbers[:PER_HOUR]
                line.total[at : at + PER_HOUR] = numbers[PER_HOUR : 2 * PER_HOUR]
                if len(numbers) > 2 * PER_HOUR:
                    line.value[at : at + PER_HOUR] = numbers[2 * PER_HOUR :]
        return line

    def put(self, slices: Iterable[Slice]) -> None:
        """Write down slices, those before the first hour aside. What was there is replaced: measuring twice changes nothing."""
        for end, good, total, value in slices:
            index = self._index(end)
            if 0 <= index < len(self.good):
                self.good[index], self.total[index], self.value[index] = good, total, value
                self.touched.add(hour_of(end))

    def pack(self, hour: int) -> bytes:
        at = (hour - self.first_hour) // MINUTE
        content = self.good[at : at + PER_HOUR] + self.total[at : at + PER_HOUR]
        values = self.value[at : at + PER_HOUR]
        if not all(map(math.isnan, values)):
            content += values
        return content.tobytes()

    def _index(self, end: int) -> int:
        return (end - self.first_hour) // MINUTE - 1

    def reading(self, end: int, length: timedelta, grid: Grid, excluded: Iterable[tuple[int, int]] = ()) -> Reading:
        """What the window of that length before `end` holds; the spans in `excluded` are left out."""
        stride = grid.width // MINUTE
        count = max(1, math.ceil(length.total_seconds() / grid.width))
        last = self._index(end)
        first = last - (count - 1) * stride
        while first < 0:  # older than what is kept
            first += stride
        spans = list(excluded)
        good = total = 0.0
        known = left_out = 0
        pairs = zip(self.good[first : last + 1 : stride], self.total[first : last + 1 : stride], strict=True)
        for position, (g, n) in enumerate(pairs):
            if math.isnan(n):
                continue
            if spans and overlaps(self._end(first + position * stride), grid.width, spans):
                left_out += 1
                continue
            known += 1
            good += g
            total += n
        counted = count - left_out
        return Reading(good=good, total=total, coverage=known / counted if counted > 0 else 0.0)

    def sums(self, end: int, length: timedelta, grid: Grid, excluded: Iterable[tuple[int, int]] = ()) -> Sums:
        """As `reading`, with everything that is summed up and what lies in `excluded` beside it."""
        return add_up(self.cut(end, length, grid), grid, excluded)

    def cut(self, end: int, length: timedelta, grid: Grid) -> list[Slice]:
        """The slices that a window of that length before `end` consists of, as far as they were measured."""
        last = self._index(end)
        stride = grid.width // MINUTE
        # a calendar period begins inside a slice as a rule: what lies before it is not counted
        count = max(1, int(length.total_seconds() // grid.width))
        indexes = range(last - (count - 1) * stride, last + 1, stride)
        return [
            Slice(self._end(index), self.good[index], self.total[index], self.value[index])
            for index in indexes
            if index >= 0 and not math.isnan(self.total[index])
        ]

    def last(self, end: int) -> int | None:
        """The end of the last slice up to `end` that was measured."""
        for index in range(self._index(end), -1, -1):
            if not math.isnan(self.total[index]):
                return self._end(index)
        return None

    def _end(self, index: int) -> int:
        return self.first_hour + (index + 1) * MINUTE

    def slices(self, hour: int, grid: Grid) -> list[Slice]:
        """The slices of an hour that make it up, as far as they were measured."""
        found = []
        for end in range(hour + grid.width, hour + 3600 + 1, grid.width):
            index = self._index(end)
            if 0 <= index < len(self.total) and not math.isnan(self.total[index]):
                found.append(Slice(end, self.good[index], self.total[index], self.value[index]))
        return found


def overlaps(end: int, width: int, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start < end and end - width < stop for start, stop in spans)


def add_up(slices: Iterable[Slice], grid: Grid, excluded: Iterable[tuple[int, int]] = ()) -> Sums:
    """A slice that touches maintenance belongs to it: what happened in it cannot be told apart."""
    spans = list(excluded)
    sums = Sums()
    for end, good, total, value in slices:
        sums.slices += 1
        sums.good += good
        sums.total += total
        if spans and overlaps(end, grid.width, spans):
            sums.excluded_good += good
            sums.excluded_total += total
        elif not math.isnan(value):
            sums.value_sum += value
            sums.value_count += 1
    return sums
