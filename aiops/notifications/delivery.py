"""Sends what is due. At least once: a worker that dies between sending and noting it leaves a row that is sent again.

A row is claimed by compare-and-set, which moves its due time behind a lease: of two workers one delivers, and what a dead
worker claimed becomes due again. The idempotency key is the same for all attempts.
"""

import random
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import orjson
import structlog
from django.db import transaction
from django.db.models import F

from aiops.encryption import decrypt
from aiops.errors import Unavailable
from aiops.notifications.models import Channel, Notification
from aiops.notifications.signals import notification_sent
from aiops.notifications.transports import TRANSPORTS, Envelope, File, TransportError
from aiops.redaction import redact

logger = structlog.get_logger(__name__)

State = Notification.State
MAX_ATTEMPTS = 8
LEASE = timedelta(seconds=120)  # longer than any transport may take
FIRST_WAIT = 10.0  # seconds
GROWTH = 2.7  # so that the last of eight attempts comes an hour after the one before
LONGEST_WAIT = 3_600.0
BATCH = 200
BUDGET = 20.0  # seconds of one sweep; what is left is due at the next one


def sweep(*, at: datetime) -> int:
    """Deliver what is due, the longest waiting first. Returns how many messages went out.

    A channel that fails once is left alone for the rest of the sweep, so one that hangs delays the others by one time-out.
    """
    started, sent = monotonic(), 0
    failing: set[str] = set()
    due = Notification.objects.filter(state=State.PENDING, due_at__lte=at).order_by("due_at", "pk")
    for notification in list(due.select_related("channel", "attachment")[:BATCH]):
        if monotonic() - started > BUDGET:
            break
        if notification.channel_name in failing:
            continue
        outcome = deliver(notification=notification, at=at)
        sent += outcome is State.SENT
        if outcome is State.PENDING:
            failing.add(notification.channel_name)
    return sent


def deliver(*, notification: Notification, at: datetime) -> Notification.State | None:
    """Try once. Returns the state that follows, None when the message is not ours to send (claimed, held, done)."""
    if not _claim(notification, at):
        return None
    try:
        _send(notification, at)
    except TransportError as error:
        return _failed(notification, error, at)
    return _sent(notification, at)


def _claim(notification: Notification, at: datetime) -> bool:
    if notification.state != State.PENDING or notification.due_at is None or notification.due_at > at:
        return False
    claimed = Notification.objects.filter(
        pk=notification.pk, version=notification.version, state=State.PENDING, due_at__lte=at
    ).update(version=F("version") + 1, attempts=F("attempts") + 1, due_at=at + LEASE)
    if claimed:
        notification.version += 1
        notification.attempts += 1
    return bool(claimed)


def _send(notification: Notification, at: datetime) -> None:
    channel = notification.channel
    if channel is None or not channel.enabled:
        raise TransportError("the channel was removed or disabled", permanent=True)
    transport = TRANSPORTS.get(channel.type)
    if transport is None:
        raise TransportError(f"there is no transport {channel.type}", permanent=True)
    secrets = secrets_of(channel)
    notification.target = transport.target(channel.config, secrets)[:512]
    envelope = Envelope(
        key=notification.key,
        event=notification.event,
        subject=notification.subject,
        body=notification.body,
        context=notification.context,
        sent_at=at,
        attachment=_file(notification),
    )
    transport.send(envelope, channel.config, secrets)


def _file(notification: Notification) -> File | None:
    attached = notification.attachment
    return None if attached is None else File(attached.name, attached.media_type, bytes(attached.content))


def secrets_of(channel: Channel) -> dict[str, str]:
    """The channel's secrets in clear. Raises `TransportError` when the key is gone: somebody may bring it back."""
    if not channel.secrets:
        return {}
    try:
        secrets: dict[str, str] = orjson.loads(decrypt(bytes(channel.secrets)))
    except Unavailable as error:
        raise TransportError(error.message) from error
    return secrets


@transaction.atomic
def _sent(notification: Notification, at: datetime) -> Notification.State:
    # first what follows, then the row itself: everybody who changes both takes the incident's row first
    notification_sent.send(Notification, notification=notification, at=at)
    # not by version: a message that was put on hold while it was on its way has been sent all the same
    _finish(notification, state=State.SENT, sent_at=at, due_at=None, target=notification.target, last_error="")
    return State.SENT


def _failed(notification: Notification, error: TransportError, at: datetime) -> Notification.State:
    reason = redact(error.message)[:1024]
    if error.permanent or notification.attempts >= MAX_ATTEMPTS:
        _finish(notification, state=State.FAILED, due_at=None, target=notification.target, last_error=reason)
        logger.error(
            "notification_dead_letter",
            key=notification.key,
            channel=notification.channel_name,
            message_event=notification.event,
            attempts=notification.attempts,
            reason=reason,
        )
        return State.FAILED
    due_at = at + wait_before(notification.attempts, error.retry_after)
    # by version: who put it on hold meanwhile decides when it is due
    Notification.objects.filter(pk=notification.pk, version=notification.version).update(
        target=notification.target, last_error=reason, due_at=due_at, version=F("version") + 1
    )
    logger.warning("notification_delayed", key=notification.key, channel=notification.channel_name, reason=reason)
    return State.PENDING


def _finish(notification: Notification, **changes: Any) -> None:
    Notification.objects.filter(pk=notification.pk, state=State.PENDING).update(**changes, version=F("version") + 1)
    for field, value in changes.items():
        setattr(notification, field, value)


def wait_before(attempts: int, retry_after: float | None) -> timedelta:
    """How long to wait after `attempts` failures: 10 s, growing to an hour, up to a fifth less by chance, or what we were told."""
    wait = min(FIRST_WAIT * GROWTH ** (attempts - 1), LONGEST_WAIT)
    wait *= 1 - random.random() / 5  # noqa: S311 - spreads retries, protects nothing
    return timedelta(seconds=max(wait, retry_after or 0.0))
