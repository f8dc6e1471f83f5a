"""How much of a budget each incident burned: what was bad while it lasted, shared among those that overlap."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet, Sum

from slos import objectives
from slos.figures import MINUTE_DIGITS, VALUE_DIGITS
from slos.models import SLO, Attribution
from slos.services.history import Written
from slos.slices import MINUTE, Slice, Sums, seconds
from slos.sources.incidents import Interval, Outage
from slos.windows import Window

DAY = 86_400
MOST = 1_000  # rows per statement
MOST_SHOWN = 100  # incidents of an SLO, SLOs of an incident
SHARE_DIGITS = 6


def write(
    looks: Sequence[tuple[SLO, Window, Sums, Written, int]], outages: Mapping[int, Sequence[Outage]], at: datetime
) -> None:
    """Compute the shares of the days that were measured just now anew. Three statements at most."""
    rows: list[Attribution] = []
    touched: dict[int, set[date]] = {}
    for slo, window, official, written, end in looks:
        if not official.total > 0:
            continue
        touched[slo.pk] = set(written.days)
        known = outages.get(slo.pk, ())
        judged = window.elapsed if window.is_calendar else window.length
        minutes_per_bad = judged / timedelta(minutes=1) / official.total
        for day, slices in written.days.items() if known else ():
            whole = _whole_day(slo, day, slices, written, end)
            for pk, bad in _share(whole, objectives.grid(slo).width, known, at).items():
                rows.append(
                    Attribution(slo=slo, incident_id=pk, day=day, bad=bad, minutes=bad * minutes_per_bad, updated_at=at)
                )
    _forget_others(touched, {(row.slo_id, row.incident_id, row.day) for row in rows})
    Attribution.objects.bulk_create(
        rows,
        batch_size=MOST,
        update_conflicts=True,
        unique_fields=["slo", "incident", "day"],
        update_fields=["bad", "minutes", "updated_at"],
    )


def _forget_others(touched: Mapping[int, Collection[date]], kept: Collection[tuple[int, int, date]]) -> None:
    """Drop the shares of incidents that count no more: they turned out to be experiments, or were shorter."""
    days = {day for some in touched.values() for day in some}
    rows = Attribution.objects.filter(slo__in=touched, day__in=days).order_by()
    stale = [
        pk
        for pk, slo, incident, day in rows.values_list("pk", "slo_id", "incident_id", "day")
        if day in touched[slo] and (slo, incident, day) not in kept
    ]
    if stale:
        Attribution.objects.filter(pk__in=stale).delete()


def _whole_day(slo: SLO, day: date, touched: Sequence[Slice], written: Written, end: int) -> list[Slice]:
    """The slices of the day: what was measured just now, and what is still kept of its other hours."""
    begin = seconds(datetime.combine(day, time(), tzinfo=UTC))
    grid = objectives.grid(slo)
    kept = [
        one
        for hour in range(max(begin, written.timeline.first_hour), min(begin + DAY, end), 3600)
        for one in written.timeline.slices(hour, grid)
    ]
    known = {one.end for one in kept}
    return [*(one for one in touched if one.end not in known), *kept]


def _share(slices: Iterable[Slice], width: int, outages: Sequence[Outage], at: datetime) -> dict[int, float]:
    intervals: list[tuple[int, Interval]] = [(outage.pk, outage.interval(at)) for outage in outages]
    shares: dict[int, float] = defaultdict(float)
    for end, good, total, _ in slices:
        bad = total - good
        if bad <= 0:
            continue
        during = [pk for pk, (start, stop) in intervals if start < end and end - max(width, MINUTE) < stop]
        for pk in during:
            shares[pk] += bad / len(during)
    return shares


def of_slo(*, slo: SLO, since: datetime) -> list[dict[str, Any]]:
    """The incidents that burned the budget, the worst first: `{incident, minutes, share}`; a share of 1 is all of it."""
    rows = Attribution.objects.filter(slo=slo, day__gte=since.date()).order_by()
    sums = rows.values_list("incident__name").annotate(minutes=Sum("minutes")).order_by("-minutes", "incident__name")
    return [
        {
            "incident": name,
            "minutes": round(minutes, MINUTE_DIGITS),
            "share": round(minutes / slo.budget_total, SHARE_DIGITS) if slo.budget_total else None,
        }
        for name, minutes in sums[:MOST_SHOWN]
    ]


def burned(incident: Any) -> QuerySet[Any, Any]:
    """The budgets that an incident burned, the worst first: what `shown` makes figures of. `incident` may be an expression."""
    return (
        Attribution.objects.filter(incident=incident)
        .order_by()
        .values("slo__name", "slo__namespace", "slo__budget_total")
        .annotate(minutes=Sum("minutes"))
        .order_by("-minutes", "slo__name", "slo__namespace")[:MOST_SHOWN]
    )


def shown(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `burned` in the words of the contract: `{slo, namespace, minutes, percent}`, the worst first."""
    return [
        {
            "slo": row["slo__name"],
            "namespace": row["slo__namespace"],
            "minutes": round(row["minutes"], MINUTE_DIGITS),
            "percent": round(100 * row["minutes"] / total, VALUE_DIGITS)
            if (total := row["slo__budget_total"])
            else None,
        }
        for row in rows
    ]
