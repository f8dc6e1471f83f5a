"""Keys as a web process remembers them, so that most authenticated requests cost no query.

A row is trusted for `FRESH` seconds: that is how long a revocation may take to reach every process. Unknown keys are not
remembered, so a new key works at once.
"""

import logging
import secrets
import time
from dataclasses import dataclass, field
from hashlib import blake2b

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from aiops.apikeys import keyfile, services
from aiops.apikeys.caller import Caller
from aiops.apikeys.models import ApiKey, Source
from aiops.apikeys.roles import Role

log = logging.getLogger(__name__)

FRESH = 3.0  # seconds
CAPACITY = 10_000  # remembered keys; a process that meets more starts anew
# Names the keys in memory, which never holds one itself. No attacker knows it, and it goes with the process, so a fast hash
# does: 0.8 instead of the 4.2 µs of the digest in the table.
PEPPER = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Known:
    """A key as it was read, and who calls with it."""

    read_at: float  # monotonic clock
    row: ApiKey
    caller: Caller


@dataclass
class Memory:
    """What this process remembers; times are of the monotonic clock."""

    known: dict[bytes, Known] = field(default_factory=dict)
    any_key: bool = False
    any_key_read_at: float = float("-inf")


memory = Memory()


def lookup(key: str) -> Caller | None:
    """Who calls with the key, or None unless it is active. Notes the use of it."""
    keyfile.refresh()
    now = time.monotonic()
    name = blake2b(key.encode(), key=PEPPER, digest_size=32).digest()
    known = memory.known.get(name)
    if known is None or now - known.read_at > FRESH:
        row = services.find(key)
        if row is None:
            memory.known.pop(name, None)
            return None
        if len(memory.known) >= CAPACITY:
            memory.known.clear()
        caller = Caller(role=Role(row.role), identity=row.identity, subject=f"key:{row.pk}", scope=row.scope)
        memory.known[name] = known = Known(now, row, caller)
    row = known.row
    at = timezone.now()
    if not row.is_active(at) or (row.source == Source.FILE and not settings.AIOPS_API_KEYS_FILE):
        return None
    try:
        services.note_use(api_key=row, at=at)
    except (DatabaseError, InterfaceError):
        log.warning("the last use of key %s was not written", row.prefix)
    return known.caller


def is_empty() -> bool:
    """Whether no key is configured at all (AUTH-4), as of at most `FRESH` seconds ago."""
    keyfile.refresh()
    now = time.monotonic()
    if now - memory.any_key_read_at > FRESH:
        keys = ApiKey.objects.active(timezone.now())
        if not settings.AIOPS_API_KEYS_FILE:
            keys = keys.exclude(source=Source.FILE)
        memory.any_key, memory.any_key_read_at = keys.exists(), now
    return not memory.any_key


def forget() -> None:
    """Drop what is remembered here, so that a change made in this process counts at once."""
    memory.known.clear()
    memory.any_key_read_at = float("-inf")
