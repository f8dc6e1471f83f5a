"""What runs full, and when (contract/api.md §9.9).

Days are read for spans of more than two days, hours below. Nothing is said where nothing was measured: usage without a sample
is null, a trend below three points `insufficient_data`.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, QuerySet, Sum

from analytics.capacity import Exhaustion, Line, Point, direction, exhaustion, fit
from analytics.families import WORKLOADS
from analytics.metrics import ratio
from analytics.models import Grain, Usage
from analytics.periods import HOUR, bucket_start, moment_of, seconds_of
from analytics.services.questions import Question
from analytics.services.reading import Reader
from incidents.models import Incident
from incidents.states import ACTIVE

HOURLY = 2 * 24 * HOUR  # seconds; up to this length hours are read
URGENT, PLAN, STABLE = "urgent", "plan", "stable"
URGENCIES = {URGENT: 7.0, PLAN: 30.0}  # days until exhaustion
RANK = {URGENT: 0, PLAN: 1, STABLE: 2}
PATTERN = 28 * 24  # hours before the span that are read to tell the weekly pattern
HIGH = 80.0  # percent
ROOM = 0.2  # more than the largest sample
CLAIM = "PersistentVolumeClaim"  # its bytes are stored ones
INSUFFICIENT = "insufficient_data"
COLUMNS = (
    "namespace", "kind", "name", "start", "samples", "cpu_sum", "memory_sum", "cpu_max", "memory_max", "cpu_limit",
    "memory_limit",
)  # fmt: skip

REMEMBERED = 16  # series per process
# samples are only ever added to a row or removed with it, so rows with these sums are the same ones
CHECKED = {
    **{f"total_{name}": Sum(name) for name in COLUMNS[3:]},
    "rows": Count("pk"),
    "cpu_limited": Count("cpu_limit"),
    "memory_limited": Count("memory_limit"),
}

Members = dict[str, Any]
Thing = tuple[str, str, str]  # namespace, kind, name
Number = int | None
_remembered: dict[Any, dict[Thing, "Series"]] = {}


@dataclass(slots=True)
class Bucket:
    """The usage of one resource in one hour or day, over all clusters that have it."""

    cpu: float = 0
    memory: float = 0
    cpu_peak: int = 0
    memory_peak: int = 0
    cpu_limit: Number = 0
    memory_limit: Number = 0

    def add(self, samples: int, values: tuple[int, int, int, int], limits: tuple[Number, Number]) -> None:
        cpu, memory, cpu_peak, memory_peak = values
        self.cpu += cpu / samples
        self.memory += memory / samples
        self.cpu_peak += cpu_peak
        self.memory_peak += memory_peak
        self.cpu_limit = None if self.cpu_limit is None or limits[0] is None else self.cpu_limit + limits[0]
        self.memory_limit = None if self.memory_limit is None or limits[1] is None else self.memory_limit + limits[1]


@dataclass(slots=True)
class Series:
    buckets: dict[int, Bucket] = field(default_factory=dict)  # by first hour, in order
    known: dict[str, tuple[Point, ...]] = field(default_factory=dict)  # what `percents` found, by resource

    @property
    def last(self) -> Bucket | None:
        return self.buckets[next(reversed(self.buckets))] if self.buckets else None

    def percents(self, resource: str) -> tuple[Point, ...]:
        """Days since 1970 and percent of the limit, where there is one."""
        if resource not in self.known:
            points = []
            for start, bucket in self.buckets.items():
                limit = getattr(bucket, f"{resource}_limit")
                if limit:
                    points.append((start / 24, round(100 * getattr(bucket, resource) / limit, 3)))
            self.known[resource] = tuple(points)
        return self.known[resource]


def forecasts(question: Question) -> list[Members]:
    """One item per resource with samples or incidents in the span: the urgent ones first."""
    first = _first(question)
    found = {thing: series for thing, series in _series(question).items() if max(series.buckets) >= first}
    for namespace, kind, name in Reader(WORKLOADS, question.span, question.where).sums(
        "total", by=("namespace", "kind", "name")
    ):
        found.setdefault((namespace, kind, name), Series())
    active = _active(question)
    items = [(thing, _forecast(thing, series, thing in active, question)) for thing, series in found.items()]
    return [item for _, item in sorted(items, key=lambda one: (RANK[one[1]["Urgency"]], one[0]))]


def _series(question: Question) -> dict[Thing, Series]:
    """The usage of every resource, remembered until there is a new sample: adding up 20,000 rows takes 0.1 s, and asking the
    database whether they are the same 5 ms.
    """
    grain = _grain(question)
    earlier = PATTERN if grain == Grain.DAY else 0
    first, last = _first(question) - earlier, question.span.upper // HOUR
    rows = question.narrow(
        Usage.objects.filter(grain=grain, start__gte=first, start__lte=last, samples__gt=0),
        cluster="cluster",
        namespace="namespace",
    )
    state = tuple(rows.aggregate(**CHECKED).values())
    key = (grain, first, last, question.where, state)
    if key not in _remembered:
        while len(_remembered) >= REMEMBERED:
            _remembered.pop(next(iter(_remembered)), None)
        _remembered[key] = _added_up(rows)
    return dict(_remembered[key])


def _added_up(rows: QuerySet[Usage]) -> dict[Thing, Series]:
    found: dict[Thing, Series] = {}
    for namespace, kind, name, start, samples, *numbers in rows.order_by("start").values_list(*COLUMNS):
        series = found.setdefault((namespace, kind, name), Series())
        bucket = series.buckets.setdefault(start, Bucket())
        bucket.add(samples, tuple(numbers[:4]), tuple(numbers[4:]))
    return found


def _active(question: Question) -> set[Thing]:
    rows = question.narrow(
        Incident.objects.filter(state__in=ACTIVE), cluster="cluster_name", namespace="namespace", severity="severity"
    )
    return set(rows.order_by().values_list("namespace", "resource_kind", "resource_name").distinct())


def _forecast(thing: Thing, series: Series, is_bottleneck: bool, question: Question) -> Members:
    namespace, kind, name = thing
    since = _first(question) / 24
    # the first point from then on instead of a moment that moves: so a line is remembered until there is a new sample
    first = min((start / 24 for start in series.buckets if start / 24 >= since), default=since)
    lines = {resource: fit(series.percents(resource), first) for resource in ("cpu", "memory")}
    ends = {resource: exhaustion(line) if line else Exhaustion(None, None, None) for resource, line in lines.items()}
    urgency = _urgency([end.days for end in ends.values() if end.days is not None])
    last, samples = series.last, sum(1 for start in series.buckets if start / 24 >= since)
    return {
        "Resource": {"Kind": kind, "Name": name, "Namespace": namespace},
        "Urgency": urgency,
        "Recommendation": _recommendation(kind, series, lines, ends),
        "IsBottleneck": is_bottleneck,
        "CurrentUsage": {
            "CPUMillicores": int(last.cpu) if last else None,
            "MemoryBytes": int(last.memory) if last else None,
        },
        "Limits": {
            "CPUMillicores": (last.cpu_limit or None) if last else None,
            "MemoryBytes": (last.memory_limit or None) if last else None,
        },
        "UsagePercentage": {"CPU": _last(series, "cpu"), "Memory": _last(series, "memory")},
        "Trend": _trend(lines),
        "Forecast": _exhaustions(lines, ends, question),
        "Quality": {
            "Samples": samples,
            "Coverage": ratio(samples, _expected(question)),
            "CPUBacktestError": _error(lines["cpu"]),
            "MemoryBacktestError": _error(lines["memory"]),
        },
    }


def _grain(question: Question) -> int:
    return int(Grain.HOUR if question.span.length <= HOURLY + 1 else Grain.DAY)


def _first(question: Question) -> int:
    """The first hour of the first bucket: the day in which the span begins counts whole."""
    return bucket_start(question.span.lower // HOUR, _grain(question))


def _expected(question: Question) -> int:
    """How many buckets there would be without a gap, up to now."""
    last = min(question.span.upper - 1, seconds_of(question.at)) // HOUR
    return max(0, (last - _first(question)) // _grain(question) + 1)


def _last(series: Series, resource: str) -> float | None:
    points = series.percents(resource)
    return round(points[-1][1], 1) if points else None


def _error(line: Line | None) -> float | None:
    return None if line is None or line.error is None else round(line.error, 1)


def _urgency(days: list[float]) -> str:
    soonest = min(days, default=None)
    if soonest is None:
        return STABLE
    if soonest < URGENCIES[URGENT]:
        return URGENT
    return PLAN if soonest <= URGENCIES[PLAN] else STABLE


def _trend(lines: dict[str, Line | None]) -> Members:
    known = [line.slope for line in lines.values() if line is not None]
    slopes = {resource: round(line.slope, 2) if line else 0.0 for resource, line in lines.items()}
    return {
        "CPUTrendPerDay": slopes["cpu"],
        "MemoryTrendPerDay": slopes["memory"],
        "Direction": direction(known) if known else INSUFFICIENT,
    }


def _exhaustions(lines: dict[str, Line | None], ends: dict[str, Exhaustion], question: Question) -> Members:
    members: Members = {}
    for resource, prefix in (("cpu", "CPU"), ("memory", "Memory")):
        end, line = ends[resource], lines[resource]
        since = moment_of(int(line.at * 24) * HOUR) if line else question.at

        def on(days: float | None, since: Any = since) -> Any:
            # what is full by the line already is full now
            return None if days is None else max(since + timedelta(days=days), question.at)

        date = on(end.days)
        members[f"{prefix}ExhaustionDate"] = date
        members[f"{prefix}ExhaustionEarliest"] = on(end.earliest)
        members[f"{prefix}ExhaustionLatest"] = on(end.latest)
        members[f"DaysUntil{prefix}Exhaustion"] = (date - question.at).days if date else 0
    return members


def _recommendation(kind: str, series: Series, lines: dict[str, Line | None], ends: dict[str, Exhaustion]) -> str:
    soonest = min(((end.days, resource) for resource, end in ends.items() if end.days is not None), default=(None, ""))
    days, resource = soonest
    word = "CPU" if resource == "cpu" else "Volume" if kind == CLAIM else "Memory"
    if days is not None and days < URGENCIES[URGENT]:
        return f"{word} reaches its limit in about {round(days)} days; raise it now{_headroom(series, resource)}"
    if days is not None and days <= URGENCIES[PLAN]:
        return f"{word} reaches its limit in about {round(days)} days; plan more capacity{_headroom(series, resource)}"
    if not any(lines.values()):
        return "Not enough measurements to say anything"
    high = [resource for resource in lines if (_last(series, resource) or 0) > HIGH]
    if high:
        return f"More than {HIGH:.0f} % of the limit is used; raise it before it is needed{_headroom(series, high[0])}"
    return "Nothing to do"


def _headroom(series: Series, resource: str) -> str:
    """A limit with room above the largest sample of the span."""
    peak = max(getattr(bucket, f"{resource}_peak") for bucket in series.buckets.values())
    wanted = peak * (1 + ROOM)
    return f" (to about {wanted:.0f}m)" if resource == "cpu" else f" (to about {wanted / 2**20:.0f}Mi)"
