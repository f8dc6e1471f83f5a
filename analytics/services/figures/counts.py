"""How many, where, and what helped (contract/api.md §9.5 to §9.7)."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from analytics.families import INCIDENTS, PLAN_FAMILY, WORKLOADS
from analytics.metrics import ratio, success_interval
from analytics.periods import date_of, moment_of
from analytics.services.questions import Question
from analytics.services.reading import Reader, Sums
from incidents.states import Severity

SIGNALS = 3

Members = dict[str, Any]
Thing = tuple[str, ...]  # namespace, kind, name


@dataclass(slots=True)
class Ranked:
    total: int = 0
    last: int = 0
    signals: Counter[str] = field(default_factory=Counter)

    def add(self, signal: str, sums: Sums) -> None:
        self.total += sums["total"]
        self.last = max(self.last, sums["last"])
        if signal:
            self.signals[signal] += sums["total"]


def trends(question: Question, *, grain: int) -> list[Members]:
    """Incidents per bucket, newest first."""
    found = Reader(INCIDENTS, question.span, question.where).sums("total", by=("severity",), per=grain)
    buckets: dict[int, dict[str, int]] = {}
    for (severity, start), sums in found.items():
        buckets.setdefault(start, dict.fromkeys(Severity.values, 0))[severity] = sums["total"]
    return [
        {"date": date_of(start), "total": sum(counts.values()), "bySeverity": counts}
        for start, counts in sorted(buckets.items(), reverse=True)
        if any(counts.values())
    ]


def top_resources(question: Question, *, limit: int) -> list[Members]:
    """Those with the most incidents; ties by the newest incident, then by namespace, kind and name."""
    reader = Reader(WORKLOADS, question.span, question.where)
    found: dict[Thing, Ranked] = {}
    for (*thing, signal), sums in reader.sums("total", "last", by=("namespace", "kind", "name", "signal")).items():
        found.setdefault(tuple(thing), Ranked()).add(signal, sums)
    ranked = sorted(found.items(), key=lambda item: (-item[1].total, -item[1].last, item[0]))[:limit]
    return [
        {
            "kind": kind,
            "name": name,
            "namespace": namespace,
            "incidentCount": one.total,
            "lastIncident": moment_of(one.last),
            "topSignals": _most(one.signals),
        }
        for (namespace, kind, name), one in ranked
    ]


def _most(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda signal: (-counts[signal], signal))[:SIGNALS]


def remediation_stats(question: Question) -> list[Members]:
    """Finished plans by action (ANA-9 to ANA-11), most used first."""
    names = ("total", "completed", "failed", "rolled_back", "duration_count", "duration_sum")
    found = Reader(PLAN_FAMILY, question.span, question.where).sums(*names, by=("action",))
    stats = []
    for (action,), sums in found.items():
        failed = sums["failed"] + sums["rolled_back"]
        total = sums["completed"] + failed
        if not total:
            continue
        interval = success_interval(sums["completed"], total)
        duration = sums["duration_sum"] / sums["duration_count"] if sums["duration_count"] else 0.0
        stats.append(
            {
                "action": action,
                "total": total,
                "successful": sums["completed"],
                "failed": failed,
                "successRate": round(sums["completed"] / total, 2),
                "avgDuration": round(duration, 1),
                "rolledBack": sums["rolled_back"],
                "durationSamples": sums["duration_count"],
                "durationCoverage": ratio(sums["duration_count"], total),
                "coverage": ratio(total, sums["total"]),
                "successRateInterval": list(interval or ()),
            }
        )
    return sorted(stats, key=lambda one: (-one["total"], one["action"]))
