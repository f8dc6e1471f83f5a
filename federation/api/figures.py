"""The numbers of the fleet. One place counts, so that the list, the objects and all reports agree (CLU-4, FED-3)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet

from aiops.apikeys.scopes import Scope
from federation.models import ClusterCondition, ClusterQuerySet
from incidents.models import Incident
from incidents.states import ACTIVE, Severity
from runbooks.models import RemediationPlan
from runbooks.states import PlanState
from slos.models import SLO
from slos.models import Status as SLOStatus

C = ClusterCondition
DAY = timedelta(hours=24)
AT_WORK = (PlanState.PENDING, PlanState.EXECUTING, PlanState.VERIFYING)  # one that waits for a person does nothing


@dataclass(frozen=True, slots=True)
class Load:
    """What goes on in one cluster."""

    active: int = 0
    total24h: int = 0
    remediations: int = 0


def loads(clusters: Collection[int], *, scope: Scope, at: datetime) -> dict[int, Load]:
    """By key of the cluster, in two queries."""
    incidents = (
        visible_incidents(scope)
        .filter(cluster__in=clusters)
        .order_by()
        .values("cluster")
        .annotate(
            active=Count("pk", filter=Q(state__in=ACTIVE)), total24h=Count("pk", filter=Q(detected_at__gt=at - DAY))
        )
    )
    plans = scope.narrow(RemediationPlan.objects.filter(cluster__in=clusters, state__in=AT_WORK))
    working = dict(plans.order_by().values_list("cluster").annotate(Count("pk")))
    found = {row["cluster"]: Load(row["active"], row["total24h"], working.get(row["cluster"], 0)) for row in incidents}
    return {pk: found.get(pk) or Load(remediations=working.get(pk, 0)) for pk in clusters}


def visible_incidents(scope: Scope) -> QuerySet[Incident]:
    return scope.narrow(Incident.objects.all(), cluster="cluster_name")


@dataclass(slots=True)
class Fleet:
    """The sums over the clusters that a key may see."""

    clusters: dict[str, int] = field(default_factory=dict)
    nodes_total: int = 0
    nodes_ready: int = 0
    pods: int = 0
    pod_capacity: int = 0
    cpu_percent: int | None = None
    memory_percent: int | None = None
    primary: str | None = None
    last_sync_at: datetime | None = None
    latency_ms: int | None = None

    @property
    def total(self) -> int:
        return sum(self.clusters.values())

    @property
    def overall(self) -> str:
        """CLU-3."""
        if self.clusters[C.HEALTHY] == self.total:
            return C.HEALTHY
        return C.UNREACHABLE if self.clusters[C.UNREACHABLE] == self.total else C.DEGRADED

    @property
    def sync_status(self) -> str | None:
        """Whether the hub hears of all clusters, of some, or of none; None when there are none."""
        if not self.total:
            return None
        lost = self.clusters[C.UNREACHABLE]
        return "healthy" if not lost else "failed" if lost == self.total else "degraded"


COLUMNS = (
    "name", "status", "node_count", "nodes_ready", "pod_count", "pod_capacity", "cpu_used_millis", "cpu_capacity_millis",
    "memory_used_bytes", "memory_capacity_bytes", "last_heartbeat_at", "latency_ms", "created_at",
)  # fmt: skip


def fleet(rows: ClusterQuerySet, *, at: datetime) -> Fleet:
    """Sum up in one query. Averages count only clusters whose usage is known."""
    found = Fleet(clusters=dict.fromkeys(map(str, C.values), 0))
    cpu, memory, latencies = [], [], []
    oldest: datetime | None = None
    for row in rows.with_status(at).order_by("name").values(*COLUMNS).iterator():
        found.clusters[row["status"]] += 1
        found.nodes_total += row["node_count"] or 0
        found.nodes_ready += min(row["nodes_ready"] or 0, row["node_count"] or 0)
        found.pods += row["pod_count"] or 0
        found.pod_capacity += row["pod_capacity"] or 0
        cpu.append(percent(row["cpu_used_millis"], row["cpu_capacity_millis"]))
        memory.append(percent(row["memory_used_bytes"], row["memory_capacity_bytes"]))
        if row["latency_ms"] is not None and row["status"] != C.UNREACHABLE:
            latencies.append(row["latency_ms"])
        if oldest is None or row["created_at"] < oldest:
            oldest, found.primary = row["created_at"], row["name"]
        if row["last_heartbeat_at"] is not None:
            found.last_sync_at = max(found.last_sync_at or row["last_heartbeat_at"], row["last_heartbeat_at"])
    found.cpu_percent, found.memory_percent = mean(cpu), mean(memory)
    found.latency_ms = mean(latencies)
    return found


def percent(used: int | None, capacity: int | None) -> int | None:
    """Rounded half up; None when one of them is unknown."""
    if used is None or not capacity:
        return None
    return min(100, (200 * used + capacity) // (2 * capacity))


def mean(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return (2 * sum(known) + len(known)) // (2 * len(known)) if known else None


def incidents(scope: Scope) -> dict[str, Any]:
    """Active incidents; those without a registered cluster are in the total and by severity only."""
    active = visible_incidents(scope).filter(state__in=ACTIVE).order_by()
    severities = dict.fromkeys(map(str, Severity.values), 0)
    severities |= dict(active.values_list("severity").annotate(Count("pk")))
    by_cluster = active.filter(cluster__isnull=False).values_list("cluster__name").annotate(Count("pk"))
    return {
        "active_total": sum(severities.values()),
        "by_severity": severities,
        "by_cluster": dict(sorted(by_cluster)),
    }


def slos(scope: Scope) -> dict[str, int]:
    counts = dict.fromkeys(map(str, SLOStatus.values), 0)
    rows = scope.narrow(SLO.objects.all(), cluster="cluster__name").order_by()
    counts |= dict(rows.values_list("status").annotate(Count("pk")))
    return {"total": sum(counts.values()), **counts}
