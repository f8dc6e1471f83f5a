"""When a report schedule runs. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

CATCH_UP = 10_000  # runs looked through for the newest that was missed; of more, the next sweep finds the rest


def complaint(cron: str, time_zone: str, *, at: datetime) -> dict[str, list[str]]:
    """What is wrong: member → reasons; empty when the schedule can be used."""
    if not is_zone(time_zone):
        return {"timeZone": ["Is no IANA time zone."]}
    if next_run(cron, time_zone, after=at) is None:
        return {"cron": ["Five fields of cron that come true some day are expected, for example 0 7 * * mon."]}
    return {}


def is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def next_run(cron: str, time_zone: str, *, after: datetime) -> datetime | None:
    """The first run after that moment, UTC; None when there is none or the expression is no cron."""
    return next(_runs(cron, time_zone, after), None)


def newest_run(cron: str, time_zone: str, *, due_at: datetime, at: datetime) -> datetime:
    """Of the runs from `due_at` until `at` the last one: what was missed is caught up once."""
    newest = due_at
    for run in islice(_runs(cron, time_zone, due_at), CATCH_UP):
        if run > at:
            break
        newest = run
    return newest


def _runs(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """In the zone's own time, so that 7:00 stays 7:00 when the clocks change."""
    try:
        if len(cron.split()) == 5:  # the library knows a sixth field, for seconds
            for run in CronSim(cron, after.astimezone(ZoneInfo(time_zone))):
                yield run.astimezone(UTC)
    except CronSimError:
        return
