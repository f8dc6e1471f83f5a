"""Making, finding and withdrawing API keys."""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.crypto import salted_hmac

from aiops.apikeys.models import ApiKey, Source
from aiops.apikeys.roles import Role

ISSUED_PREFIX = "ck_live_"
ALPHABET = string.ascii_letters + string.digits
ISSUED_LENGTH = 43  # characters of a 62-letter alphabet: 256 bits
LAST_USE_EVERY = timedelta(minutes=1)


def digest_of(key: str, *, secret: str | bytes | None = None) -> str:
    """What is stored instead of the key. The pepper comes from SECRET_KEY, so a stolen table cannot be searched offline."""
    return salted_hmac("aiops.apikeys", key, secret=secret, algorithm="sha256").hexdigest()


def fingerprint_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def shown_prefix(key: str) -> str:
    """Enough to tell keys apart in a list, and for a short foreign key never more than a quarter of it."""
    length = len(ISSUED_PREFIX) + 4 if key.startswith(ISSUED_PREFIX) else min(4, len(key) // 4)
    return key[:length]


def build(
    *,
    key: str,
    role: Role,
    at: datetime,
    description: str = "",
    owner: str = "",
    expires_at: datetime | None = None,
    namespaces: Iterable[str] = (),
    clusters: Iterable[str] = (),
    source: Source = Source.CREATED,
) -> ApiKey:
    return ApiKey(
        prefix=shown_prefix(key),
        digest=digest_of(key),
        fingerprint=fingerprint_of(key),
        role=role,
        description=description,
        owner=owner,
        expires_at=expires_at,
        namespaces=list(namespaces),
        clusters=list(clusters),
        source=source,
        created_at=at,
    )


def create(
    *,
    role: Role,
    at: datetime,
    description: str = "",
    owner: str = "",
    expires_at: datetime | None = None,
    namespaces: Iterable[str] = (),
    clusters: Iterable[str] = (),
) -> tuple[ApiKey, str]:
    """Make a key. The second value is the key itself, which exists nowhere else and is shown once."""
    key = ISSUED_PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(ISSUED_LENGTH))
    row = build(
        key=key,
        role=role,
        at=at,
        description=description,
        owner=owner,
        expires_at=expires_at,
        namespaces=namespaces,
        clusters=clusters,
    )
    row.save(force_insert=True)
    return row, key


def revoke(*, api_key: ApiKey, at: datetime) -> None:
    """Withdraw a key; other processes notice within `keyring.FRESH`. A second call changes nothing."""
    ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=at)
    api_key.refresh_from_db()


def find(key: str) -> ApiKey | None:
    """The row of a key, also of a revoked or expired one. One indexed query; SECRET_KEY_FALLBACKS count."""
    digests = [digest_of(key), *(digest_of(key, secret=old) for old in settings.SECRET_KEY_FALLBACKS)]
    row = ApiKey.objects.filter(digest__in=digests).first()
    if row is None or not any(hmac.compare_digest(row.digest, digest) for digest in digests):
        return None
    return row


def note_use(*, api_key: ApiKey, at: datetime) -> None:
    """Remember the last use, at most once a minute: reading costs no write."""
    if api_key.last_used_at is not None and at - api_key.last_used_at < LAST_USE_EVERY:
        return
    api_key.last_used_at = at
    ApiKey.objects.filter(pk=api_key.pk).update(last_used_at=at)
