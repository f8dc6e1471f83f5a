"""Keys from a file (`CHATCLI_API_KEYS_FILE`): a YAML or JSON list of records, as in the operator's `api-keys` entry.

Each web process looks at the file's stamp every few seconds and, when it changed, makes the table follow it. The import is
idempotent, so several processes may do it at once.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from aiops.apikeys import services
from aiops.apikeys.models import ApiKey, Source
from aiops.apikeys.roles import Role

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0  # seconds; a change has to act within 30
MAX_SIZE = 1024 * 1024
ENTRY = "api-keys"  # name of the list inside the operator's configuration object

Stamp = tuple[int, int, int]


@dataclass
class Look:
    """When this process looked at the file (monotonic clock), and what stamp it imported."""

    at: float = float("-inf")
    stamp: Stamp | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


last = Look()


class Unreadable(ValueError):
    """The source as a whole cannot be used; the previous keys stay in force."""


def refresh() -> None:
    """Import the file if it changed since this process last looked. Never raises: the keys in the table stay in force."""
    path = settings.AIOPS_API_KEYS_FILE
    if not path or time.monotonic() - last.at < LOOK_EVERY or not last.lock.acquire(blocking=False):
        return
    try:
        last.at = time.monotonic()
        stamp = _stamp_of(Path(path))
        if stamp != last.stamp:
            synchronize(read(Path(path)), at=timezone.now())
            last.stamp = stamp
    except (OSError, Unreadable) as error:
        log.warning("API key file not used, the previous keys stay: %s", error)
    except (DatabaseError, InterfaceError):
        log.warning("API key file not imported: the database does not answer")
    finally:
        last.lock.release()


def forget() -> None:
    """Look at the file again on the next request."""
    last.at, last.stamp = float("-inf"), None


def _stamp_of(path: Path) -> Stamp:
    found = os.stat(path)  # noqa: PTH116 - follows the symbolic links by which Kubernetes swaps mounted files
    return found.st_mtime_ns, found.st_size, found.st_ino


def read(path: Path) -> list[Any]:
    """The records as they stand in the file. Raises `Unreadable` when it is no list of records."""
    with path.open("rb") as file:
        raw = file.read(MAX_SIZE + 1)
    if len(raw) > MAX_SIZE:
        raise Unreadable("larger than 1 MiB")
    document = _parse(raw)
    if isinstance(document, dict):
        document = document.get("data", document)
        document = document.get(ENTRY) if isinstance(document, dict) else None
        if isinstance(document, str):
            document = _parse(document.encode())
    if document is None:
        document = []
    if not isinstance(document, list):
        raise Unreadable("not a list of key records")
    return document


def _parse(raw: bytes) -> Any:
    try:
        return yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Unreadable(f"not YAML ({type(error).__name__})") from error


@transaction.atomic
def synchronize(records: list[Any], *, at: datetime) -> None:
    """Make the imported keys equal to `records`: new ones come in, changed ones change, the rest is revoked."""
    wanted = {row.digest: row for row in reversed(list(_valid(records, at)))}  # the first of two equal keys counts
    stored = {row.digest: row for row in ApiKey.objects.filter(digest__in=wanted)}
    for digest, row in wanted.items():
        if digest not in stored:
            continue
        if stored[digest].source != Source.FILE:
            log.warning("API key file: %s… exists already outside the file, record skipped", row.prefix)
            continue
        ApiKey.objects.filter(digest=digest).update(
            role=row.role,
            description=row.description,
            owner=row.owner,
            expires_at=row.expires_at,
            namespaces=row.namespaces,
            clusters=row.clusters,
            revoked_at=None,
        )
    ApiKey.objects.bulk_create([row for digest, row in wanted.items() if digest not in stored], ignore_conflicts=True)
    ApiKey.objects.filter(source=Source.FILE, revoked_at=None).exclude(digest__in=wanted).update(revoked_at=at)


def _valid(records: list[Any], at: datetime) -> Iterator[ApiKey]:
    for number, record in enumerate(records, start=1):
        try:
            yield _row(record, at)
        except ValueError as error:
            log.warning("API key file: record %d skipped: %s", number, error)


def _row(record: Any, at: datetime) -> ApiKey:
    """The row of one record. Raises ValueError with a reason that does not repeat the key."""
    if not isinstance(record, dict):
        raise ValueError("not an object")
    key = record.get("key")
    if not isinstance(key, str) or not key.strip():
        raise ValueError("no key")
    if record.get("role") not in Role.values:
        raise ValueError("unknown role")
    return services.build(
        key=key.strip(),
        role=Role(record["role"]),
        at=at,
        description=_text(record, "description"),
        owner=_text(record, "owner"),
        expires_at=_time(record, "expiresAt"),
        namespaces=_names(record, "namespaces"),
        clusters=_names(record, "clusters"),
        source=Source.FILE,
    )


def _text(record: dict[str, Any], member: str) -> str:
    value = record.get(member)
    if value is None:
        return ""
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError(f"{member} is not text")
    return value.strip()[:253]


def _names(record: dict[str, Any], member: str) -> list[str]:
    value = record.get(member) or []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{member} is not a list of names")
    return value


def _time(record: dict[str, Any], member: str) -> datetime | None:
    value = record.get(member)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise ValueError(f"{member} is not a time")
    return value if value.tzinfo else value.replace(tzinfo=UTC)
