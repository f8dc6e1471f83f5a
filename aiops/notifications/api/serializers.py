"""Channels, notification policies and deliveries (extensions X6)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import (
    BooleanField,
    DurationField,
    EnumField,
    IntegerField,
    ListField,
    MapField,
    NameField,
    NullableText,
    ObjectField,
    TextField,
    TimeField,
)
from aiops.api.formats import format_duration
from aiops.api.policies import MASK
from aiops.api.serializers import Body, ObjectSerializer, Rendered, Shape
from aiops.notifications import configuration
from aiops.notifications.models import Channel, Policy
from aiops.notifications.rules import CRITERIA

Method = serializers.SerializerMethodField


class ChannelType(models.TextChoices):
    """The keys of `TRANSPORTS`."""

    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"


class DeliveryState(models.TextChoices):
    """`Notification.State` under the name that it has in OpenAPI."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class ChannelSpec(Shape):
    type = EnumField(ChannelType)
    enabled = BooleanField()
    config = ObjectField()
    secrets = Method()

    @extend_schema_field(MapField())
    def get_secrets(self, row: Channel) -> dict[str, str]:
        """Which secrets are set, never what they are."""
        return dict.fromkeys(sorted(configuration.secrets_of(row)), MASK)


class ChannelItem(ChannelSpec):
    name = TextField()
    namespace = TextField()
    creationTimestamp = TimeField(source="created_at")


class ChannelDocument(ObjectSerializer):
    KIND = Channel.KIND

    spec = ChannelSpec(source="*")


class ChannelUpdateBody(Body):
    type = EnumField(ChannelType, required=False, default="webhook")
    enabled = BooleanField(required=False, default=True)
    config = ObjectField(required=False, default=dict)
    secrets = MapField(required=False, default=dict, write_only=True)


class ChannelBody(ChannelUpdateBody):
    name = NameField()
    namespace = TextField(max_length=253, required=False, default="default")
    type = EnumField(ChannelType)


class Throttle(Shape):
    maxPerHour = IntegerField()
    deduplicationWindow = Method()

    def get_deduplicationWindow(self, row: Policy) -> str:
        return format_duration(timedelta(seconds=row.deduplication_seconds))


class NotificationRule(Shape):
    """Of the criteria an empty one fits anything; all must hold."""

    name = TextField()
    events = ListField(child=TextField())
    severities = ListField(child=TextField())
    signalTypes = ListField(child=TextField())
    namespaces = ListField(child=TextField())
    resourceKinds = ListField(child=TextField())
    states = ListField(child=TextField())
    clusters = ListField(child=TextField())
    channels = ListField(child=TextField())
    template = TextField()


class NotificationPolicySpec(Shape):
    enabled = BooleanField()
    throttle = Throttle(source="*")
    rules = Method()

    @extend_schema_field(NotificationRule(many=True))
    def get_rules(self, row: Policy) -> list[Rendered]:
        return [flat(rule) for rule in row.rules if isinstance(rule, dict)]


def flat(rule: Mapping[str, Any]) -> Rendered:
    """A stored rule with its criteria beside its name."""
    wanted = rule.get("match") or {}
    return {
        "name": rule.get("name", ""),
        **{member: wanted.get(member, []) for member in CRITERIA},
        "channels": rule.get("channels", []),
        "template": rule.get("template", ""),
    }


def nested(rule: Any) -> Any:
    """A rule as it is stored: criteria, which may stand beside the name, under `match`; empty ones say nothing."""
    if not isinstance(rule, dict):
        return rule
    stored = {name: value for name, value in rule.items() if name not in CRITERIA and value not in (None, "")}
    stored.pop("match", None)
    given = rule.get("match") or {}
    if not isinstance(given, dict):
        return rule  # refused as it is
    wanted = {**given, **{name: value for name, value in rule.items() if name in CRITERIA}}
    return {**stored, "match": {name: value for name, value in wanted.items() if value not in (None, [])}}


class NotificationPolicyItem(NotificationPolicySpec):
    name = TextField()
    namespace = TextField()
    creationTimestamp = TimeField(source="created_at")


class NotificationPolicyDocument(ObjectSerializer):
    KIND = Policy.KIND

    spec = NotificationPolicySpec(source="*")


class ThrottleBody(Body):
    maxPerHour = IntegerField(min_value=1, max_value=configuration.MAX_PER_HOUR, required=False, default=10)
    deduplicationWindow = DurationField(
        maximum=timedelta(seconds=configuration.MAX_WINDOW), required=False, default=timedelta(minutes=5)
    )


class NotificationPolicyUpdateBody(Body):
    enabled = BooleanField(required=False, default=True)
    throttle = ThrottleBody(required=False)
    rules = ListField(child=ObjectField(), required=False, default=list, max_length=100)


class NotificationPolicyBody(NotificationPolicyUpdateBody):
    name = NameField()
    namespace = TextField(max_length=253, required=False, default="default")


class DeliveryItem(Shape):
    channel = TextField(source="channel_name")
    type = TextField(source="channel_type")
    target = NullableText()
    event = TextField()
    subject = TextField()
    incident = NullableText(source="incident_name")
    state = EnumField(DeliveryState)
    reason = NullableText()
    attempts = IntegerField()
    lastError = NullableText()
    createdAt = TimeField()
    sentAt = TimeField(allow_null=True)
