"""What the database keeps as JSON in the contract's own words, described for OpenAPI and passed through."""

from datetime import timedelta
from typing import Any

from aiops.api.fields import BooleanField, EnumField, IntegerField, JsonField, ListField, MapField, TextField, TimeField
from aiops.api.formats import format_duration
from aiops.api.serializers import Stored
from incidents.states import Severity


def texts() -> Any:
    return ListField(child=TextField())


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
