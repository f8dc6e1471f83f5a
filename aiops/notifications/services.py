"""Writes the outbox: who is to hear of what. Rows are made in the caller's transaction; `delivery` sends them afterwards."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Max, QuerySet

from aiops import bulk
from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from aiops.errors import Conflict
from aiops.notifications import texts
from aiops.notifications.messages import Message
from aiops.notifications.models import Attachment, Channel, Notification, Policy
from aiops.notifications.rules import matches
from aiops.nudges import nudge_rows
from aiops.redaction import redact, redact_details
from aiops.statements import Shapes, Slot, Statement

__all__ = ["Message", "announce", "hold", "release", "retry"]

State = Notification.State
HOUR = timedelta(hours=1)
ATTACHMENTS_KEPT = timedelta(days=30)
DELIVER = "aiops.notifications.tasks.deliver"
MAX_NUDGES = 20  # of one call; the sweep finds the others
TOGETHER = 4  # messages that one worker delivers one after the other, while others take the next four
CHANNELS = Statement(lambda: Channel.objects.filter(enabled=True))
POLICIES = Statement(lambda: Policy.objects.filter(enabled=True))
SHAPED = 4  # channels, and subjects, up to which what they heard is constant SQL
HEARD = Shapes(SHAPED * SHAPED)


@dataclass(frozen=True, slots=True)
class _Address:
    """One recipient of one message, and the limits of the policy that chose it (None: no limits)."""

    message: Message
    channel: Channel
    policy: Policy | None = None
    template: str = ""


@dataclass(slots=True)
class _Usage:
    """What a channel heard of a subject within the last hour."""

    count: int = 0
    last: dict[str, datetime] | None = None


def announce(*messages: Message, at: datetime) -> None:
    """Store `messages` for every channel that a policy, or the message itself, names. Sends nothing yet.

    A channel gets a message once, however many rules match. Repetitions and what exceeds the hourly limit are stored as
    suppressed, with the reason. Four statements however many messages, none when nobody listens.
    """
    assert connection.in_atomic_block, "a message belongs into the transaction of the change that it tells"
    if not messages:
        return
    channels = {channel.name: channel for channel in CHANNELS.all()}
    if not channels:
        return
    policies = POLICIES.all()
    addresses = [address for message in messages for address in _addresses(message, policies, channels)]
    if not addresses:
        return
    usage = _usage(addresses, at)
    rows = [_row(address, usage, at) for address in addresses]
    _drop_overtaken(messages, at)
    # a key that exists already was announced already: the row that stands wins
    bulk.create(rows, ignore_conflicts=True)
    _deliver_now(*(row.key for row in rows if row.due_at == at))


def _deliver_now(*keys: str) -> None:
    nudge_rows(DELIVER, *keys[:MAX_NUDGES], each=TOGETHER)


def _addresses(message: Message, policies: Sequence[Policy], channels: dict[str, Channel]) -> Iterator[_Address]:
    if message.channels:
        for name in dict.fromkeys(message.channels):
            if name in channels:
                yield _Address(message, channels[name])
        return
    context = message.context()
    taken: set[str] = set()
    for policy in policies:
        for rule in policy.rules:
            if not matches(rule, context):
                continue
            for name in rule.get("channels", ()):
                if name in channels and name not in taken:
                    taken.add(name)
                    yield _Address(message, channels[name], policy, rule.get("template") or "")


def _usage(addresses: Sequence[_Address], at: datetime) -> dict[tuple[str, str], _Usage]:
    longest = max((address.policy.deduplication_seconds for address in addresses if address.policy), default=0)
    since = at - max(HOUR, timedelta(seconds=longest))
    channels = sorted({address.channel.name for address in addresses})
    subjects = sorted({address.message.subject_name for address in addresses})
    usage: dict[tuple[str, str], _Usage] = {}
    for row in _heard(channels, subjects, since):
        entry = usage.setdefault((row["channel_name"], row["subject_name"]), _Usage(last={}))
        entry.count += row["count"]
        if entry.last is not None:
            entry.last[row["event"]] = row["newest"]
    return usage


def _heard(channels: Sequence[str], subjects: Sequence[str], since: datetime) -> Iterable[dict[str, Any]]:
    """How many messages of which event these channels got about these subjects, and when the last one."""
    if max(len(channels), len(subjects)) > SHAPED:
        return _counted(channels, subjects, since)
    values: dict[str, Any] = {f"channel{number}": name for number, name in enumerate(channels)}
    values |= {f"subject{number}": name for number, name in enumerate(subjects)}
    slots = [Slot(name) for name in values]
    shape = (len(channels), len(subjects))
    statement = HEARD.statement(shape, lambda: _counted(slots[: shape[0]], slots[shape[0] :], Slot("since")))
    return statement.all(**values, since=since)


def _counted(channels: Any, subjects: Any, since: Any) -> QuerySet[Notification, Any]:
    rows = Notification.objects.filter(channel_name__in=channels, subject_name__in=subjects, created_at__gt=since)
    rows = rows.exclude(state=State.SUPPRESSED).order_by()
    return rows.values("channel_name", "subject_name", "event").annotate(count=Count("pk"), newest=Max("created_at"))


def _refusal(address: _Address, usage: _Usage, at: datetime) -> str:
    """Why the message is not sent; empty when it is."""
    message, policy = address.message, address.policy
    if policy is None or message.terminal:
        return ""
    last = (usage.last or {}).get(message.event)
    if last is not None and not message.occurrence and at - last < timedelta(seconds=policy.deduplication_seconds):
        return f"repeated within {policy.deduplication_seconds} s"
    if usage.count >= policy.max_per_hour:
        return f"more than {policy.max_per_hour} within an hour"
    return ""


def _row(address: _Address, usages: dict[tuple[str, str], _Usage], at: datetime) -> Notification:
    message, channel = address.message, address.channel
    usage = usages.setdefault((channel.name, message.subject_name), _Usage(last={}))
    refusal = _refusal(address, usage, at)
    held = message.hold_until if message.hold_until and message.hold_until > at else None
    if not refusal:
        usage.count += 1
        usage.last = {**(usage.last or {}), message.event: at}
    context = redact_details(message.context())
    return Notification(
        channel=channel,
        channel_name=channel.name,
        channel_type=channel.type,
        event=message.event,
        key=_key(message, channel, at),
        subject_kind=message.subject_kind,
        subject_name=message.subject_name,
        incident_name=message.incident_name,
        subject=redact(texts.subject_of(context)),
        body=redact(texts.body_of(context, address.template)),
        context=context,
        attachment=message.attachment,
        state=State.SUPPRESSED if refusal else State.PENDING,
        reason=refusal,
        created_at=at,
        due_at=None if refusal else held or at,
        hold_until=held,
    )


def _key(message: Message, channel: Channel, at: datetime) -> str:
    occurrence = message.occurrence or at.isoformat()
    parts = (message.event, message.subject_kind, message.subject_name, str(channel.uid), occurrence)
    return "ntf_" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def _drop_overtaken(messages: Sequence[Message], at: datetime) -> None:
    """What was held back while an incident slept is no news once it is over: only the end is told."""
    over = {message.incident_name for message in messages if message.terminal and message.incident_name}
    if over:
        Notification.objects.filter(incident_name__in=over, state=State.PENDING, hold_until__gt=at).update(
            state=State.SUPPRESSED, reason="over before it could be sent", due_at=None, version=F("version") + 1
        )


def hold(incident_name: str, until: datetime) -> int:
    """Send nothing of the incident before `until` (INC-7). Returns how many messages that delays."""
    return Notification.objects.filter(incident_name=incident_name, state=State.PENDING).update(
        hold_until=until, due_at=until, version=F("version") + 1
    )


def release(incident_name: str) -> int:
    """End a `hold` early: what was held back is due at once. Returns how many messages that frees."""
    held = Notification.objects.filter(incident_name=incident_name, state=State.PENDING, hold_until__isnull=False)
    return held.update(hold_until=None, due_at=F("created_at"), version=F("version") + 1)


def forget_attachments(*, at: datetime) -> None:
    """Delete old files; the log of what was sent stays."""
    Attachment.objects.filter(created_at__lt=at - ATTACHMENTS_KEPT).delete()


def forget(*, at: datetime, limit: int = 20_000) -> int:
    """Delete the oldest messages that are done with, at most `limit`; returns how many."""
    days = settings.AIOPS_NOTIFICATION_RETENTION_DAYS
    if not days:
        return 0
    old = Notification.objects.filter(created_at__lt=at - timedelta(days=days)).exclude(state=State.PENDING)
    names = list(old.order_by("created_at").values_list("pk", flat=True)[:limit])
    return Notification.objects.filter(pk__in=names).delete()[0]


@transaction.atomic
def retry(*, notification: Notification, actor: Actor, at: datetime) -> Notification:
    """Send a dead letter again, with all its attempts. Raises `Conflict` for any other message."""
    changes: dict[str, Any] = {"state": State.PENDING, "attempts": 0, "due_at": at, "hold_until": None}
    failed = Notification.objects.filter(pk=notification.pk, state=State.FAILED)
    if not failed.update(**changes, version=F("version") + 1):
        raise Conflict("Only a failed notification can be sent again")
    notification.refresh_from_db()
    record(
        Record(
            action="notification.retry",
            actor=actor,
            resource_type="Config",
            resource=notification.key,
            correlation_id=notification.incident_name,
            details={"channel": notification.channel_name, "event": notification.event},
        ),
        at=at,
    )
    _deliver_now(notification.key)
    return notification
