"""What people write as an incident SLA, and when it is one: the same for a JSON body and the console.

The validated values are the columns of `IncidentSLA`; a mistake is named by its path (`businessHours.timezone`).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rest_framework import serializers

from aiops.api.exceptions import flatten
from aiops.api.fields import BooleanField, EnumField, JsonField, ListField, MapField, NameField, TextField
from aiops.api.formats import format_duration
from aiops.api.serializers import Body
from aiops.errors import Invalid
from incidents.states import Severity
from slos import sla
from slos.definitions import DNS_LABEL, MOST_CHANNELS, SpanField, Values, parse_span

PROMISES = {
    "response_time": "response_seconds",
    "mitigation_time": "mitigation_seconds",
    "resolution_time": "resolution_seconds",
}


def _time() -> SpanField:
    return SpanField(max_length=32, required=False, allow_null=True, default="", allow_blank=False)


def _scope(limit: int = 253) -> TextField:
    return TextField(max_length=limit, required=False, allow_null=True, default="")


class IncidentSLABody(Body):
    name = NameField()
    namespace = TextField(required=False, default="default")
    severity = EnumField(Severity)
    service = _scope()
    incidentNamespace = _scope()
    environment = _scope(32)
    enabled = BooleanField(required=False, default=True)
    responseTime = _time()
    mitigationTime = _time()
    resolutionTime = _time()
    businessHoursOnly = BooleanField(required=False, default=False)
    businessHours = JsonField(required=False, allow_null=True, default=dict)
    escalationPolicyRef = _scope()
    notificationChannels = ListField(
        child=TextField(max_length=253), max_length=MOST_CHANNELS, required=False, default=list
    )
    labels = MapField(required=False, default=dict)

    def validate_namespace(self, namespace: str) -> str:
        if not DNS_LABEL.fullmatch(namespace):
            raise serializers.ValidationError("Must be a DNS label.")
        return namespace

    def validate_businessHours(self, written: Any) -> Any:
        found = sla.complaints(written)
        if found:
            raise serializers.ValidationError(dict(found))
        return written

    def validate(self, attrs: Values) -> Values:
        values = dict(attrs)
        for member, column in PROMISES.items():
            if member in values:
                text = values.pop(member)
                values[column] = int(parse_span(text).total_seconds()) if text else None
        if "escalation_policy_ref" in values:
            values["escalation_policy"] = values.pop("escalation_policy_ref")
        return values


class IncidentSLAUpdateBody(IncidentSLABody):
    """Any subset. `name` and `namespace` may be sent, but not changed."""

    name = NameField(required=False)


def read(body: Mapping[str, Any], *, merge: bool = False) -> Values:
    """The validated columns; with `merge` only those that `body` names. Raises `Invalid` with `fields`."""
    serializer = (IncidentSLAUpdateBody if merge else IncidentSLABody)(data=dict(body), merge=merge)
    if not serializer.is_valid():
        raise Invalid("The SLA is not valid", fields=flatten(serializer.errors))
    return dict(serializer.validated_data)


def body_of(row: Any) -> Values:
    """The complete body that makes this SLA, every member present."""
    return {"name": row.name, "namespace": row.namespace, **spec_of(row), "labels": row.labels}


def duration(seconds: int | None) -> str | None:
    return format_duration(timedelta(seconds=seconds)) if seconds else None


def spec_of(row: Any) -> Values:
    return {
        "severity": str(row.severity),
        "service": row.service or None,
        "incidentNamespace": row.incident_namespace or None,
        "environment": row.environment or None,
        "enabled": row.enabled,
        "responseTime": duration(row.response_seconds),
        "mitigationTime": duration(row.mitigation_seconds),
        "resolutionTime": duration(row.resolution_seconds),
        "businessHoursOnly": row.business_hours_only,
        "businessHours": row.business_hours,
        "escalationPolicyRef": row.escalation_policy or None,
        "notificationChannels": row.notification_channels,
    }
