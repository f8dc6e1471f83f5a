"""Downtime as our incidents say it (X9.23): overlapping ones count once, those of SLOs and of chaos experiments never."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Q

from federation.models import Cluster
from incidents.models import Anomaly, Incident
from slos.models import SLO
from slos.slices import Slice
from slos.sources.base import Answer, Question, Span, by_method

SLO_VIOLATION = "slo_violation"
Interval = tuple[float, float]  # seconds since 1970
MOST = 20_000  # incidents of a batch of SLOs


@dataclass(frozen=True, slots=True)
class Outage:
    """An incident of a service and how long it lasted; `end` None: it still does."""

    pk: int
    name: str
    kind: str
    resource: str
    namespace: str
    services: frozenset[str]
    cluster: Cluster | None
    place: str  # what the cluster is called, also when it is not registered
    start: datetime
    end: datetime | None
    updated_at: datetime

    def is_of(self, slo: SLO) -> bool:
        elsewhere = None not in (slo.cluster_id, self.cluster) and slo.cluster != self.cluster
        return self.namespace == slo.namespace and slo.service in self.services and not elsewhere

    def interval(self, until: datetime) -> Interval:
        return self.start.timestamp(), (self.end or until).timestamp()


def find(slos: Collection[SLO], since: datetime) -> dict[int, list[Outage]]:
    """By key of the SLO: the incidents of its service that did not end before `since`, the oldest first. Two queries."""
    services = {slo.service for slo in slos}
    rows = list(
        Incident.objects.filter(namespace__in={slo.namespace for slo in slos})
        .filter(Q(resource_name__in=services) | Q(labels__service__in=services))
        .filter(Q(resolved_at=None) | Q(resolved_at__gte=since), chaos_experiment="")
        .exclude(signal_type=SLO_VIOLATION)
        .order_by("started_at", "pk")
        .only(
            "name",
            "namespace",
            "labels",
            "resource_name",
            "cluster",
            "started_at",
            "resolved_at",
            "state",
            "updated_at",
        )[:MOST]
    )
    over = _over_but_for_slos([row.pk for row in rows])
    outages = [_outage(row, over.get(row.pk)) for row in rows]
    found: dict[int, list[Outage]] = defaultdict(list)
    for slo in slos:
        found[slo.pk] = [outage for outage in outages if outage.is_of(slo)]
    return found


def _outage(row: Incident, over: datetime | None) -> Outage:
    services = {row.resource_name, str(row.labels.get("service", ""))}
    end = row.resolved_at
    if over is not None:
        end = over if end is None else min(end, over)
    return Outage(
        pk=row.pk,
        name=row.name,
        kind=row.resource_kind,
        resource=row.resource_name,
        namespace=row.namespace,
        services=frozenset(services),
        cluster=row.cluster,
        place=row.cluster_name or str(row.labels.get("cluster", "")),
        start=row.started_at,
        end=end,
        updated_at=row.updated_at,
    )


def _over_but_for_slos(incidents: Collection[int]) -> dict[int, datetime]:
    """When the service was well again in incidents that only a burning budget holds open.

    Their time must not count: an alert about downtime would be downtime, and keep itself alive.
    """
    joined = Anomaly.objects.filter(incident__in=incidents, signal_type=SLO_VIOLATION).order_by()
    held = set(joined.values_list("incident", flat=True).distinct())
    if not held:
        return {}
    own = Anomaly.objects.filter(incident__in=held).exclude(signal_type=SLO_VIOLATION).order_by()
    sick = set(own.filter(cleared_at=None).values_list("incident", flat=True).distinct())
    last = own.exclude(incident__in=sick).values_list("incident").annotate(Max("cleared_at"))
    return dict(last)


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Merge what overlaps."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def measure(question: Question, outages: Sequence[Outage], now: datetime) -> Answer:
    """The slices of the question, in seconds."""
    down = union(outage.interval(now) for outage in outages)
    slo, width = question.slo, question.grid.width
    older = [one for part in question.older for one in by_method(slo, _cut(down, part, width), part)]
    recent = list(by_method(slo, _cut(down, question.recent, width), question.recent))
    return Answer(question, recent=recent, older=older)


def _cut(down: Sequence[Interval], part: Span, width: int) -> Iterator[Slice]:
    position = 0
    for end in part.ends():
        begin = end - width
        while position < len(down) and down[position][1] <= begin:
            position += 1
        bad = 0.0
        for start, stop in down[position:]:
            if start >= end:
                break
            bad += min(stop, end) - max(start, begin)
        yield Slice(end, width - bad, float(width))
