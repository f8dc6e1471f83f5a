"""How long it takes to notice and to mend (contract/api.md §9.3, §9.4).

Percentiles are exact for up to `EXACT` samples, which are read one by one; beyond, they come from the histograms of the
roll-ups and are at most 0.8 % off, those of phases always and at most 3.1 % (analytics.histograms). `errorBound` says which.
"""

from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count

from analytics import histograms
from analytics.families import INCIDENTS, NO_DRILL, PLAN_FAMILY, Seconds
from analytics.histograms import Histogram
from analytics.metrics import Distribution, change, mean, nearest_rank, ratio, survival_median
from analytics.models import Grain
from analytics.periods import DAY, HOUR, Span, date_of, moment_of, seconds_of
from analytics.services.questions import Question
from analytics.services.reading import Key, Reader, Where
from incidents.models import Incident
from incidents.states import IncidentState, Severity

EXACT = 5_000
MONTHS = 24  # after the first incident that are searched for a baseline
PHASES = {
    "detection": "first signal until detection",
    "analysis": "detection until the first analysis",
    "approval": "waiting for a decision",
    "remediation": "the rest, until resolved",
}

Members = dict[str, Any]


def mttd(question: Question) -> Members:
    """Days newest first, and the distribution over the whole span."""
    reader = Reader(INCIDENTS, question.span, question.where)
    days = reader.sums("detect_sum", "detect_count", "total", per=DAY)
    items = [
        {
            "date": date_of(day),
            "averageSeconds": round(sums["detect_sum"] / sums["detect_count"], 1),
            "incidentCount": sums["detect_count"],
            "coverage": ratio(sums["detect_count"], sums["total"]),
        }
        for (day,), sums in sorted(days.items(), reverse=True)
        if sums["detect_count"]
    ]
    total, count, everything = (
        sum(sums[name] for sums in days.values()) for name in ("detect_sum", "detect_count", "total")
    )
    values, error = _distribution(reader, "detect_histogram", count)
    overall = _statistics(values.get((), {}), total, count)
    overall |= {"errorBound": error, "coverage": ratio(count, everything)}
    return {"mttd": items, "overall": overall}


def mttr(question: Question, *, granularity: int) -> Members:
    """`granularity`: the grain of the history."""
    reader = Reader(INCIDENTS, question.span, question.where)
    sums = reader.sums(*_MEASURES, by=("severity",))
    all_of = {name: sum(one[name] for one in sums.values()) for name in _MEASURES}
    count = all_of["resolve_count"]
    by_severity, error = _distribution(reader, "resolve_histogram", count, by=("severity",))
    ended = _merged(list(by_severity.values()))
    overall = _statistics(ended, all_of["resolve_sum"], count)
    running = _running(question, all_of["unresolved"])
    overall |= {
        "errorBound": error,
        "openIncidents": all_of["unresolved"],
        "coverage": ratio(count, count + all_of["unresolved"]),
        "kaplanMeierMedian": _span(survival_median(ended, running)),
    }
    return {
        "overall": overall,
        "bySeverity": {
            name: _of_severity(sums.get((name,), {}), by_severity.get((name,), {})) for name in Severity.values
        },
        "byPhase": _phases(reader, all_of),
        "responses": _responses(question, reader, all_of),
        "history": _history(reader, granularity),
        "improvement": _improvement(question, all_of),
    }


_MEASURES = (
    "resolve_count", "resolve_sum", "unresolved", "detection_sum", "analyzed_count", "analysis_sum", "asked_count",
    "approval_sum", "acknowledge_count", "acknowledge_sum", "detect_count",
)  # fmt: skip


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _statistics(values: Distribution, total: int, count: int) -> Members:
    return {
        "mean": mean(total, count),
        **_percentiles(values),
        "sampleSize": count,
    }


def _percentiles(values: Distribution) -> Members:
    return {name: _span(nearest_rank(values, at)) for name, at in (("median", 50), ("p95", 95), ("p99", 99))}


def _distribution(
    reader: Reader, column: str, count: int, by: tuple[str, ...] = ()
) -> tuple[dict[Key, Distribution], float]:
    """Seconds and how often they occurred, by dimensions, and the largest relative error of a value."""
    if count <= EXACT:
        return dict(reader.values(column, by=by)), 0.0
    found = reader.histograms(column, by=by)
    return {key: histograms.as_values(one) for key, (one,) in found.items()}, histograms.error()


def _merged(parts: list[Distribution]) -> Distribution:
    merged: dict[int, int] = {}
    for part in parts:
        for value, count in part.items():
            merged[value] = merged.get(value, 0) + count
    return merged


def _running(question: Question, count: int) -> Distribution:
    """How long the open incidents have lasted; for very many of them to the day, and then rather too short."""
    now = seconds_of(question.at)
    if count > EXACT:
        days = Reader(INCIDENTS, question.span, question.where).sums("unresolved", per=DAY)
        return _merged([{max(0, now - (day + DAY) * HOUR): sums["unresolved"]} for (day,), sums in days.items()])
    still = question.rows(
        Incident.objects.filter(NO_DRILL).exclude(state=IncidentState.RESOLVED),
        "detected_at", cluster="cluster_name", namespace="namespace", severity="severity",
    )  # fmt: skip
    begun = still.order_by().annotate(begun=Seconds("started_at")).values_list("begun").annotate(Count("pk"))
    return _merged([{max(0, now - at): number} for at, number in begun])


def _of_severity(sums: dict[str, int], values: Distribution) -> Members:
    count = sums.get("resolve_count", 0)
    median = timedelta(seconds=nearest_rank(values, 50))
    average = mean(sums.get("resolve_sum", 0), count)
    coverage = ratio(count, count + sums.get("unresolved", 0))
    return {"mean": average, "median": median, "count": count, "coverage": coverage}


def _phases(reader: Reader, sums: dict[str, int]) -> Members:
    """Means are over all resolved incidents, so that they add up to the mean time to resolve; `samples` are those that had the
    phase, and what the percentiles are of.
    """
    seconds = {name: sums[f"{name}_sum"] for name in ("detection", "analysis", "approval")}
    seconds["remediation"] = sums["resolve_sum"] - sum(seconds.values())
    count = sums["resolve_count"]
    samples = {"analysis": sums["analyzed_count"], "approval": sums["asked_count"]}
    found = reader.histograms(*(f"{name}_histogram" for name in PHASES)).get((), [histograms.Histogram()] * len(PHASES))
    return {
        name: _phase(description, mean(seconds[name], count), samples.get(name, count), count, histogram)
        for (name, description), histogram in zip(PHASES.items(), found, strict=True)
    }


def _responses(question: Question, reader: Reader, sums: dict[str, int]) -> Members:
    """What runs beside the phases: the first answer of a person, and the verification at the end of a plan."""
    plans = Reader(PLAN_FAMILY, question.span, question.where)
    verified = plans.total("completed", "verified_count", "verification_sum")
    answered = sums["acknowledge_count"]
    [answers], [proofs] = (
        one.histograms(column).get((), [histograms.Histogram()])
        for one, column in ((reader, "acknowledge_histogram"), (plans, "verification_histogram"))
    )
    return {
        "acknowledgement": _phase(
            "detection until a person answers",
            mean(sums["acknowledge_sum"], answered), answered, sums["detect_count"], answers,
        ),
        "verification": _phase(
            "last action of a plan until it is proved",
            mean(verified["verification_sum"], verified["verified_count"]),
            verified["verified_count"], verified["completed"], proofs,
        ),
    }  # fmt: skip


def _phase(description: str, average: timedelta, samples: int, among: int, histogram: Histogram) -> Members:
    """`among`: how many might have had the phase."""
    values = histograms.as_values(histogram, histograms.COARSE)
    return {
        "mean": average,
        **_percentiles(values),
        "description": description,
        "samples": samples,
        "coverage": ratio(samples, among),
        "errorBound": histograms.error(histograms.COARSE),
    }


def _history(reader: Reader, grain: int) -> list[Members]:
    """By the time of detection (X9.29)."""
    buckets = reader.sums("resolve_sum", "resolve_count", "unresolved", per=grain)
    return [
        {
            "date": moment_of(start * HOUR) if grain == Grain.HOUR else date_of(start),
            "mttr": mean(sums["resolve_sum"], sums["resolve_count"]),
            "incidentCount": sums["resolve_count"],
            "coverage": ratio(sums["resolve_count"], sums["resolve_count"] + sums["unresolved"]),
        }
        for (start,), sums in sorted(buckets.items(), reverse=True)
        if sums["resolve_count"]
    ]


def _improvement(question: Question, sums: dict[str, int]) -> Members:
    now = _rate(sums)
    before = _rate(_resolved(question.span.before(), question.where))
    baseline, month = _baseline(question)
    period = f"{month[0]} to {month[1]}" if month else None
    return {
        "vsPrevPeriod": change(now, before),
        "vsBaseline": change(now, baseline),
        "baselinePeriod": period,
    }


def _rate(sums: dict[str, int]) -> float | None:
    return sums["resolve_sum"] / sums["resolve_count"] if sums["resolve_count"] else None


def _resolved(span: Span, where: Where) -> dict[str, int]:
    return Reader(INCIDENTS, span, where).total("resolve_sum", "resolve_count")


def _baseline(question: Question) -> tuple[float | None, tuple[date, date] | None]:
    """Mean seconds in the first whole month that has data, and its first and last day."""
    rows = question.narrow(Incident.objects.all(), cluster="cluster_name", namespace="namespace", severity="severity")
    first = rows.order_by("detected_at").values_list("detected_at", flat=True).first()
    if first is None:
        return None, None
    month = first.date().replace(day=1)
    if first.date() != month:
        month = _next_month(month)
    for _ in range(MONTHS):
        following = _next_month(month)
        if following > question.at.date():
            break
        span = Span(_midnight(month), _midnight(following))
        rate = _rate(_resolved(span, question.where))
        if rate is not None:
            return rate, (month, following - timedelta(days=1))
        month = following
    return None, None


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def _midnight(day: date) -> int:
    return seconds_of(datetime.fromisoformat(f"{day}T00:00:00+00:00"))
