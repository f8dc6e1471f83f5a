"""Keeps the roll-ups: makes them again, hour by hour, where raw rows changed; proves that they say what the rows say.

An hour is always made from scratch, so doing it twice changes nothing. The day and the week are added up from what they
consist of. What is left to do stands in the queue of outdated hours; a change that commits while we work is in the queue
again, since only the entries that we saw are taken out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from django.db import connection, transaction
from django.db.models import Max, Min

from analytics import bulk, cells
from analytics.cells import Cells
from analytics.families import FAMILIES, Family
from analytics.models import Grain, OutdatedHour
from analytics.periods import HOUR, Span, bucket_start, seconds_of
from analytics.services.reading import Reader

HOUR_LONG, DAY, WEEK = int(Grain.HOUR), int(Grain.DAY), int(Grain.WEEK)
LOCK = 0x616E616C  # of the one who changes roll-ups; any number nobody else uses
TAKE = 50_000  # queue entries of one day and family that are taken at once


def refresh(*, limit: int = 100) -> int:
    """Bring up to date at most `limit` days (of one family each), the newest first; returns how many it were."""
    done = 0
    while done < limit:
        newest = OutdatedHour.objects.order_by("-hour", "family").values_list("family", "hour").first()
        if newest is None or not _refresh_day(FAMILIES[newest[0]], bucket_start(newest[1], DAY)):
            break
        done += 1
    return done


@transaction.atomic
def _refresh_day(family: Family, day: int) -> bool:
    if not _lock():
        return False  # somebody else is at it
    queue = OutdatedHour.objects.filter(family=family.key, hour__gte=day, hour__lt=day + DAY)
    entries = list(queue.values_list("pk", "hour")[:TAKE])
    _make_day(family, day, {hour for _, hour in entries})
    _make_week(family, bucket_start(day, WEEK))
    OutdatedHour.objects.filter(pk__in=[pk for pk, _ in entries]).delete()
    return True


def _lock() -> bool:
    """Exactly one transaction changes roll-ups. In SQLite only one transaction writes anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")  # compiling the many sums takes longer than adding them up
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def rebuild() -> int:
    """Make all roll-ups again; returns the number of days. Readers see each day change at once."""
    days = 0
    for family in FAMILIES.values():
        weeks: dict[int, list[int]] = defaultdict(list)
        for day in _days(family):
            weeks[bucket_start(day, WEEK)].append(day)
        for week, its_days in sorted(weeks.items()):
            with transaction.atomic():
                _wait_for_lock()
                for day in its_days:
                    outdated = OutdatedHour.objects.filter(family=family.key, hour__gte=day, hour__lt=day + DAY)
                    seen = outdated.aggregate(Max("pk"))["pk__max"]
                    _make_day(family, day, set(range(day, day + DAY)))
                    outdated.filter(pk__lte=seen or 0).delete()
                _make_week(family, week)
            days += len(its_days)
    return days


def _wait_for_lock() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL jit = off")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def differences() -> Iterator[str]:
    """One sentence per bucket that does not say what the raw rows say; nothing when all do.

    Outdated hours, and the days and weeks around them, are left out: reports do not use them.
    """
    for family in FAMILIES.values():
        outdated = set(
            OutdatedHour.objects.filter(family=family.key).order_by().values_list("hour", flat=True).distinct()
        )
        weeks: dict[int, list[Cells]] = defaultdict(list)
        for day in _days(family):
            hours = _count(family, set(range(day, day + DAY)))
            for hour in range(day, day + DAY):
                expected = cells.with_totals(family, hours.get(hour, {}), HOUR_LONG)
                if hour not in outdated and expected != _stored(family, HOUR_LONG, hour):
                    yield f"{family.key}: hour {hour} differs"
            whole = cells.merge(family, (part for one in hours.values() for part in one.items()))
            weeks[bucket_start(day, WEEK)].append(whole)
            if _is_wrong(family, DAY, day, whole, outdated):
                yield f"{family.key}: day {day // DAY} differs"
        for week, parts in sorted(weeks.items()):
            whole = cells.merge(family, (part for one in parts for part in one.items()))
            if _is_wrong(family, WEEK, week, whole, outdated):
                yield f"{family.key}: week from hour {week} differs"


def _is_wrong(family: Family, grain: int, start: int, whole: Cells, outdated: set[int]) -> bool:
    if not outdated.isdisjoint(range(start, start + grain)):
        return False
    return cells.with_totals(family, whole, grain) != _stored(family, grain, start)


def _days(family: Family) -> list[int]:
    """First hours of the days that have raw rows or roll-ups, in order. Days in between may have neither."""
    days = set(
        family.rollup._default_manager.filter(grain=Grain.DAY).order_by().values_list("start", flat=True).distinct()
    )
    weeks = (
        family.rollup._default_manager.filter(grain=Grain.WEEK).order_by().values_list("start", flat=True).distinct()
    )
    for week in weeks:
        days.update(range(week, week + WEEK, DAY))
    limits = family.rows().aggregate(first=Min(family.time), last=Max(family.time))
    if limits["first"] is not None:
        first, last = (bucket_start(seconds_of(limits[name]) // HOUR, DAY) for name in ("first", "last"))
        days.update(range(first, last + DAY, DAY))
    return sorted(days)


def _count(family: Family, hours: set[int]) -> dict[int, Cells]:
    """The finest cells of these hours, counted from the raw rows."""
    found: dict[int, Cells] = defaultdict(dict)
    by = tuple(family.dimensions)
    width = len(family.measures)
    for lower, upper in _runs(hours):
        reader = Reader(family, Span(lower * HOUR, upper * HOUR))
        for (*key, hour), sums in reader.count_raw(by).items():
            found[hour][tuple(key)] = [*sums.values(), *({} for _ in family.timings)]
        for (*key, hour), counted in reader.histograms_per_hour(by).items():
            if cell := found[hour].get(tuple(key)):  # else its row changed since: the hour is in the queue again
                cell[width:] = counted
    return found


def _runs(hours: Iterable[int]) -> list[tuple[int, int]]:
    """Neighboring hours joined to (first, end)."""
    runs: list[tuple[int, int]] = []
    for hour in sorted(hours):
        if runs and runs[-1][1] == hour:
            runs[-1] = (runs[-1][0], hour + 1)
        else:
            runs.append((hour, hour + 1))
    return runs


def _make_hours(family: Family, hours: set[int]) -> dict[int, Cells]:
    """Make these hours again; returns their finest cells."""
    counted = _count(family, hours)
    for first, end in _runs(hours):
        family.rollup._default_manager.filter(grain=HOUR_LONG, start__gte=first, start__lt=end).delete()
    _write(
        family,
        HOUR_LONG,
        {hour: cells.with_totals(family, found, HOUR_LONG) for hour, found in counted.items()},
    )
    return {hour: counted.get(hour, {}) for hour in hours}


def _make_day(family: Family, day: int, hours: set[int]) -> None:
    """Make the day again in which `hours` changed."""
    counted = _make_hours(family, hours)
    rest = set(range(day, day + DAY)) - set(counted)
    kept = (part for first, end in _runs(rest) for part in _finest(family, HOUR_LONG, first, end))
    _make_sum(family, DAY, day, chain((part for found in counted.values() for part in found.items()), kept))


def _make_week(family: Family, week: int) -> None:
    _make_sum(family, WEEK, week, _finest(family, DAY, week, week + WEEK))


def _make_sum(family: Family, grain: int, start: int, parts: Iterable[tuple[cells.Key, cells.Cell]]) -> None:
    """A longer bucket is the sum of the shorter ones in it."""
    whole = cells.merge(family, parts)
    family.rollup._default_manager.filter(grain=grain, start=start).delete()
    _write(family, grain, {start: cells.with_totals(family, whole, grain)})


def _finest(family: Family, grain: int, first: int, end: int) -> Iterator[tuple[cells.Key, cells.Cell]]:
    rows = family.rollup._default_manager.filter(grain=grain, start__gte=first, start__lt=end).order_by()
    for values in rows.values_list(*cells.columns(family)[2:]):
        key, cell = cells.from_row(family, values)
        if cells.is_finest(key):
            yield key, cell


def _stored(family: Family, grain: int, start: int) -> Cells:
    rows = family.rollup._default_manager.filter(grain=grain, start=start).order_by()
    return dict(cells.from_row(family, values) for values in rows.values_list(*cells.columns(family)[2:]))


def _write(family: Family, grain: int, buckets: dict[int, Cells]) -> None:
    rows = (
        cells.row(family, grain, start, key, cell) for start, found in buckets.items() for key, cell in found.items()
    )
    bulk.insert(family.rollup, cells.columns(family), rows)
