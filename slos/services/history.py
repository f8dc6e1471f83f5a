"""Stores slices, and the hours and days that they add up to.

Sums are always written as a whole, computed from what lies below them, and never counted up: measuring a range again, as a
catch-up after an outage or a late sample makes necessary, changes nothing that was right.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Q, QuerySet

from slos import objectives
from slos.models import SLO, DailyHistory, Exclusion, HourlyHistory, Measurement
from slos.services import planned
from slos.slices import HOUR, Grid, Slice, Sums, Timeline, add_up, hour_of, moment, seconds
from slos.windows import Window

FINE = timedelta(hours=72)  # windows up to here are cut to the minute, longer ones to the hour
KEPT_HOURS = 74  # of slices that an evaluation reads: three days, the hour at either end
KEEP_SLICES = timedelta(days=4)
KEEP_HOURS = timedelta(days=100)
DAY = timedelta(days=1)
COLUMNS = ("good", "total", "excluded_good", "excluded_total", "slices", "value_sum", "value_count")
Spans = Sequence[tuple[int, int]]


@dataclass(slots=True)
class Written:
    """What one SLO's measurements were written to: its slices of late, and the days that changed with their slices."""

    timeline: Timeline
    days: dict[date, list[Slice]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """New slices of one SLO; `older` ones are kept as sums of hours only."""

    slo: SLO
    grid: Grid
    end: int
    recent: Sequence[Slice]
    older: Sequence[Slice] = ()
    excluded: Spans = ()


def first_kept(end: int) -> int:
    """The beginning of the first hour whose slices are kept one by one."""
    return hour_of(end) - (KEPT_HOURS - 1) * 3600


def load(slos: Mapping[int, int]) -> dict[int, Timeline]:
    """The slices of late. `slos` maps keys of SLOs to the last end; one query."""
    if not slos:
        return {}
    firsts = {pk: first_kept(end) for pk, end in slos.items()}
    packed: dict[int, dict[int, bytes]] = defaultdict(dict)
    rows = Measurement.objects.filter(slo__in=firsts, hour__gte=moment(min(firsts.values()))).order_by()
    for pk, hour, slices in rows.values_list("slo_id", "hour", "slices"):
        packed[pk][seconds(hour)] = bytes(slices)
    return {pk: Timeline.load(first, KEPT_HOURS, packed[pk]) for pk, first in firsts.items()}


def write(batch: Sequence[Measured]) -> dict[int, Written]:
    """Store the measurements of a batch; by key of the SLO what became of them. Six statements for any number of SLOs."""
    timelines = load({item.slo.pk: item.end for item in batch})
    measurements: list[Measurement] = []
    hours: list[HourlyHistory] = []
    found: dict[int, Written] = {}
    for item in batch:
        timeline = timelines[item.slo.pk]
        timeline.put(item.recent)
        measurements += [
            Measurement(slo=item.slo, hour=moment(hour), slices=timeline.pack(hour))
            for hour in sorted(timeline.touched)
        ]
        by_hour = _by_hour(item, timeline)
        hours += [_hour(item, hour, slices) for hour, slices in by_hour.items()]
        found[item.slo.pk] = Written(timeline, _by_day(by_hour))
    _upsert(Measurement, measurements, "hour", ("slices",))
    _upsert(HourlyHistory, hours, "hour", COLUMNS)
    _write_days({pk: set(written.days) for pk, written in found.items()})
    return found


def _by_hour(item: Measured, timeline: Timeline) -> dict[int, list[Slice]]:
    by_hour: dict[int, list[Slice]] = defaultdict(list)
    for one in item.older:
        if item.grid.whole(one.end):
            by_hour[hour_of(one.end)].append(one)
    for hour in timeline.touched:
        by_hour[hour] = timeline.slices(hour, item.grid)
    return by_hour


def _by_day(by_hour: Mapping[int, Sequence[Slice]]) -> dict[date, list[Slice]]:
    days: dict[date, list[Slice]] = defaultdict(list)
    for hour, slices in by_hour.items():
        days[moment(hour).date()] += slices
    return days


def _hour(item: Measured, hour: int, slices: Iterable[Slice]) -> HourlyHistory:
    sums = add_up(slices, item.grid, item.excluded)
    return HourlyHistory(slo=item.slo, hour=moment(hour), **{name: getattr(sums, name) for name in COLUMNS})


def _upsert(
    model: type[Measurement] | type[HourlyHistory] | type[DailyHistory],
    rows: Sequence[Measurement | HourlyHistory | DailyHistory],
    unit: str,
    columns: Sequence[str],
) -> None:
    model._default_manager.bulk_create(
        rows,  # type: ignore[arg-type]
        batch_size=500,
        update_conflicts=True,
        unique_fields=["slo", unit],
        update_fields=list(columns),
    )


def _write_days(touched: Mapping[int, Collection[date]]) -> None:
    """Add the hours of these days up."""
    days = {day for some in touched.values() for day in some}
    if not days:
        return
    sums: dict[tuple[int, date], Sums] = defaultdict(Sums)
    rows = HourlyHistory.objects.filter(
        slo__in=touched, hour__gte=_midnight(min(days)), hour__lt=_midnight(max(days) + DAY)
    ).order_by()
    for pk, hour, *values in rows.values_list("slo_id", "hour", *COLUMNS):
        day = hour.astimezone(UTC).date()
        if day in touched[pk]:
            sums[pk, day].add(Sums(*values))
    _upsert(
        DailyHistory,
        [
            DailyHistory(slo_id=pk, day=day, **{name: getattr(total, name) for name in COLUMNS})
            for (pk, day), total in sums.items()
        ],
        "day",
        COLUMNS,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


# --- reading ---------------------------------------------------------------------------------------------------------


def totals(windows: Mapping[int, Window]) -> dict[int, Sums]:
    """What the windows hold, by key of the SLO. Two queries."""
    found: dict[int, Sums] = {pk: Sums() for pk in windows}
    for pk, _, sums in _parts(windows):
        found[pk].add(sums)
    return found


def spread(slo: SLO, window: Window, *, by_hour: bool) -> Iterator[tuple[datetime, Sums]]:
    """What the sums of the window are made of, as (beginning of the hour or day, part of the sums)."""
    slices = _slices(slo, window) if window.elapsed <= FINE else []
    if slices:  # else it was measured too long ago: only sums are left
        grid = objectives.grid(slo)
        spans = exclusions([slo], window.start, window.at)[slo.pk]
        yield from ((moment(hour_of(one.end)), add_up([one], grid, spans)) for one in slices)
        return
    yield from ((beginning, sums) for _, beginning, sums in _parts({slo.pk: window}, by_hour=by_hour))


def _slices(slo: SLO, window: Window) -> list[Slice]:
    end = seconds(window.at)
    return load({slo.pk: end})[slo.pk].cut(end, window.elapsed, objectives.grid(slo))


def _parts(windows: Mapping[int, Window], *, by_hour: bool = False) -> Iterator[tuple[int, datetime, Sums]]:
    """(key of the SLO, beginning, sums) of days and, where a window begins inside a day, of hours; `by_hour`: of all hours.

    Of the hour in which a window begins, the share that lies in it is taken: bad time leaves a rolling window bit by bit.
    """
    if not windows:
        return
    first_days = {pk: window.start.astimezone(UTC).date() for pk, window in windows.items()}
    with_hours: set[tuple[int, date]] = set()
    for pk, hour, *values in _hours(windows, first_days, by_hour).values_list("slo_id", "hour", *COLUMNS):
        with_hours.add((pk, hour.astimezone(UTC).date()))
        share = min(1.0, (hour + HOUR - windows[pk].start) / HOUR)
        if share > 0 and hour < windows[pk].at:
            yield pk, hour, Sums(*values).scaled(share)
    if by_hour:
        return
    days = DailyHistory.objects.filter(slo__in=windows, day__gte=min(first_days.values())).order_by()
    for pk, day, *values in days.values_list("slo_id", "day", *COLUMNS):
        if day < first_days[pk] or (pk, day) in with_hours:
            continue
        # the hours are forgotten after a while, the days never
        share = min(1.0, (_midnight(day + DAY) - windows[pk].start) / DAY)
        yield pk, _midnight(day), Sums(*values).scaled(share)


def _hours(windows: Mapping[int, Window], first_days: Mapping[int, date], by_hour: bool) -> QuerySet[HourlyHistory]:
    by_day: dict[date, list[int]] = defaultdict(list)
    for pk, day in first_days.items():
        by_day[day].append(pk)
    spans = Q()
    for day, some in by_day.items():
        until = Q() if by_hour else Q(hour__lt=_midnight(day + DAY))
        spans |= Q(until, slo__in=some, hour__gte=_midnight(day))
    return HourlyHistory.objects.filter(spans).order_by()


def exclusions(slos: Collection[SLO], since: datetime, until: datetime) -> dict[int, list[tuple[int, int]]]:
    """The planned maintenance of each SLO between the two times, as spans of seconds. Two queries."""
    found = planned.spans(slos, since, until)
    rows = (
        Exclusion.objects.filter(ends_at__gt=since)
        .filter(Q(slo__in=slos) | Q(slo=None, namespace__in={slo.namespace for slo in slos}))
        .order_by("starts_at", "pk")
        .values_list("slo_id", "namespace", "starts_at", "ends_at")
    )
    for pk, namespace, start, end in rows:
        for slo in slos:
            if pk == slo.pk or (pk is None and namespace == slo.namespace):
                found[slo.pk].append((seconds(start), seconds(end)))
    return found


def recompute(*, slo: SLO, grid: Grid, start: datetime, at: datetime) -> None:
    """Add the hours since `start` up again, after maintenance was planned or called off; those whose slices are kept."""
    end = seconds(at)
    line = load({slo.pk: end})[slo.pk]
    first = max(line.first_hour, hour_of(seconds(start) + 1))
    slices = [one for hour in range(first, hour_of(end) + 1, 3600) for one in line.slices(hour, grid)]
    spans = exclusions([slo], start - KEEP_SLICES, at)[slo.pk]
    write([Measured(slo, grid, end, recent=slices, excluded=spans)])


def forget(*, at: datetime, batch: int = 20_000) -> int:
    """Drop slices and hours that no window looks at any more; returns how many rows went."""
    gone = 0
    for model, keep in ((Measurement, KEEP_SLICES), (HourlyHistory, KEEP_HOURS)):
        old = model._default_manager.filter(hour__lt=at - keep).order_by("hour").values("pk")[:batch]
        gone += model._default_manager.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]
    return gone
