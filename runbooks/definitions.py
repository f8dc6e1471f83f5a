"""What people write as a runbook, and when it is one: the same for a JSON body, a YAML document and the built-in library.

The validated values are the columns of `Runbook` as they are stored; a mistake is named by its path (`steps[1].action`).
"""

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rest_framework import serializers

from aiops.api.exceptions import flatten
from aiops.api.fields import (
    BooleanField,
    DurationField,
    EnumField,
    IntegerField,
    ListField,
    MapField,
    NameField,
    TextField,
)
from aiops.api.formats import format_duration
from aiops.api.serializers import Body
from aiops.errors import Invalid
from incidents.states import Severity
from runbooks import actions, kubectl, matching
from runbooks.models import Category

# the contract's verbs beside the typed actions
KUBECTL, SCRIPT, AI_ANALYZE, NOTIFICATION, WAIT = "kubectl", "script", "ai-analyze", "notification", "wait"
VERBS = frozenset({KUBECTL, SCRIPT, AI_ANALYZE, NOTIFICATION, WAIT})
COMMANDED = frozenset({KUBECTL, SCRIPT})

RESERVED_NAMES = frozenset({"import"})  # X9.8: they are routes
MOST_STEPS = 50
MOST_CONDITIONS = 100
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
SIGNAL_TYPE = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)

Values = dict[str, Any]


def _refuse(**reasons: Any) -> serializers.ValidationError:
    return serializers.ValidationError(reasons)


class StepBody(Body):
    name = TextField(max_length=253)
    description = TextField(max_length=4096)
    action = TextField(
        max_length=64, help_text="`kubectl`, `script`, `ai-analyze`, `notification`, `wait` or an action type"
    )
    command = TextField(max_length=kubectl.LONGEST, required=False, allow_null=True, default=None)
    timeout = DurationField(
        above=timedelta(0), maximum=timedelta(hours=24), required=False, default=timedelta(seconds=60)
    )
    continueOnFailure = BooleanField(required=False, default=False)
    params = MapField(required=False, default=dict)

    def validate_action(self, action: str) -> str:
        if action not in VERBS | actions.ACTION_TYPES:
            raise serializers.ValidationError("Is neither one of the verbs nor an action type.")
        return action

    def validate(self, attrs: Values) -> Values:
        """The step as it is stored. A command is translated when it runs; here it only has to be one."""
        command = attrs["command"] or None
        if attrs["action"] in COMMANDED and command is None:
            raise _refuse(command=["Is required for this action."])
        if attrs["action"] == KUBECTL:
            _check_command(str(command))
        complaints = actions.validate(attrs["action"], attrs["params"])
        if complaints:
            raise _refuse(params=complaints)
        return {
            "name": attrs["name"],
            "description": attrs["description"],
            "action": attrs["action"],
            "command": command,
            "timeout": format_duration(timedelta(seconds=math.ceil(attrs["timeout"].total_seconds()))),
            "continueOnFailure": attrs["continue_on_failure"],
            "params": attrs["params"],
        }


def _check_command(command: str) -> None:
    try:
        parsed = kubectl.parse(command)
    except kubectl.CommandError as error:
        raise _refuse(command=[str(error)]) from error
    if isinstance(parsed, kubectl.Change):
        # a placeholder is filled in when the plan is made
        params = {name: kubectl.PLACEHOLDER.sub("x", value) for name, value in parsed.params.items()}
        complaints = actions.validate(parsed.action, params)
        if complaints:
            raise _refuse(command=[f"{name}: {reason}" for name, reasons in complaints.items() for reason in reasons])


def _texts(**options: Any) -> Any:
    return ListField(child=TextField(**options), max_length=MOST_CONDITIONS, required=False, default=list)


def no_conditions() -> Values:
    return {"resourceTypes": [], "descriptionPatterns": [], "namespaces": []}


class MatchConditionsBody(Body):
    resourceTypes = _texts(max_length=63)
    descriptionPatterns = _texts(max_length=matching.PATTERN_MAX)
    namespaces = _texts(max_length=253)

    def validate_descriptionPatterns(self, patterns: list[str]) -> list[str]:
        reasons: dict[Any, Any] = {
            index: [reason] for index, one in enumerate(patterns) if (reason := matching.complaint_about(one))
        }
        if reasons:
            raise serializers.ValidationError(reasons)
        return patterns

    def validate(self, attrs: Values) -> Values:
        return {
            "resourceTypes": attrs["resource_types"],
            "descriptionPatterns": attrs["description_patterns"],
            "namespaces": attrs["namespaces"],
        }


class TriggerBody(Body):
    signalType = TextField(max_length=63, required=False, allow_null=True, default=None)
    severity = EnumField(Severity, required=False, allow_null=True, default=None)
    resourceKind = TextField(max_length=63, required=False, allow_null=True, default=None)

    def validate_signalType(self, signal_type: str) -> str:
        if signal_type and not SIGNAL_TYPE.fullmatch(signal_type):
            raise serializers.ValidationError("Must be lower-case letters, digits and '_', beginning with a letter.")
        return signal_type

    def validate(self, attrs: Values) -> Values:
        return {
            "signalType": attrs["signal_type"] or None,
            "severity": attrs["severity"],
            "resourceKind": attrs["resource_kind"] or None,
        }


class RunbookBody(Body):
    name = NameField()
    category = EnumField(Category)
    description = TextField(max_length=4096)
    severity = ListField(child=EnumField(Severity), min_length=1, max_length=4)
    automated = BooleanField(required=False, default=False)
    approvalRequired = BooleanField(required=False, default=True)
    rollbackOnFailure = BooleanField(required=False, default=True)
    steps = ListField(child=StepBody(), min_length=1, max_length=MOST_STEPS)
    matchConditions = MatchConditionsBody(required=False, default=no_conditions)
    namespace = TextField(required=False, default="default")
    trigger = TriggerBody(required=False, allow_null=True, default=None)
    maxAttempts = IntegerField(required=False, default=3, min_value=1, max_value=10)
    labels = MapField(required=False, default=dict)

    def validate_name(self, name: str) -> str:
        if name in RESERVED_NAMES:
            raise serializers.ValidationError("Is reserved.")
        return name

    def validate_namespace(self, namespace: str) -> str:
        if not DNS_LABEL.fullmatch(namespace):
            raise serializers.ValidationError("Must be a DNS label.")
        return namespace

    def validate_severity(self, severities: list[str]) -> list[str]:
        if len(set(severities)) < len(severities):
            raise serializers.ValidationError("Must be distinct.")
        return severities

    def validate_steps(self, steps: list[Values]) -> list[Values]:
        seen: set[str] = set()
        reasons: list[Values] = []
        for step in steps:
            reasons.append({"name": ["Must be unique in the runbook."]} if step["name"] in seen else {})
            seen.add(step["name"])
        if any(reasons):
            raise serializers.ValidationError(reasons)
        return steps


class RunbookUpdateBody(RunbookBody):
    """Any subset. `name` and `namespace` may be sent, but not changed."""

    name = NameField(required=False)


def read(body: Mapping[str, Any], *, merge: bool = False) -> Values:
    """The validated columns; with `merge` only those that `body` names. Raises `Invalid` with `fields`."""
    serializer = (RunbookUpdateBody if merge else RunbookBody)(data=dict(body), merge=merge)
    if not serializer.is_valid():
        raise Invalid("The runbook is not valid", fields=flatten(serializer.errors))
    return dict(serializer.validated_data)
