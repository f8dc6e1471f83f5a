"""One incident for a cluster that cannot be reached, in place of all that nobody can see there any more.

Level-triggered, like the fleet's: a sweep compares what the health checks say with the incidents that are open. While so many
clusters are silent that it is probably us who are cut off, none is opened: people are told once of all of them.
"""

from datetime import datetime

from django.conf import settings
from django.db.models import Max

from federation.models import MEMORY, Cluster, Health
from federation.services import connectivity
from incidents.models import Incident
from incidents.observations import Observation, digest
from incidents.services import correlation
from incidents.states import ACTIVE, Severity, Source

SIGNAL = "cluster_unreachable"
ORIGIN = "federation"
KIND = "Cluster"
LIMIT = 200  # of one sweep


def watch(*, at: datetime) -> int:
    """Open and close such incidents. Returns how many."""
    over = [_observation(row.cluster, row.cluster_name, row.started_at, firing=False) for row in _over()]
    gone = [] if connectivity.is_told(at=at) else _gone()
    news = [_observation(row, row.name, row.health_since or at, firing=True) for row in gone]
    if over or news:
        correlation.observe(observations=[*over, *news], at=at)
    return len(over) + len(news)


def _gone() -> list[Cluster]:
    """Unreachable clusters without an incident of this outage; one that a person resolved stays so until the next one."""
    silent = Cluster.objects.filter(enabled=True, health=Health.UNREACHABLE, last_heartbeat_at__isnull=False)
    rows = list(silent.defer(*MEMORY).order_by("pk")[:LIMIT])
    if not rows:
        return []
    known = Incident.objects.filter(signal_type=SIGNAL, cluster__in=rows).order_by().values_list("cluster")
    newest = dict(known.annotate(Max("detected_at")))
    return [row for row in rows if row.health_since is None or not _is_known(newest.get(row.pk), row.health_since)]


def _is_known(detected_at: datetime | None, since: datetime) -> bool:
    return detected_at is not None and detected_at >= since


def _over() -> list[Incident]:
    """Open ones of clusters that answer again, or that nobody watches any more."""
    open_ones = Incident.objects.filter(signal_type=SIGNAL, resource_kind=KIND, state__in=ACTIVE)
    silent = open_ones.filter(cluster__enabled=True, cluster__health=Health.UNREACHABLE)
    return list(open_ones.exclude(pk__in=silent.values("pk")).select_related("cluster").order_by("pk")[:LIMIT])


def _observation(cluster: Cluster | None, name: str, since: datetime, *, firing: bool) -> Observation:
    error = cluster.check_error if cluster is not None and firing else ""
    return Observation(
        origin=ORIGIN,
        source=Source.EVENTS,
        signal_type=SIGNAL,
        fingerprint=digest(ORIGIN, SIGNAL, name),
        kind=KIND,
        name=name,
        namespace=cluster.namespace if cluster is not None else settings.AIOPS_NAMESPACE,
        cluster=cluster,
        description=f"Cluster {name} cannot be reached; nothing is known about its workloads. {error}".rstrip(),
        reason=cluster.check_error_class if cluster is not None else "",
        severity=Severity.HIGH,
        weight=80,
        labels={"cluster": name},
        event_time=since if firing else None,
        firing=firing,
    )
