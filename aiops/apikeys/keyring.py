"""Keys as a web process remembers them, so that most authenticated requests cost no query.

A row is trusted for `FRESH` seconds: that is how long a revocation may take to reach every process. Unknown keys are not
remembered, so a new key works at once.
"""

import logging
import time
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from aiops.apikeys import keyfile, services
from aiops.apikeys.models import ApiKey, Source

log = logging.getLogger(__name__)

FRESH = 3.0  # seconds
CAPACITY = 10_000  # remembered keys; a process that meets more starts anew


@dataclass
class Memory:
    """What this process remembers; times are of the monotonic clock."""

    known: dict[str, tuple[float, ApiKey]] = field(default_factory=dict)
    any_key: bool = False
    any_key_read_at: float = float("-inf")


memory = Memory()


def lookup(key: str) -> ApiKey | None:
    """The active row of a key, or None. Notes the use of it."""
    keyfile.refresh()
    now = time.monotonic()
    name = services.digest_of(key)
    known = memory.known.get(name)
    if known is None or now - known[0] > FRESH:
        row = services.find(key)
        if row is None:
            memory.known.pop(name, None)
            return None
        if len(memory.known) >= CAPACITY:
            memory.known.clear()
        memory.known[name] = known = (now, row)
    row = known[1]
    at = timezone.now()
    if not row.is_active(at) or (row.source == Source.FILE and not settings.AIOPS_API_KEYS_FILE):
        return None
    try:
        services.note_use(api_key=row, at=at)
    except (DatabaseError, InterfaceError):
        log.warning("the last use of key %s was not written", row.prefix)
    return row


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
