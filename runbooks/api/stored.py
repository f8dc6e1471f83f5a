"""What the database keeps as JSON in the contract's own words, described for OpenAPI and passed through."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import BooleanField, EnumField, IntegerField, JsonField, ListField, MapField, TextField, TimeField
from aiops.api.formats import format_duration
from aiops.api.serializers import Shape
from incidents.states import Severity


class Stored(Shape):
    """A stored object: its members are camelCase in the database as well."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return serializers.Serializer.get_fields(self)


def texts() -> Any:
    return ListField(child=TextField())


@extend_schema_field({"type": ["string", "null"]})
class NullableText(serializers.Field[str, Any, str | None, Any]):
    """An empty text in the database is unknown: null in the API (NUL-1)."""

    def to_representation(self, value: str) -> str | None:
        return value or None


def average_duration(seconds: float, count: int) -> str | None:
    return format_duration(timedelta(seconds=round(seconds / count))) if count else None


class Step(Stored):
    name = TextField()
    description = TextField()
    action = TextField()
    command = TextField(allow_null=True)
    timeout = TextField(help_text="Duration in Go syntax")
    continueOnFailure = BooleanField()
    params = MapField()


class MatchConditions(Stored):
    resourceTypes = texts()
    descriptionPatterns = texts()
    namespaces = texts()


class Trigger(Stored):
    signalType = TextField(allow_null=True)
    severity = EnumField(Severity, allow_null=True)
    resourceKind = TextField(allow_null=True)


class TypedAction(Stored):
    type = TextField()
    params = MapField()


class Target(Stored):
    kind = TextField()
    name = TextField()
    namespace = TextField()


class BlastRadius(Stored):
    riskLevel = TextField()
    affectedPods = IntegerField()
    affectedServices = texts()
    warnings = texts()


class Evidence(Stored):
    type = TextField()
    data = JsonField()  # type: ignore[assignment]  # a member, not the property of serializers
    timestamp = TimeField()


class Checkpoint(Stored):
    actionIndex = IntegerField(min_value=0)
    actionType = TextField()
    success = BooleanField()
    timestamp = TimeField()


class AgenticStep(Stored):
    stepNumber = IntegerField(min_value=1)
    aiMessage = TextField()
    action = TypedAction(allow_null=True)
    observation = TextField()
    timestamp = TimeField()
