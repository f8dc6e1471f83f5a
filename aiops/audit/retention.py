"""Forgetting old audit records so that what is left can still be verified.

Of each chain the oldest records go, never one in the middle. The chain remembers up to which position, and the hash of the last
record that went: the first one that is left has to follow it. The same anchors stand in a record of the log itself
(`audit.truncate`, always the newest), so that nobody can cut a chain short and set its anchor in silence.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditChain, AuditEvent
from aiops.audit.services import TRUNCATE, Record, record

MOST = 20_000  # records of a chain in one run
BATCH = 2_000  # records removed in one statement


def forget(*, at: datetime) -> int:
    """Remove what is older than `AIOPS_AUDIT_RETENTION_DAYS`; returns how many. Zero days: everything is kept."""
    if not settings.AIOPS_AUDIT_RETENTION_DAYS:
        return 0
    _move_anchors(at - timedelta(days=settings.AIOPS_AUDIT_RETENTION_DAYS), at)
    return sum(_remove(chain) for chain in AuditChain.objects.filter(truncated__gt=0))


@transaction.atomic
def _move_anchors(before: datetime, at: datetime) -> None:
    # all chains in one order: two who do this cannot wait for each other, and a writer holds one chain only
    chains = list(AuditChain.objects.select_for_update().order_by("number"))
    moved = [chain for chain in chains if _move(chain, before)]
    if not moved:
        return
    AuditChain.objects.bulk_update(moved, ["truncated", "anchor"])
    anchors = {str(chain.number): [chain.truncated, chain.anchor] for chain in chains if chain.truncated}
    record(
        Record(action=TRUNCATE, actor=SYSTEM, resource_type="Audit", resource="audit-log", details={"chains": anchors}),
        at=at,
    )


def _move(chain: AuditChain, before: datetime) -> bool:
    """Whether older records were found. The newest record of a chain stays, however old it is."""
    reach = min(chain.truncated + MOST, chain.length - 1)
    within = AuditEvent.objects.filter(chain=chain.number, position__gt=chain.truncated, position__lte=reach)
    kept = within.filter(at__gte=before).order_by("position").values_list("position", flat=True).first()
    last = reach if kept is None else kept - 1
    if last <= chain.truncated:
        return False
    chain.truncated, chain.anchor = (
        last,
        AuditEvent.objects.values_list("hash", flat=True).get(chain=chain.number, position=last),
    )
    return True


def _remove(chain: AuditChain) -> int:
    """Outside of the transaction that holds the chains, and in pieces, so that nobody waits for it."""
    removed = 0
    old = AuditEvent.objects.filter(chain=chain.number, position__lte=chain.truncated).order_by("position")
    while names := list(old.values_list("pk", flat=True)[:BATCH]):
        removed += AuditEvent.objects.filter(pk__in=names).delete()[0]
    return removed
