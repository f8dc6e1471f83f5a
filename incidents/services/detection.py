"""Looks at a cluster and hands what is wrong there to correlation; keeps the cluster's row up to date about the look itself.

A look that fails changes no anomaly: what we cannot see is unknown, not healthy. Each cluster is looked at on its own, so one
that hangs or answers nonsense delays no other; the longer it stays so, the less often it is asked.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from aiops.clients.errors import ClientError, ClientUnavailable
from aiops.clients.kubernetes import KubernetesClient
from aiops.redaction import redact
from federation import services as federation
from federation.health import Origin
from federation.models import Cluster
from federation.services import health
from incidents.detectors import scan
from incidents.detectors.thresholds import DEFAULT, Thresholds
from incidents.observations import WATCHER, Observation, digest
from incidents.services import correlation, survey
from incidents.services.survey import Survey
from incidents.states import Severity, Source

logger = structlog.get_logger(__name__)

LEASE = timedelta(
    seconds=40
)  # longer than the longest silence that the client bears, so a live look is never taken over
BUDGET = 300.0  # seconds for one look, however large the cluster
LONGEST_BACK_OFF = timedelta(minutes=5)
BATCH = 2_000  # observations per transaction


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one look at a cluster came to. `error` is for people and empty when it succeeded."""

    cluster: str
    phase: str
    error: str = ""
    objects: int = 0
    signals: int = 0
    opened: int = 0
    updated: int = 0
    cleared: int = 0
    gaps: list[str] = field(default_factory=list)


def claim(*, cluster: Cluster, at: datetime) -> bool:
    """Take the cluster's turn: whoever moves its due time on looks at it, so two workers never do at once.

    A look extends its claim while it gets on. Dead workers lose theirs after `LEASE`.
    """
    due = Cluster.objects.filter(pk=cluster.pk, next_poll_at=cluster.next_poll_at)
    if not due.update(next_poll_at=at + LEASE):
        return False
    cluster.next_poll_at = at + LEASE
    return True


def poll(*, cluster: Cluster, at: datetime, client: KubernetesClient | None = None) -> PollResult:
    """Look at the cluster once. Never raises for what the cluster does: that is written into its row and the result.

    `client` stands in for the one that the stored credentials make.
    """
    try:
        seen = survey.take(
            client or federation.connect(cluster),
            at=at,
            last_look=cluster.last_look_at,
            restart_history=cluster.restart_history,
            unsettled=cluster.unsettled_workloads,
            thresholds=thresholds(),
            progress=_Progress(cluster),
        )
    except ClientError as error:
        return _failed(cluster, error, at)
    opened, updated, cleared = _correlate(cluster, seen, at)
    _succeeded(cluster, seen, at)
    return PollResult(
        cluster=cluster.name,
        phase=cluster.phase,
        objects=seen.objects,
        signals=len(seen.observations),
        opened=opened,
        updated=updated,
        cleared=cleared,
        gaps=sorted(seen.gaps),
    )


def thresholds() -> Thresholds:
    return DEFAULT if settings.AIOPS_DETECTION_GRACE == 100 else DEFAULT.scaled(settings.AIOPS_DETECTION_GRACE)


class _Progress:
    """Called while a look gets on: extends the claim now and then, and ends a look that takes too long."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._begun = self._renewed = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._begun > BUDGET:
            raise ClientUnavailable(f"The look was not finished within {BUDGET:g} seconds", reason="timeout")
        if now - self._renewed > LEASE.total_seconds() / 4:
            self._renewed = now
            Cluster.objects.filter(pk=self._cluster.pk).update(next_poll_at=timezone.now() + LEASE)


# --- what was seen ---------------------------------------------------------------------------------------------------


def _correlate(cluster: Cluster, seen: Survey, at: datetime) -> tuple[int, int, int]:
    """Returns how many incidents were opened, signals joined to an incident, and signals cleared."""
    opened = updated = 0
    observations = [observation(cluster, found) for found in seen.observations]
    for batch in _batches(observations):
        receipt = correlation.observe(observations=batch, at=at)
        opened += receipt.opened
        updated += receipt.updated
    cleared = correlation.clear_missing(
        cluster=cluster,
        origin=WATCHER,
        seen={item.fingerprint for item in observations},
        covered=seen.listed,
        at=at,
    )
    return opened, updated, cleared


def _batches(observations: Sequence[Observation]) -> Iterator[Sequence[Observation]]:
    for start in range(0, len(observations), BATCH):
        yield observations[start : start + BATCH]


def observation(cluster: Cluster, found: scan.Observation) -> Observation:
    """A finding in the words of correlation. Its identity is the condition of an owner, not the pod that showed it."""
    owner, signal = found.owner, found.signal
    return Observation(
        origin=WATCHER,
        source=Source.WATCHER,
        signal_type=signal.signal_type,
        condition=signal.condition,
        fingerprint=digest(str(cluster.uid), signal.condition, *owner, signal.discriminator),
        cluster=cluster,
        namespace=_plain(owner.namespace),
        kind=_plain(owner.kind, 63),
        name=_plain(owner.name),
        object_kind=_plain(signal.resource.kind, 63),
        object_name=_plain(signal.resource.name),
        description=redact(signal.message),
        reason=_plain(signal.reason),
        severity=Severity(signal.severity),
        weight=signal.weight,
        evidence={key: redact(value) if isinstance(value, str) else value for key, value in signal.evidence.items()},
        event_time=signal.event_time,
        informational=signal.informational,
        parent=found.parent and (found.parent.kind, found.parent.namespace, found.parent.name),
    )


def _plain(name: str, most: int = 253) -> str:
    """Foreign text as both databases can store it."""
    return name.replace("\x00", "")[:most]


# --- what the cluster's row says -------------------------------------------------------------------------------------


def _succeeded(cluster: Cluster, seen: Survey, at: datetime) -> None:
    gaps = sorted(seen.gaps)
    if gaps != cluster.coverage_gaps:
        logger.warning("cluster_coverage", cluster=cluster.name, gaps=seen.gaps)
    columns: dict[str, Any] = {
        "kubernetes_version": seen.version.removeprefix("v"),
        "node_count": seen.nodes,
        "nodes_ready": seen.nodes_ready,
        "namespace_count": seen.namespaces,
        "pod_count": seen.pods,
        "pod_capacity": seen.pod_capacity,
        "last_heartbeat_at": at,
        "last_look_at": at,
        "last_polled_at": at,
        "next_poll_at": at + timedelta(seconds=settings.AIOPS_POLL_INTERVAL),
        "poll_error": "",
        "coverage_gaps": gaps,
        "restart_history": seen.restart_history,
        "unsettled_workloads": seen.unsettled,
    }
    health.note(cluster=cluster, origin=Origin.POLL, error=None, columns=columns, at=at)


def _failed(cluster: Cluster, error: ClientError, at: datetime) -> PollResult:
    failures = cluster.poll_failures + 1
    message = redact(error.message)[:1024]
    wait = back_off(failures, cluster.pk)
    if isinstance(error, ClientUnavailable) and error.retry_after:
        wait = max(wait, min(timedelta(seconds=error.retry_after), LONGEST_BACK_OFF))
    columns: dict[str, Any] = {
        "last_polled_at": at,
        "next_poll_at": at + wait,
        "poll_error": message,
    }
    logger.warning("cluster_poll_failed", cluster=cluster.name, error=message, reason=error.reason, failures=failures)
    health.note(cluster=cluster, origin=Origin.POLL, error=error, columns=columns, at=at)
    return PollResult(cluster=cluster.name, phase=cluster.phase, error=message)


def back_off(failures: int, salt: int) -> timedelta:
    """The interval, doubled with each failure in a row, at most five minutes; ±10 % so that clusters spread out."""
    seconds = settings.AIOPS_POLL_INTERVAL * 2 ** min(failures - 1, 12)
    return min(timedelta(seconds=seconds), LONGEST_BACK_OFF) * health.jitter(salt, failures)
