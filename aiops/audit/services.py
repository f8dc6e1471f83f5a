"""Writes and proves the audit log.

Every record carries the hash of the record before it in its chain, and the chain's head is kept beside it, so a changed,
removed or inserted record is found. One chain would make all writers wait for each other; instead a process keeps to one of
16 chains (chosen by process and thread), and takes the chain's row for the rest of its transaction. A transaction never
takes two chains, so records cannot deadlock each other. Call `record` last in a transaction: the chain is held until commit.
"""

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import structlog
from django.db import connection

from aiops import bulk
from aiops.audit.actor import Actor
from aiops.audit.models import AuditChain, AuditEvent, AuditVerdict
from aiops.audit.records import checksum, subject
from aiops.redaction import redact_details
from aiops.statements import fetch

log = structlog.get_logger(__name__)

CHAINS = 16
TRUNCATE = "audit.truncate"  # the record that says up to where chains were forgotten (aiops.audit.retention)
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Record:
    """One fact for the log. `resource_type` and `resource` are kind and name of the object."""

    action: str
    actor: Actor
    resource_type: str
    resource: str
    namespace: str = ""
    event_type: str = ""
    severity: str = "info"
    correlation_id: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def record(*records: Record, at: datetime) -> list[AuditEvent]:
    """Append `records` to the log, in the caller's transaction."""
    assert connection.in_atomic_block, "an audit record belongs into the transaction of the change"
    if not records:
        return []
    number = (os.getpid() + threading.get_native_id()) % CHAINS
    events = [_event(item, at=at) for item in records]
    if len(events) == 1 and connection.vendor == "postgresql" and _append(number, events[0]):
        return events
    chain = _take_chain(number)
    for event in events:
        chain.length += 1
        event.chain, event.position, event.previous = chain.number, chain.length, chain.head
        event.hash = chain.head = link(event)
    bulk.create(events)
    AuditChain.objects.filter(pk=chain.pk).update(length=chain.length, head=chain.head)
    return events


# Takes the chain, links and stores one record in a single round trip instead of three, the hash included (`link` in SQL), so the
# chain is held for that much less. Who waited for the chain gets its newest row in `old`.
APPEND = """
WITH old AS (SELECT number, length, head FROM audit_auditchain WHERE number = %s FOR UPDATE),
grown AS (
    UPDATE audit_auditchain SET length = old.length + 1, head = encode(sha256(convert_to(concat_ws(chr(10),
        old.number::text, (old.length + 1)::text, old.head, %s::text, %s::text), 'UTF8')), 'hex')
    FROM old WHERE audit_auditchain.number = old.number
    RETURNING old.number AS chain, old.length + 1 AS position, old.head AS previous, audit_auditchain.head AS hash
)
INSERT INTO audit_auditevent ({columns}, chain, position, previous, hash)
SELECT {columns}, grown.chain, grown.position, grown.previous, grown.hash
FROM (SELECT {columns} FROM jsonb_populate_recordset(NULL::audit_auditevent, %s)) record, grown
RETURNING chain, position, previous, hash
"""
PLACE = ("chain", "position", "previous", "hash")


@lru_cache(maxsize=1)
def _appending() -> str:
    columns = [field.column for field in AuditEvent._meta.concrete_fields if field.column not in PLACE]
    return APPEND.format(columns=", ".join(f'"{column}"' for column in columns))


def _append(number: int, event: AuditEvent) -> bool:
    """Whether the chain existed: then `event` is stored at its end."""
    document = bulk.document([event], bulk.stored(AuditEvent))
    found = fetch(_appending(), [number, _moment(event), event.checksum, document])
    if not found:
        return False
    event.chain, event.position, event.previous, event.hash = found[0]
    event._state.adding, event._state.db = False, connection.alias
    return True


def _take_chain(number: int) -> AuditChain:
    locked = AuditChain.objects.select_for_update()
    chain = locked.filter(pk=number).first()
    if chain is None:
        AuditChain.objects.bulk_create([AuditChain(number=number)], ignore_conflicts=True)
        chain = locked.get(pk=number)
    return chain


def _event(item: Record, *, at: datetime) -> AuditEvent:
    event = AuditEvent(
        # the order of ids is the order of time; the random part keeps two processes apart
        id=f"audit-{at.astimezone(UTC):%Y%m%d-%H%M%S%f}-{secrets.token_hex(4)}",
        at=at,
        action=item.action,
        event_type=item.event_type,
        severity=item.severity,
        user=item.actor.name[:253],
        role=item.actor.role,
        actor_type=item.actor.kind.value,
        resource_type=subject(item.resource_type).value,
        resource=item.resource[:253],
        namespace=item.namespace,
        correlation_id=item.correlation_id,
        details=redact_details(item.details),
        source_ip=item.actor.ip[:64],
        user_agent=item.actor.user_agent[:512],
    )
    event.checksum = checksum(event)
    return event


def link(event: AuditEvent) -> str:
    """The hash that binds a record to its place: chain, position, the record before it, its exact time and its content."""
    place = f"{event.chain}\n{event.position}\n{event.previous}\n{_moment(event)}\n{event.checksum}"
    return hashlib.sha256(place.encode()).hexdigest()


def _moment(event: AuditEvent) -> str:
    return event.at.astimezone(UTC).isoformat(timespec="microseconds")  # what both databases keep


def verify() -> Iterator[str]:
    """Yields one sentence per broken place, the first one of each chain; nothing when all chains hold."""
    known = set(AuditEvent.objects.order_by().values_list("chain", flat=True).distinct())
    for number in sorted(known.union(AuditChain.objects.values_list("number", flat=True))):
        broken = _verify(number)
        if broken:
            yield broken


def _verify(number: int) -> str:
    """Walks along a chain; once more when records of it were forgotten meanwhile (`retention`): that is no damage."""
    chain = AuditChain.objects.filter(pk=number)
    while True:
        head = chain.first()
        broken = _verify_chain(number, head, _anchor(number))
        if not broken or head is None or not chain.exclude(truncated=head.truncated).exists():
            return broken


def _anchor(number: int) -> list[Any] | None:
    """What the log says of where the chain begins; None when it begins with its first record."""
    newest = AuditEvent.objects.filter(action=TRUNCATE).order_by("-at", "-id").first()
    anchor: list[Any] | None = newest.details["chains"].get(str(number)) if newest else None
    return anchor


def length() -> int:
    """How many records the heads of the chains speak of; nobody has counted them."""
    return sum(chain.length - chain.truncated for chain in AuditChain.objects.all())


def judge(*, at: datetime) -> AuditVerdict:
    """Verify the log and keep the verdict. A verdict is news only when it differs: of equal ones the newest stays."""
    records = AuditEvent.objects.count()
    broken = next(verify(), "")[:1024]
    before = AuditVerdict.objects.first()
    verdict = AuditVerdict.objects.create(checked_at=at, records=records, broken=broken)
    if before is not None and before.broken == broken:
        before.delete()
    if broken:
        log.error("audit_log_broken", place=broken)
    return verdict


def _verify_chain(number: int, head: AuditChain | None, anchor: list[Any] | None) -> str:
    if head is None:
        return f"chain {number} has records but no head"
    if head.truncated and anchor != [head.truncated, head.anchor]:
        return f"chain {number} begins after {head.truncated}, and no record says so"
    previous, position = head.anchor, head.truncated
    rows = AuditEvent.objects.filter(chain=number, position__gt=position).order_by("position")
    for event in rows.iterator(chunk_size=BATCH):
        if event.position != position + 1:
            return f"chain {number}: record {position + 1} is missing (found {event.id} at {event.position})"
        if event.checksum != checksum(event):
            return f"{event.id}: the content does not match its checksum"
        if event.previous != previous or event.hash != link(event):
            return f"{event.id}: it does not follow the record before it"
        previous, position = event.hash, event.position
        if position == head.length and previous != head.head:
            return f"{event.id}: it is not the record that the head of chain {number} names"
    if position < head.length:
        return f"chain {number}: record {position + 1} is missing at the end"
    # records may have been appended while we read, so what lies behind the old head is compared with the new one
    if position > AuditChain.objects.values_list("length", flat=True).get(pk=number):
        return f"chain {number}: record {position} is not known to the head"
    return ""
