"""Incident SLAs: how much of a promise is used up, and when it will be. Pure.

A promise ("answer critical incidents within 15 minutes, on working days from 9 to 18") counts working time: the time inside
the calendar's shifts, less the pauses. A shift belongs to the day on which it begins, so one that ends after midnight is
worked to its end even when the next day is a holiday.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

WARN_PERCENT = 75  # of the allowance used up: people are warned
LONGEST_SEARCH = timedelta(days=366 * 3)  # a promise that would last longer in calendar time is never due
NOTHING = timedelta(0)
DAY_MINUTES = 24 * 60
WORK_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_SHIFTS = 12  # of one day
MOST_DATES = 500

Span = tuple[datetime, datetime]  # from (inclusive) to (exclusive)


@dataclass(frozen=True, slots=True)
class Shift:
    """Minutes after local midnight. An `end` at or before `start` lies on the next day."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """When somebody works. `week` has one tuple of shifts per day, Monday first; None: around the clock.

    `country` (with `subdivision`) names the public holidays to keep; `dates` are further days on which nobody works.
    """

    zone: str = "UTC"
    week: tuple[tuple[Shift, ...], ...] | None = None
    country: str = ""
    subdivision: str = ""
    dates: frozenset[date] = field(default_factory=frozenset)


ALWAYS = Calendar()


def working(calendar: Calendar, since: datetime, until: datetime) -> Iterator[Span]:
    """The worked spans between two times, in UTC, in order and without overlap."""
    if calendar.week is None:
        if since < until:
            yield since, until
        return
    zone = ZoneInfo(calendar.zone)
    # the shift that began the day before may still last
    day, last = since.astimezone(zone).date() - timedelta(days=1), until.astimezone(zone).date()
    reached = since
    while day <= last:
        for shift_begin, shift_end in _shifts_of(calendar, zone, day):
            begin, end = max(shift_begin, reached), min(shift_end, until)
            if begin < end:
                yield begin, end
                reached = end
        day += timedelta(days=1)


def elapsed(calendar: Calendar, since: datetime, until: datetime, pauses: Sequence[Span] = ()) -> timedelta:
    """Working time between two times, less the pauses."""
    return sum((end - begin for begin, end in _counted(calendar, since, until, pauses)), NOTHING)


def due_at(calendar: Calendar, since: datetime, allowance: timedelta, pauses: Sequence[Span] = ()) -> datetime | None:
    """When `allowance` of working time is used up. None when that does not happen within three years."""
    left = allowance
    for begin, end in _counted(calendar, since, since + allowance + LONGEST_SEARCH, pauses):
        if end - begin >= left:
            return begin + left
        left -= end - begin
    return None


def warn_at(calendar: Calendar, since: datetime, allowance: timedelta, pauses: Sequence[Span] = ()) -> datetime | None:
    """When three quarters of `allowance` are used up."""
    return due_at(calendar, since, allowance * WARN_PERCENT / 100, pauses)


def merged(spans: Sequence[Span]) -> list[Span]:
    """The union of spans, in order; empty ones are left out."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _counted(calendar: Calendar, since: datetime, until: datetime, pauses: Sequence[Span]) -> Iterator[Span]:
    breaks = merged(pauses)
    for begin, end in working(calendar, since, until):
        reached = begin
        for pause_begin, pause_end in breaks:
            if pause_end <= reached:
                continue
            if pause_begin >= end:
                break
            if reached < pause_begin:
                yield reached, pause_begin
            reached = min(max(reached, pause_end), end)
        if reached < end:
            yield reached, end


def _shifts_of(calendar: Calendar, zone: ZoneInfo, day: date) -> list[Span]:
    assert calendar.week is not None
    if not calendar.week[day.weekday()] or _is_holiday(calendar, day):
        return []
    spans = [
        (
            _moment(day, shift.start, zone),
            _moment(day, shift.end + (0 if shift.end > shift.start else DAY_MINUTES), zone),
        )
        for shift in calendar.week[day.weekday()]
    ]
    return merged(spans)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """Wall-clock time as UTC. A time that the clocks skip is the one an hour later."""
    days, minutes = divmod(minutes, DAY_MINUTES)
    local = datetime.combine(day + timedelta(days=days), time(*divmod(minutes, 60)), zone)
    return local.astimezone(UTC)


def _is_holiday(calendar: Calendar, day: date) -> bool:
    if day in calendar.dates:
        return True
    return bool(calendar.country) and day in _public_holidays(calendar.country, calendar.subdivision, day.year)


@lru_cache(maxsize=256)
def _public_holidays(country: str, subdivision: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))


# --- what people write -------------------------------------------------------------------------------------------------


def read_calendar(written: Mapping[str, Any]) -> Calendar:
    """The calendar of `businessHours` as an SLA stores it; `complaints` has found nothing in it."""
    if not written:
        return ALWAYS
    shifts = _read_shifts(written)
    days = set(written.get("workDays") or WORK_DAYS[:5])
    kept = written.get("holidays") or {}
    return Calendar(
        zone=written.get("timezone") or "UTC",
        week=tuple(shifts if name in days else () for name in WORK_DAYS),
        country=kept.get("country") or "",
        subdivision=kept.get("subdivision") or "",
        dates=frozenset(date.fromisoformat(text) for text in kept.get("dates") or ()),
    )


def _read_shifts(written: Mapping[str, Any]) -> tuple[Shift, ...]:
    if written.get("shifts"):
        return tuple(Shift(_minutes(one["start"]), _minutes(one["end"])) for one in written["shifts"])
    return (Shift(60 * written.get("startHour", 9), 60 * written.get("endHour", 18)),)


def _minutes(text: str) -> int:
    """Minutes after midnight of `HH:MM`; `24:00` is the end of the day. Raises ValueError."""
    hours, colon, minutes = text.partition(":")
    if not (colon and len(hours) == len(minutes) == 2 and (hours + minutes).isascii() and (hours + minutes).isdigit()):
        raise ValueError("not a time of day")
    total = 60 * int(hours) + int(minutes)
    if int(minutes) > 59 or total > DAY_MINUTES:
        raise ValueError("not a time of day")
    return total


MEMBERS = frozenset({"timezone", "workDays", "startHour", "endHour", "shifts", "holidays"})


def complaints(written: Any) -> dict[str, list[str]]:
    """What is wrong with `businessHours`: member path -> reasons. Empty when it is a calendar."""
    if not isinstance(written, Mapping):
        return {"": ["An object is expected."]}
    found: dict[str, list[str]] = {}
    unknown = sorted(set(written) - MEMBERS)
    if unknown:
        found[unknown[0]] = ["Is no member of business hours."]
    if not is_zone(written.get("timezone") or "UTC"):
        found["timezone"] = ["Is no IANA time zone."]
    days = written.get("workDays") or list(WORK_DAYS[:5])
    if not isinstance(days, list) or any(day not in WORK_DAYS for day in days):
        found["workDays"] = ["A list of full English names of days is expected."]
    found.update(_hour_complaints(written))
    found.update(_holiday_complaints(written.get("holidays") or {}))
    return found


def is_zone(name: Any) -> bool:
    """Whether the time zone database knows `name`."""
    if not isinstance(name, str) or len(name) > 64:
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _hour_complaints(written: Mapping[str, Any]) -> dict[str, list[str]]:
    shifts = written.get("shifts")
    if shifts:
        if not isinstance(shifts, list) or len(shifts) > MOST_SHIFTS:
            return {"shifts": [f"A list of at most {MOST_SHIFTS} shifts is expected."]}
        bad = [number for number, one in enumerate(shifts) if not _is_shift(one)]
        return {f"shifts[{number}]": ["An object with start and end (HH:MM) is expected."] for number in bad}
    start, end = written.get("startHour", 9), written.get("endHour", 18)
    for member, value in (("startHour", start), ("endHour", end)):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 24:
            return {member: ["A whole number from 0 to 24 is expected."]}
    return (
        {} if start < end else {"endHour": ["Must be after startHour; write a shift that passes midnight in shifts."]}
    )


def _is_shift(written: Any) -> bool:
    if not isinstance(written, Mapping):
        return False
    try:
        return _minutes(written["start"]) != _minutes(written["end"])
    except (KeyError, AttributeError, ValueError):
        return False


def _holiday_complaints(written: Any) -> dict[str, list[str]]:
    if not isinstance(written, Mapping) or set(written) - {"country", "subdivision", "dates"}:
        return {"holidays": ["An object with country, subdivision and dates is expected."]}
    found: dict[str, list[str]] = {}
    country, subdivision = written.get("country") or "", written.get("subdivision") or ""
    known: Mapping[str, Collection[str]] = holidays.list_supported_countries()
    if country and country not in known:
        found["holidays.country"] = ["Is no ISO 3166 code of a country whose holidays are known."]
    elif subdivision and subdivision not in known.get(country, ()):
        found["holidays.subdivision"] = ["Is no subdivision of that country."]
    dates = written.get("dates") or []
    if not isinstance(dates, list) or len(dates) > MOST_DATES or not all(_is_date(text) for text in dates):
        found["holidays.dates"] = [f"A list of at most {MOST_DATES} dates (YYYY-MM-DD) is expected."]
    return found


def _is_date(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(date.fromisoformat(text)) and len(text) == len("2027-01-01")
    except ValueError:
        return False
