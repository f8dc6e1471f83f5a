"""Just enough of cron to know when a CronJob should have run: five fields, names, steps, macros and a time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    name: at
    for at, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1
    )
}
_DAYS = {name: at for at, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_ZONE = re.compile(r"^(?:CRON_)?TZ=(\S+)\s+(.*)$")
_EVERY = re.compile(r"^@every ((?:\d{1,6}h)?(?:\d{1,6}m)?(?:\d{1,6}s)?)$")
_PARTS = re.compile(r"(\d+)([hms])")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_MAX_LENGTH = 200
_HORIZON_DAYS = 366 * 5  # a 29 February is at most that far away, save around 2100


class InvalidSchedule(ValueError):
    """The schedule or its time zone does not parse."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule; days match by day of month or of week when both are restricted, as cron has it."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    zone: tzinfo
    every: timedelta | None = None

    def runs_on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_date = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        return (by_date or by_weekday) if self.either_day else (by_date and by_weekday)

    def previous(self, before: datetime) -> datetime | None:
        """The newest run strictly before `before`; None if the schedule never fires (30 February)."""
        if self.every is not None:
            return before - self.every
        local = before.astimezone(self.zone).replace(tzinfo=None)
        hours, minutes = sorted(self.hours, reverse=True), sorted(self.minutes, reverse=True)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_HORIZON_DAYS):
            if self.runs_on(day):
                for hour in hours:
                    for minute in minutes:
                        moment = day.replace(hour=hour, minute=minute)
                        if moment < local:
                            return moment.replace(tzinfo=self.zone).astimezone(UTC)
            day -= timedelta(days=1)
        return None


def parse_schedule(text: str, time_zone: str = "") -> Schedule:
    """Read a CronJob's `schedule` and `timeZone`. Raises InvalidSchedule."""
    text = text.strip()
    if not text or len(text) > _MAX_LENGTH:
        raise InvalidSchedule("empty or too long")
    prefixed = _ZONE.match(text)
    if prefixed:
        time_zone, text = prefixed.group(1), prefixed.group(2).strip()
    zone = _zone(time_zone)
    interval = _EVERY.match(text)
    if interval and interval.group(1):
        seconds = sum(int(count) * _SECONDS[unit] for count, unit in _PARTS.findall(interval.group(1)))
        if seconds <= 0:
            raise InvalidSchedule("interval of zero")
        nothing: frozenset[int] = frozenset()
        every = timedelta(seconds=seconds)
        return Schedule(nothing, nothing, nothing, nothing, nothing, either_day=False, zone=zone, every=every)
    parts = _MACROS.get(text.lower(), text).split()
    if len(parts) != 5:
        raise InvalidSchedule(f"{len(parts)} fields instead of 5")
    weekdays = _field(parts[4], 0, 7, _DAYS)
    return Schedule(
        minutes=_field(parts[0], 0, 59),
        hours=_field(parts[1], 0, 23),
        days=_field(parts[2], 1, 31),
        months=_field(parts[3], 1, 12, _MONTHS),
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=parts[2][0] not in "*?" and parts[4][0] not in "*?",
        zone=zone,
    )


def _zone(name: str) -> tzinfo:
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidSchedule(f"unknown time zone {name[:64]}") from error


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    chosen: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, 1, 10_000, {}) if slash else 1
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, low, high, names or {})
            last = _number(end, low, high, names or {}) if dash else (high if slash else first)
        if first > last:
            raise InvalidSchedule(f"range {span} runs backwards")
        chosen.update(range(first, last + 1, step))
    return frozenset(chosen)


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    known = names.get(text.lower())
    if known is not None:
        return known
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or not low <= int(text) <= high:
        raise InvalidSchedule(f"{text!r} is not a number from {low} to {high}")
    return int(text)
