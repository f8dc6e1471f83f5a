"""Incident SLAs as the API shows and takes them (extensions X6)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import (
    BooleanField,
    EnumField,
    IntegerField,
    JsonField,
    ListField,
    NullableText,
    NumberField,
    TextField,
)
from aiops.api.serializers import ObjectSerializer, Rendered, Shape, Stored
from incidents.states import Severity
from slos import sla_definitions
from slos.models import LIVE, ClockState, IncidentSLA

Method = serializers.SerializerMethodField
NUMBER: dict[str, Any] = {"type": ["number", "null"]}


class IncidentSLASpec(Stored):
    severity = EnumField(Severity)
    service = TextField(allow_null=True)
    incidentNamespace = TextField(allow_null=True)
    environment = TextField(allow_null=True)
    enabled = BooleanField()
    responseTime = TextField(allow_null=True)
    mitigationTime = TextField(allow_null=True)
    resolutionTime = TextField(allow_null=True)
    businessHoursOnly = BooleanField()
    businessHours = JsonField()
    escalationPolicyRef = TextField(allow_null=True)
    notificationChannels = ListField(child=TextField())


class SLACompliance(Shape):
    # of the last 30 days

    met = IntegerField()
    breached = IntegerField()
    percent = NumberField(allow_null=True)


class IncidentSLAStatus(Shape):
    # context: `compliance`, kind -> figures

    running = Method()
    breached = Method()
    compliance = Method()

    def get_running(self, row: IncidentSLA) -> int:
        """Clocks that run now."""
        return sum(count for state, count in self.context["clocks"].items() if state in LIVE)

    def get_breached(self, row: IncidentSLA) -> int:
        """Clocks that run now although they are past due."""
        count: int = self.context["clocks"].get(ClockState.BREACHED, 0)
        return count

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "object", "additionalProperties": NUMBER}})
    def get_compliance(self, row: IncidentSLA) -> dict[str, Rendered]:
        return {kind: SLACompliance.render(found) for kind, found in self.context["compliance"].items()}


class IncidentSLADocument(ObjectSerializer):
    KIND = "IncidentSLA"

    spec = Method()
    status = IncidentSLAStatus(source="*")

    @extend_schema_field(IncidentSLASpec)
    def get_spec(self, row: IncidentSLA) -> Rendered:
        return sla_definitions.spec_of(row)


class IncidentSLAItem(Shape):
    name = TextField()
    namespace = TextField()
    severity = EnumField(Severity)
    service = NullableText()
    incidentNamespace = NullableText()
    environment = NullableText()
    enabled = BooleanField()
    responseTime = Method()
    mitigationTime = Method()
    resolutionTime = Method()

    @extend_schema_field({"type": ["string", "null"]})
    def get_responseTime(self, row: IncidentSLA) -> str | None:
        return sla_definitions.duration(row.response_seconds)

    @extend_schema_field({"type": ["string", "null"]})
    def get_mitigationTime(self, row: IncidentSLA) -> str | None:
        return sla_definitions.duration(row.mitigation_seconds)

    @extend_schema_field({"type": ["string", "null"]})
    def get_resolutionTime(self, row: IncidentSLA) -> str | None:
        return sla_definitions.duration(row.resolution_seconds)
