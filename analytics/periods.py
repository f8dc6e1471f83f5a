"""Spans of time and the buckets that cover them. Pure; times are whole seconds, buckets hours, both since 1970."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from analytics.models import Grain

HOUR = 3_600
DAY, WEEK = int(Grain.DAY), int(Grain.WEEK)
MONDAY = 72  # hours from the first Monday's midnight (29 December 1969) to the epoch
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = ((moment.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1) for moment in (datetime.min, datetime.max))


def seconds_of(moment: datetime) -> int:
    """Whole seconds, rounded down as the API shows times."""
    return (moment - EPOCH) // timedelta(seconds=1)


def moment_of(seconds: int) -> datetime:
    """The nearest one that can be told: a range may reach beyond the years 1 and 9999, in which there is nothing."""
    return EPOCH + timedelta(seconds=min(max(seconds, FIRST), LAST))


def bucket_start(hour: int, grain: int) -> int:
    """The first hour of the bucket that holds `hour`."""
    if grain == WEEK:
        return (hour + MONDAY) // WEEK * WEEK - MONDAY
    return hour // grain * grain


def date_of(hour: int) -> date:
    return moment_of(hour * HOUR).date()


@dataclass(frozen=True, slots=True)
class Span:
    """From `lower` (inclusive) to `upper` (exclusive), in seconds."""

    lower: int
    upper: int

    @property
    def length(self) -> int:
        return self.upper - self.lower

    def before(self) -> "Span":
        """The equally long span that ends where this one begins."""
        return Span(self.lower - self.length, self.lower)


@dataclass(slots=True)
class Cover:
    """A span cut into roll-up buckets and rests that only raw rows can answer.

    `buckets`: (grain, first hour, end hour), neighbors joined; `raw`: spans of seconds, neighbors joined.
    """

    buckets: list[tuple[int, int, int]] = field(default_factory=list)
    raw: list[Span] = field(default_factory=list)

    def add_bucket(self, grain: int, start: int) -> None:
        if self.buckets and self.buckets[-1][0] == grain and self.buckets[-1][2] == start:
            self.buckets[-1] = (grain, self.buckets[-1][1], start + grain)
        else:
            self.buckets.append((grain, start, start + grain))

    def add_raw(self, lower: int, upper: int) -> None:
        if lower >= upper:
            return
        if self.raw and self.raw[-1].upper == lower:
            self.raw[-1] = Span(self.raw[-1].lower, upper)
        else:
            self.raw.append(Span(lower, upper))


def cover(span: Span, *, outdated: Iterable[int] = (), largest: int = WEEK) -> Cover:
    """The fewest buckets of these sizes (in hours) inside `span`, none of which holds an `outdated` hour."""
    found = Cover()
    first, end = -(-span.lower // HOUR), span.upper // HOUR
    if first >= end:
        found.add_raw(span.lower, span.upper)
        return found
    found.add_raw(span.lower, first * HOUR)
    for hour, grain in _walk(first, end, frozenset(outdated), largest):
        if grain:
            found.add_bucket(grain, hour)
        else:
            found.add_raw(hour * HOUR, (hour + 1) * HOUR)
    found.add_raw(end * HOUR, span.upper)
    return found


def _walk(hour: int, end: int, outdated: frozenset[int], largest: int) -> Iterator[tuple[int, int]]:
    """(first hour, grain) in order; grain 0 is an hour that no bucket covers."""
    blocked = {grain: {bucket_start(one, grain) for one in outdated} for grain in (WEEK, DAY) if grain <= largest}
    while hour < end:
        for grain, not_these in blocked.items():
            if bucket_start(hour, grain) == hour and hour + grain <= end and hour not in not_these:
                yield hour, grain
                hour += grain
                break
        else:
            yield hour, 0 if hour in outdated else int(Grain.HOUR)
            hour += 1
