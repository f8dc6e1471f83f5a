"""Channels and policies: checked, audited, and without a way to read a secret back."""

from collections.abc import Mapping
from datetime import datetime

import orjson
from django.db import transaction

from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from aiops.encryption import decrypt, encrypt
from aiops.errors import Conflict, Invalid
from aiops.notifications.models import Channel, Policy
from aiops.notifications.rules import check_rules
from aiops.notifications.transports import TRANSPORTS

ACTIONS: Mapping[type, str] = {Channel: "notification-channel", Policy: "notification-policy"}  # in the audit log
MAX_SECRET = 4_096
MAX_PER_HOUR = 10_000
MAX_WINDOW = 86_400  # seconds


def secrets_of(channel: Channel) -> dict[str, str]:
    """In clear, for who adds to them. Raises `Unavailable` when the key that they were written with is gone."""
    return dict(orjson.loads(decrypt(bytes(channel.secrets)))) if channel.secrets else {}


@transaction.atomic
def save_channel(*, channel: Channel, secrets: Mapping[str, str], actor: Actor, at: datetime) -> Channel:
    """Create or change a channel. `secrets` are added to the stored ones; an empty text leaves one as it is.

    Raises `Invalid` whose `fields` name the offending members.
    """
    known = {**secrets_of(channel), **{name: value for name, value in secrets.items() if value}}
    check_channel(channel, known)
    channel.secrets = encrypt(orjson.dumps(known).decode())
    _save(
        channel,
        actor,
        at,
        facts={"type": channel.type, "config": channel.config, "secretsChanged": any(secrets.values())},
    )
    return channel


def check_channel(channel: Channel, secrets: Mapping[str, str]) -> None:
    """Raises `Invalid` when messages could not go out that way."""
    transport = TRANSPORTS.get(channel.type)
    if transport is None:
        raise Invalid("Invalid channel", fields={"type": [f"Known types are {', '.join(TRANSPORTS)}."]})
    fields: dict[str, list[str]] = {}
    for given, allowed, prefix in (
        (channel.config, transport.settings, "config"),
        (secrets, transport.secrets, "secrets"),
    ):
        if not isinstance(given, dict):
            fields[prefix] = ["An object is expected."]
            continue
        for name in sorted(set(given) - allowed):
            fields[f"{prefix}.{name}"] = [
                f"{channel.type} has no such member; known are {', '.join(sorted(allowed)) or 'none'}."
            ]
    if any(len(value) > MAX_SECRET for value in secrets.values()):
        fields["secrets"] = [f"A secret has at most {MAX_SECRET} characters."]
    if not fields:
        fields = {
            f"{'secrets' if name in transport.secrets else 'config'}.{name}": [why]
            for name, why in transport.check(channel.config, secrets).items()
        }
    if fields:
        raise Invalid("Invalid channel", fields=fields)


@transaction.atomic
def save_policy(*, policy: Policy, actor: Actor, at: datetime) -> Policy:
    """Create or change a policy. Raises `Invalid` whose `fields` name the offending members."""
    fields: dict[str, list[str]] = {}
    if policy.max_per_hour > MAX_PER_HOUR:
        fields["maxPerHour"] = [f"At most {MAX_PER_HOUR}."]
    if policy.deduplication_seconds > MAX_WINDOW:
        fields["deduplicationSeconds"] = [f"At most {MAX_WINDOW}, a day."]
    try:
        check_rules(policy.rules, channels=set(Channel.objects.values_list("name", flat=True)))
    except Invalid as error:
        fields |= error.fields
    if fields:
        raise Invalid("Invalid policy", fields=fields)
    _save(policy, actor, at, facts={"enabled": policy.enabled, "rules": policy.rules})
    return policy


@transaction.atomic
def remove(*, row: Channel | Policy, actor: Actor, at: datetime) -> None:
    """Delete. Raises `Conflict` for a channel that a policy names: its rules would lead nowhere."""
    if isinstance(row, Channel):
        naming = [policy.name for policy in Policy.objects.all() if _names(policy, row.name)]
        if naming:
            raise Conflict(f"Channel {row.name} is in use", f"Policy {naming[0]} names it.")
    _record("delete", row, actor, at, facts={})
    row.delete()


def _names(policy: Policy, channel: str) -> bool:
    return any(channel in rule.get("channels", ()) for rule in policy.rules if isinstance(rule, dict))


def _save(row: Channel | Policy, actor: Actor, at: datetime, *, facts: Mapping[str, object]) -> None:
    is_new = row.pk is None
    row.updated_at = at
    if is_new:
        row.created_at = at
    else:
        row.version += 1
    row.save()
    _record("create" if is_new else "update", row, actor, at, facts=facts)


def _record(verb: str, row: Channel | Policy, actor: Actor, at: datetime, *, facts: Mapping[str, object]) -> None:
    record(
        Record(
            action=f"{ACTIONS[type(row)]}.{verb}",
            actor=actor,
            resource_type="Config",
            resource=row.name,
            namespace=row.namespace,
            event_type="config_changed",
            details=dict(facts),
        ),
        at=at,
    )
