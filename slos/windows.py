"""The span of time that an SLO is about: rolling, or a period of the calendar in a time zone. Pure."""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MONTHS = {"month": 1, "quarter": 3, "year": 12}
DAYS = {"day": 1, "week": 7}
_PART = re.compile(r"(\d+)([smhdw])")
_START = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Window:
    """(start, end]; `at` is the moment of the look: the end of a rolling window, inside a calendar period."""

    start: datetime
    end: datetime
    at: datetime
    is_calendar: bool = False

    @property
    def length(self) -> timedelta:
        """The whole period: what a budget is a share of. A day of the calendar may have 23 or 25 hours."""
        return self.end - self.start

    @property
    def elapsed(self) -> timedelta:
        return self.at - self.start

    @property
    def ideal_remaining(self) -> float:
        """The share of the budget that is left in a calendar period if it is spent evenly; 1 for a rolling window."""
        return 1 - self.elapsed / self.length if self.is_calendar else 1.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """Periods of `count` units. `start` (in the zone, `YYYY-MM-DD hh:mm:ss`) anchors them; empty: where the unit begins."""

    unit: str
    count: int = 1
    start: str = ""
    time_zone: str = "UTC"


def parse(text: str) -> timedelta:
    """`5m`, `1h30m`, `3d`. Raises `ValueError` for anything else and for nothing."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 5m, 1h or 30d")
    length = timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))
    if not length:
        raise ValueError(f"{text!r} is empty")
    return length


def spell(length: timedelta) -> str:
    """The shortest single unit that says it exactly, hours up to three days: `5m`, `24h`, `30d`."""
    seconds = round(length.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0 and (unit != "d" or seconds > 3 * 86400):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def rolling(length: timedelta, at: datetime) -> Window:
    return Window(start=at - length, end=at, at=at)


def period(definition: Calendar, at: datetime) -> Window:
    """The calendar period that contains `at`. Raises `ValueError` for an unknown unit, zone or start."""
    zone = _zone(definition.time_zone)
    local = at.astimezone(zone).replace(tzinfo=None)
    anchor = _anchor(definition, local)
    step = _estimate(definition, anchor, local)
    # the estimate is at most one period off: days of a month differ, and wall clocks jump
    while _begin(definition, anchor, step, zone) > at:
        step -= 1
    while _begin(definition, anchor, step + 1, zone) <= at:
        step += 1
    begin, end = (_begin(definition, anchor, number, zone) for number in (step, step + 1))
    return Window(start=begin, end=end, at=at, is_calendar=True)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone") from error


def _anchor(definition: Calendar, local: datetime) -> datetime:
    """Where period 0 begins, by the wall clock."""
    if definition.start:
        try:
            return datetime.strptime(definition.start, _START)
        except ValueError as error:
            raise ValueError(f"{definition.start!r} is no time such as 2027-01-31 00:00:00") from error
    if definition.unit in MONTHS:
        return datetime(local.year, 1, 1)
    monday = datetime(2001, 1, 1)
    if definition.unit in DAYS:
        return monday
    raise ValueError(f"{definition.unit!r} is no unit of a calendar window")


def _estimate(definition: Calendar, anchor: datetime, local: datetime) -> int:
    if definition.unit in MONTHS:
        months = (local.year - anchor.year) * 12 + local.month - anchor.month
        return months // (MONTHS[definition.unit] * definition.count)
    if definition.unit in DAYS:
        return (local - anchor).days // (DAYS[definition.unit] * definition.count)
    raise ValueError(f"{definition.unit!r} is no unit of a calendar window")


def _begin(definition: Calendar, anchor: datetime, step: int, zone: ZoneInfo) -> datetime:
    if definition.unit in MONTHS:
        wall = add_months(anchor, step * definition.count * MONTHS[definition.unit])
    else:
        wall = anchor + timedelta(days=step * definition.count * DAYS[definition.unit])
    return wall.replace(tzinfo=zone).astimezone(UTC)


def add_months(moment: datetime, months: int) -> datetime:
    """Calendar arithmetic: January 31 and one month is the last day of February."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
