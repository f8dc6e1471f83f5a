"""What /metrics says of clusters: how each one is, and how many there are of each sort."""

from collections.abc import Iterable

from django.utils import timezone

from aiops.health.metrics import Gauge
from federation.models import Cluster, ClusterCondition

PREFIX = "chatcli_operator"
# as numbers that a rule can compare
WELL = {ClusterCondition.HEALTHY: 1.0, ClusterCondition.DEGRADED: 0.5, ClusterCondition.UNREACHABLE: 0.0}
COLUMNS = ("name", "provider", "status", "last_heartbeat_at", "latency_ms")


def measure() -> Iterable[Gauge]:
    at = timezone.now()
    rows = list(Cluster.objects.filter(enabled=True).with_status(at).order_by("name").values(*COLUMNS))
    counts = dict.fromkeys(map(str, ClusterCondition.values), 0)
    for row in rows:
        counts[row["status"]] += 1
    heard = [(row["name"], row["last_heartbeat_at"]) for row in rows if row["last_heartbeat_at"] is not None]
    answered = [(row["name"], row["latency_ms"]) for row in rows if row["latency_ms"] is not None]
    return [
        Gauge(
            f"{PREFIX}_cluster_health",
            "1 healthy, 0.5 degraded, 0 unreachable",
            ("cluster", "provider"),
            [((row["name"], row["provider"]), WELL[row["status"]]) for row in rows],
        ),
        Gauge(
            f"{PREFIX}_federation_clusters_total",
            "Clusters by status",
            ("status",),
            [((status,), count) for status, count in counts.items()],
        ),
        Gauge(
            "aiops_cluster_silence_seconds",
            "Since the last answer of the API server",
            ("cluster",),
            [((name,), (at - last).total_seconds()) for name, last in heard],
        ),
        Gauge(
            "aiops_cluster_latency_seconds",
            "Of the API server at the last check that it answered",
            ("cluster",),
            [((name,), milliseconds / 1000) for name, milliseconds in answered],
        ),
    ]
