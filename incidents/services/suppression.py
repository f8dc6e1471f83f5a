"""Remembers what was kept from becoming an incident, so that the noise report can say how much that was."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings

from incidents.grouping import Outcome
from incidents.models import SuppressedSignal
from incidents.observations import Observation

Why = SuppressedSignal.Why


def remember(*, observations: Sequence[Observation], outcomes: Iterable[Outcome], at: datetime) -> None:
    """Store the suppressed ones of a batch, as they were handed in: one that is no information was under maintenance."""
    rows = {
        item.fingerprint: _row(item, at)
        for item, outcome in zip(observations, outcomes, strict=True)
        if outcome is Outcome.SUPPRESSED
    }
    if rows:
        # in the order of the fingerprints, as everybody does: two batches that share some never wait for each other in turn
        SuppressedSignal.objects.bulk_create([rows[key] for key in sorted(rows)], ignore_conflicts=True)


def _row(item: Observation, at: datetime) -> SuppressedSignal:
    return SuppressedSignal(
        day=at.astimezone(UTC).date(),
        fingerprint=item.fingerprint,
        why=Why.INFORMATION if item.informational else Why.MAINTENANCE,
        cluster_name=item.place,
        namespace=item.namespace,
        resource_kind=item.kind,
        resource_name=item.name,
        origin=item.origin,
        signal_type=item.signal_type,
        severity=item.severity or "",
        at=at,
    )


def forget(*, at: datetime, limit: int = 20_000) -> int:
    """Delete the oldest ones that need not be kept any longer, at most `limit`; returns how many."""
    days = settings.AIOPS_SUPPRESSED_RETENTION_DAYS
    if not days:
        return 0
    old = SuppressedSignal.objects.filter(at__lt=at - timedelta(days=days)).order_by("at").values_list("pk", flat=True)
    return SuppressedSignal.objects.filter(pk__in=list(old[:limit])).delete()[0]
