"""Keeps the clusters' health: runs the checks, judges results, remembers them, and tells people when a cluster comes or goes.

Checks run many at a time in threads that only talk to clusters; the rows are written by the one thread that began the round.
"""

import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.clients import expiry
from aiops.clients.errors import ClientError
from aiops.notifications import services as notifications
from aiops.redaction import redact
from federation import health
from federation.health import Origin, Standing
from federation.models import Cluster, Health, HealthSample, Phase
from federation.probing import Probe, classify, has_answered, probe
from federation.services import connections, connectivity

THREADS = 32  # of a round; with a tenth of 500 clusters hanging for five seconds each, eight would do
BATCH = 200
CLAIM = timedelta(seconds=60)  # longer than the slowest check
SAMPLE_EVERY = timedelta(minutes=5)
RETENTION = timedelta(days=30)
LONGEST_WAIT = timedelta(minutes=5)  # between two checks of a cluster that does not answer
WARN_AGAIN = timedelta(days=1)
GONE = "cluster_disconnected"
BACK = "cluster_connected"
EXPIRING = "cluster_credentials_expiring"


# --- checks ----------------------------------------------------------------------------------------------------------


def check_due(*, at: datetime, limit: int = BATCH, threads: int = THREADS) -> int:
    """Check the clusters that are due, side by side. Returns how many were checked."""
    clusters = _claim(at, limit)
    if not clusters:
        return 0
    with ThreadPoolExecutor(max_workers=min(threads, len(clusters)), thread_name_prefix="checks") as pool:
        running = {pool.submit(_look, cluster, at): cluster for cluster in clusters}
        for done in as_completed(running):
            _write_probe(running[done], done.result())
    return len(clusters)


def check(*, cluster: Cluster, at: datetime, actor: Actor = SYSTEM) -> Cluster:
    """Check one cluster now, in detail. Its row says what came of it; a person's wish is audited."""
    _write_probe(cluster, _look(cluster, at, in_detail=True), actor)
    return cluster


@transaction.atomic
def _claim(at: datetime, limit: int) -> list[Cluster]:
    """Whoever moves the due time on does the check; what a dead worker had claimed is due again after `CLAIM`."""
    rows = list(Cluster.objects.due_for_check(at).select_for_update(skip_locked=True)[:limit])
    Cluster.objects.filter(pk__in=[row.pk for row in rows]).update(next_check_at=at + CLAIM)
    return rows


def _look(cluster: Cluster, at: datetime, *, in_detail: bool | None = None) -> Probe:
    """Runs in a thread of its own: no database."""
    if in_detail is None:
        # the history is written as often as details are asked for
        is_due = cluster.sampled_at is None or at - cluster.sampled_at >= SAMPLE_EVERY
        in_detail = is_due or bool(cluster.check_failures) or cluster.health in (Health.PENDING, Health.UNREACHABLE)
    try:
        client = connections.probe(cluster)
        found = probe(client, at=at, in_detail=in_detail)
        if in_detail and found.error is None:
            access = connections.stored_access(cluster)
            found.figures["certificate_expires_at"] = expiry.of_server(access)
            found.figures["credentials_expire_at"] = expiry.of_credentials(access)
    except ClientError as error:
        return Probe(at=at, error=error)
    return found


def _write_probe(cluster: Cluster, found: Probe, actor: Actor = SYSTEM) -> None:
    columns: dict[str, Any] = {
        "last_check_at": found.at,
        "check_error": redact(found.error.message)[:1024] if found.error else "",
        "check_error_class": found.error_class,
        **found.figures,
    }
    if found.error is None:
        columns |= {"last_heartbeat_at": found.at, "latency_ms": found.latency_ms}
    note(
        cluster=cluster,
        origin=Origin.CHECK,
        error=found.error,
        latency_ms=found.latency_ms,
        columns=columns,
        at=found.at,
        actor=actor,
    )


# --- what a result means ---------------------------------------------------------------------------------------------


@transaction.atomic
def note(
    *,
    cluster: Cluster,
    origin: Origin,
    error: ClientError | None,
    columns: dict[str, Any],
    at: datetime,
    latency_ms: int | None = None,
    actor: Actor = SYSTEM,
) -> None:
    """Write a result of a check or a look, with `columns` that it brought, and what follows from it.

    Nothing is written when the credentials were changed meanwhile: the next result tells about the new ones. Observed state
    is no edit: the row's version stays, so that a look never spoils a person's `If-Match`.
    """
    same = Cluster.objects.select_for_update().filter(pk=cluster.pk, kubeconfig_digest=cluster.kubeconfig_digest)
    row = same.first()
    if row is None:
        return
    was = standing(row)
    has_gaps = bool(columns.get("coverage_gaps", row.coverage_gaps))
    now = health.after(was, origin=origin, succeeded=error is None, latency_ms=latency_ms, has_gaps=has_gaps)
    changes = columns | _judged(row, was, now, error, at)
    if origin is Origin.CHECK:
        changes["next_check_at"] = at + wait(row.pk, row.health_check_interval_seconds, now.check_failures)
    if was.check_failures >= health.FAILURES and not now.check_failures:
        changes["next_poll_at"] = at  # looks were not worth while until now
    if _is_memorable(row, now, error, at):
        changes["sampled_at"] = at
        reason = classify(error) if error is not None else ""
        HealthSample.objects.create(cluster=row, at=at, health=now.health, latency_ms=latency_ms, error_class=reason)
    Cluster.objects.filter(pk=row.pk).update(**changes)
    phase_was, health_was = row.phase, row.health
    for column, value in changes.items():
        setattr(cluster, column, value)
    _tell(cluster, phase_was, error, actor, at, has_changed=now.health != health_was)


def standing(cluster: Cluster) -> Standing:
    """What is remembered. Rows from before there were checks know the phase only."""
    state = cluster.health
    if state == Health.PENDING and cluster.phase != Phase.PENDING:
        state = Health.CONNECTED if cluster.phase == Phase.CONNECTED else Health.UNREACHABLE
    return Standing(state, cluster.check_failures, cluster.poll_failures, cluster.successes)


def _judged(row: Cluster, was: Standing, now: Standing, error: ClientError | None, at: datetime) -> dict[str, Any]:
    phase = health.phase(now.health, has_answered=error is not None and has_answered(error))
    if error is None and now.health == Health.UNREACHABLE:
        phase = Phase(row.phase)  # one success is not enough yet, and says nothing of how the failures were
    return {
        "health": now.health,
        "health_since": at if now.health != was.health or row.health_since is None else row.health_since,
        "phase": phase,
        "check_failures": now.check_failures,
        "poll_failures": now.poll_failures,
        "successes": now.successes,
    }


def _is_memorable(row: Cluster, now: Standing, error: ClientError | None, at: datetime) -> bool:
    """Every failure and every change is remembered, of the rest one in five minutes."""
    if error is not None or now.health != row.health or row.sampled_at is None:
        return True
    return at - row.sampled_at >= SAMPLE_EVERY


def wait(salt: int, interval: int, failures: int) -> timedelta:
    """Until the next check: the interval, doubled with each failure from the third on, at most five minutes; ±10 % so that
    clusters spread out."""
    seconds = interval * 2 ** min(max(failures - health.FAILURES + 1, 0), 12)
    longest = max(LONGEST_WAIT, timedelta(seconds=interval))
    return min(timedelta(seconds=seconds), longest) * jitter(salt, failures)


def jitter(salt: int, number: int) -> float:
    """From 0.9 to 1.1, the same for the same arguments."""
    return 1 + (zlib.crc32(f"{salt}:{number}".encode()) % 201 - 100) / 1000


# --- telling people --------------------------------------------------------------------------------------------------


def _tell(
    cluster: Cluster, was: str, error: ClientError | None, actor: Actor, at: datetime, *, has_changed: bool
) -> None:
    """Announce and audit that a cluster came or went; audit also that its health changed otherwise, and that a person asked.
    The first success of a new cluster is no news for people."""
    is_connected = cluster.phase == Phase.CONNECTED
    text = redact(error.message)[:1024] if error is not None else ""
    event = ""
    if was == Phase.PENDING or is_connected != (was == Phase.CONNECTED):
        event = BACK if is_connected else GONE
        # its own silence is no news while all are silent: connectivity.tell() speaks for them
        if (was != Phase.PENDING or not is_connected) and not connectivity.is_told(at=at):
            notifications.announce(_message(cluster, event, text), at=at)
    _warn_of_expiry(cluster, at)
    if event or has_changed or actor is not SYSTEM:
        details = {"phase": cluster.phase, "health": cluster.health, "error": text, "gaps": cluster.coverage_gaps}
        severity = "info" if error is None and cluster.health == Health.CONNECTED else "warning"
        audit.record(_record(cluster, actor, event_type=event, severity=severity, details=details), at=at)


def _warn_of_expiry(cluster: Cluster, at: datetime) -> None:
    """Once a day while a certificate or token ends within two weeks."""
    ends = [end for end in (cluster.certificate_expires_at, cluster.credentials_expire_at) if end is not None]
    if not ends or min(ends) - at > health.WARN_BEFORE:
        return
    if cluster.expiry_warned_at is not None and at - cluster.expiry_warned_at < WARN_AGAIN:
        return
    Cluster.objects.filter(pk=cluster.pk).update(expiry_warned_at=at)
    cluster.expiry_warned_at = at
    notifications.announce(_message(cluster, EXPIRING, f"It ends at {min(ends):%Y-%m-%d %H:%M} UTC."), at=at)


TITLES = {
    BACK: "Cluster {} is connected again",
    GONE: "Cluster {} cannot be watched",
    EXPIRING: "A certificate or token of cluster {} expires soon",
}


def _message(cluster: Cluster, event: str, text: str) -> notifications.Message:
    body = f"Nothing is known about its workloads until it answers again. {text}" if event == GONE else text
    return notifications.Message(
        event=event,
        subject_kind=Cluster.KIND,
        subject_name=cluster.name,
        title=TITLES[event].format(cluster.name),
        body=body,
        severity="high" if event == GONE else "medium" if event == EXPIRING else "low",
        namespace=cluster.namespace,
        resource_kind=Cluster.KIND,
        state=cluster.phase,
        cluster=cluster.name,
    )


def _record(cluster: Cluster, actor: Actor, **facts: Any) -> audit.Record:
    return audit.Record(
        action="cluster.check",
        actor=actor,
        resource_type=Cluster.KIND,
        resource=cluster.name,
        namespace=cluster.namespace,
        **facts,
    )


# --- history ---------------------------------------------------------------------------------------------------------


def forget_old_samples(*, at: datetime, limit: int = 20_000) -> int:
    """Delete samples that are older than 30 days, a bounded number at a time. Returns how many."""
    old = HealthSample.objects.filter(at__lt=at - RETENTION).order_by("at").values_list("pk", flat=True)[:limit]
    deleted, _ = HealthSample.objects.filter(pk__in=list(old)).delete()
    return deleted
