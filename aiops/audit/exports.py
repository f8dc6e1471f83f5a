"""Exports of the audit log: small ones at once, large ones by a worker.

The row of an export is the queue: whoever claims it (compare-and-set, with a lease) writes the file. A worker that dies leaves
a lease that ends, and the next one begins anew under another number of attempt, so that two never mix their parts.
"""

import csv
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from aiops.api.formats import format_time, parse_time
from aiops.audit.actor import Actor
from aiops.audit.models import AuditEvent, AuditExport, ExportFormat, ExportPart, ExportState
from aiops.audit.records import AuditSubject, shown
from aiops.audit.services import Record, record
from aiops.errors import LostRace
from aiops.nudges import nudge
from aiops.sequences.services import next_name

PREFIX = "export"
COLUMNS = (
    "id", "timestamp", "action", "user", "role", "resource", "resourceType", "namespace", "sourceIP", "checksum",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would calculate
MEDIA_TYPES = {ExportFormat.CSV: "text/csv; charset=utf-8", ExportFormat.JSON: "application/json; charset=utf-8"}

KEPT = timedelta(hours=6)
FORGOTTEN = timedelta(days=30)  # until then an expired export is answered with 410, later with 404
LEASE = timedelta(seconds=660)  # longer than a task may take
ATTEMPTS = 3
BATCH = 2_000  # records read at once
PART = 1024 * 1024  # bytes before compression
LOOKED_AT = 100  # rows of one sweep
SECOND = timedelta(seconds=1)
LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0)
WRITE = "aiops.audit.tasks.write_export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which records. Bounds are inclusive and mean times as they are shown, in whole seconds; an empty text selects all.

    `users` are alternatives that must all hold (two synonyms of one parameter). `namespaces` is the scope of the key that
    asked, None without one.
    """

    since: datetime
    until: datetime
    action: str = ""
    users: tuple[str, ...] = ()
    resource_kind: str = ""
    resource: str = ""
    namespace: str = ""
    event_type: str = ""
    severity: str = ""
    correlation_id: str = ""
    namespaces: tuple[str, ...] | None = None

    def rows(self) -> QuerySet[AuditEvent]:
        rows = AuditEvent.objects.filter(at__gte=self.since)
        if self.until.replace(microsecond=0) < LATEST:
            rows = rows.filter(at__lt=self.until.replace(microsecond=0) + SECOND)
        for column in ("action", "resource", "namespace", "event_type", "severity", "correlation_id"):
            value = getattr(self, column)
            rows = rows.filter(**{column: value}) if value else rows
        for user in self.users:
            rows = rows.filter(user=user)
        if self.resource_kind:
            rows = rows.filter(resource_type__iexact=self.resource_kind)
        return rows if self.namespaces is None else rows.filter(namespace__in=self.namespaces)

    def batches(self) -> Iterator[list[AuditEvent]]:
        """The records, oldest first. Each batch is a query of its own, which no transaction has to stay open for."""
        rows = self.rows().order_by("at", "id")
        batch = list(rows[:BATCH])
        while batch:
            yield batch
            last = batch[-1]
            after = rows.filter(at__gte=last.at).filter(Q(at__gt=last.at) | Q(id__gt=last.id))
            batch = list(after[:BATCH]) if len(batch) == BATCH else []

    def stored(self) -> dict[str, Any]:
        return {**asdict(self), "since": format_time(self.since), "until": format_time(self.until)}

    @classmethod
    def of_stored(cls, stored: dict[str, Any]) -> Self:
        namespaces = stored["namespaces"]
        return cls(
            **{
                **stored,
                "since": parse_time(stored["since"]),
                "until": parse_time(stored["until"]),
                "users": tuple(stored["users"]),
                "namespaces": None if namespaces is None else tuple(namespaces),
            }
        )

    def told(self, format_: str, count: int) -> dict[str, Any]:
        """What the audit record of the export says."""
        chosen = {name: value for name, value in self.stored().items() if value not in ("", (), None)}
        return {**chosen, "format": format_, "records": count}


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    records: int


# --- what is written -------------------------------------------------------------------------------------------------


def file_name(format_: str, at: datetime) -> str:
    return f"audit-export-{at.astimezone(UTC):%Y%m%d}.{format_}"


class Writer:
    """Turns records into the bytes of a file and counts them. `own` is the export whose own record is left out."""

    def __init__(self, selection: Selection, format_: str, at: datetime, *, own: str = "") -> None:
        self.selection, self.format, self.at, self.own = selection, format_, at, own
        self.records = 0

    def pieces(self) -> Iterator[bytes]:
        yield from self._csv() if self.format == ExportFormat.CSV else self._json()

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        for batch in self.selection.batches():
            items = [shown(event) for event in batch if not self.own or event.resource != self.own]
            self.records += len(items)
            yield items

    def _csv(self) -> Iterator[bytes]:
        yield _lines([COLUMNS])
        for batch in self._batches():
            yield _lines([_cell(item[column]) for column in COLUMNS] for item in batch)

    def _json(self) -> Iterator[bytes]:
        """The metadata come last: they count the records that were written."""
        yield b'{"apiVersion":"v1","kind":"AuditExport","records":['
        separator = b""
        for batch in self._batches():
            if batch:
                yield separator + b",".join(orjson.dumps(item) for item in batch)
                separator = b","
        metadata = {
            "exportedAt": format_time(self.at),
            "from": format_time(self.selection.since),
            "to": format_time(self.selection.until),
            "totalRecords": self.records,
            "format": self.format,
        }
        yield b'],"metadata":' + orjson.dumps(metadata) + b"}"


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)  # RFC 4180: commas, CRLF, quotes where needed
    return out.getvalue().encode()


def _cell(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(FORMULA) else text


# --- what people ask for -----------------------------------------------------------------------------------------------


def export(*, selection: Selection, format_: str, actor: Actor, at: datetime) -> File | AuditExport:
    """The file, or above `AIOPS_EXPORT_SYNC_MAX` records the row of the job that writes it. Both are audited."""
    count = selection.rows().count()
    if count > settings.AIOPS_EXPORT_SYNC_MAX:
        return _begin(selection=selection, format_=format_, count=count, actor=actor, at=at)
    writer = Writer(selection, format_, at)
    content = b"".join(writer.pieces())
    with transaction.atomic():
        _record(file_name(format_, at), selection.told(format_, writer.records), actor, at)
    return File(content, writer.records)


@transaction.atomic
def _begin(*, selection: Selection, format_: str, count: int, actor: Actor, at: datetime) -> AuditExport:
    job = AuditExport.objects.create(
        job_id=next_name(prefix=PREFIX, at=at),
        format=format_,
        selection=selection.stored(),
        requested_by=actor.name[:253],
        estimated_records=count,
        created_at=at,
        expires_at=at + KEPT,
    )
    _record(job.job_id, selection.told(format_, count), actor, at)
    nudge(WRITE, job_id=job.job_id)
    return job


def _record(name: str, details: dict[str, Any], actor: Actor, at: datetime) -> None:
    record(Record("audit.export", actor, AuditSubject.AUDIT, name, details=details), at=at)


def content_of(job: AuditExport) -> Iterator[bytes]:
    """The file of a completed export, piece by piece."""
    parts = ExportPart.objects.filter(export=job, attempt=job.attempts).order_by("number")
    for content in parts.values_list("content", flat=True).iterator(chunk_size=4):
        yield zlib.decompress(content)


# --- what workers do -----------------------------------------------------------------------------------------------------


def write(*, job: AuditExport, at: datetime) -> bool:
    """Write the file. False when the export is not ours to write: finished, or in the hands of another worker."""
    if job.state != ExportState.PROCESSING or (job.leased_until is not None and job.leased_until > at):
        return False
    try:
        job.change(leased_until=at + LEASE, attempts=job.attempts + 1)
        ExportPart.objects.filter(export=job).delete()  # of a worker that died
        writer = Writer(Selection.of_stored(job.selection), job.format, job.created_at, own=job.job_id)
        size, digest = _store(job, writer.pieces())
        job.change(
            state=ExportState.COMPLETED,
            completed_at=at,
            records=writer.records,
            size=size,
            digest=digest,
            leased_until=None,
        )
    except LostRace:
        return False
    return True


def _store(job: AuditExport, pieces: Iterable[bytes]) -> tuple[int, str]:
    """Size in bytes and SHA-256 of the file."""
    digest, size, number, waiting = hashlib.sha256(), 0, 0, bytearray()
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        waiting += piece
        if len(waiting) >= PART:
            _store_part(job, number, waiting)
            number += 1
            waiting.clear()
    _store_part(job, number, waiting)
    return size, digest.hexdigest()


def _store_part(job: AuditExport, number: int, content: bytes | bytearray) -> None:
    ExportPart.objects.create(export=job, attempt=job.attempts, number=number, content=zlib.compress(content))


def sweep(*, at: datetime) -> None:
    """Nudge what nobody writes, give up what failed too often, and remove what has expired."""
    unclaimed = Q(leased_until__isnull=True) | Q(leased_until__lte=at)
    waiting = AuditExport.objects.filter(unclaimed, state=ExportState.PROCESSING, expires_at__gt=at)
    for job in waiting.order_by("created_at", "pk")[:LOOKED_AT]:
        if job.attempts >= ATTEMPTS:
            give_up(job)
        else:
            nudge(WRITE, job_id=job.job_id)
    expired = AuditExport.objects.filter(expires_at__lte=at, parts__isnull=False).distinct()
    ExportPart.objects.filter(export__in=list(expired[:LOOKED_AT])).delete()
    AuditExport.objects.filter(expires_at__lte=at - FORGOTTEN).delete()


def give_up(job: AuditExport) -> None:
    try:
        job.change(state=ExportState.FAILED, leased_until=None)
    except LostRace:
        return
    ExportPart.objects.filter(export=job).delete()
