"""SLOs as the API shows and takes them (api.md 8, extensions X5)."""

import datetime as dt
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import (
    BooleanField,
    EnumField,
    IntegerField,
    ListField,
    MapField,
    NullableText,
    NumberField,
    TextField,
    TimeField,
)
from aiops.api.formats import format_percent
from aiops.api.serializers import Body, Document, Metadata, ObjectSerializer, Rendered, Shape, Stored
from slos import definitions, figures
from slos.budget import Trend
from slos.figures import Figures
from slos.models import SLO, BudgetingMethod, CalendarUnit, IndicatorSource, NoData, SLOType, Status
from slos.services import reports

Method = serializers.SerializerMethodField
INVALID = "aiops/invalid"
PERCENT = {"type": ["string", "null"], "pattern": "^[0-9]{1,3}%$", "examples": ["63%"]}
NUMBER = {"type": ["number", "null"]}
MOST_MINUTES = 366 * 24 * 60  # of an adjustment


class SLOStatusWord(models.TextChoices):
    """SLO-1, under a name of its own in the OpenAPI document."""

    HEALTHY = str(Status.HEALTHY)
    WARNING = str(Status.WARNING)
    BREACHED = str(Status.BREACHED)


def _percent(value: float | None) -> str | None:
    return None if value is None else format_percent(value)


def _texts() -> Any:
    return ListField(child=TextField())


# --- lists -------------------------------------------------------------------------------------------------------------------


class SLOItem(Shape):
    # context: `now`

    name = TextField()
    namespace = TextField()
    service = TextField()
    type = EnumField(SLOType)
    target = NumberField()
    targetUnit = TextField()
    current = Method()
    status = EnumField(SLOStatusWord)
    statusReason = NullableText()
    budgetRemaining = Method()
    window = TextField()
    lastUpdated = TimeField(source="evaluated_at", allow_null=True)

    @extend_schema_field(NUMBER)
    def get_current(self, slo: SLO) -> float | None:
        return figures.rounded(slo.current)

    @extend_schema_field(PERCENT)
    def get_budgetRemaining(self, slo: SLO) -> str | None:
        return _percent(figures.figures_of(slo, self.context["now"]).remaining_percent)


# --- one SLO -----------------------------------------------------------------------------------------------------------------


class SLOMetadata(Metadata):
    annotations = Method()  # type: ignore[assignment]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_annotations(self, slo: SLO) -> dict[str, str]:
        """X5 marks what cannot be measured; an SLO that was never looked at is not invalid yet."""
        is_invalid = slo.invalid or (slo.current is None and bool(slo.status_reason))
        return {**slo.annotations, **({INVALID: "true"} if is_invalid else {})}


class Threshold(Stored):
    op = serializers.ChoiceField(choices=definitions.ThresholdOperator.choices)
    value = NumberField()


class Resource(Stored):
    kind = TextField()
    name = TextField()


class Indicator(Stored):
    source = EnumField(IndicatorSource)  # type: ignore[assignment]  # the contract's word
    dataSource = TextField(allow_null=True)
    query = TextField(allow_null=True)
    goodEventsQuery = TextField(allow_null=True)
    badEventsQuery = TextField(allow_null=True)
    totalEventsQuery = TextField(allow_null=True)
    rawType = EnumField(definitions.RawType, allow_null=True)
    threshold = Threshold(allow_null=True)
    latencyPercentile = TextField(allow_null=True)
    prometheus = TextField(allow_null=True)
    matchLabels = MapField()
    resource = Resource(allow_null=True)


class BurnRateThreshold(Stored):
    severity = EnumField(definitions.AlertSeverity)
    shortWindow = TextField()
    longWindow = TextField()
    burnRate = NumberField()


class Alerting(Shape):
    burnRateThresholds = Method()
    notificationChannels = _texts()
    pageOnBudgetExhausted = BooleanField()
    minimumEvents = IntegerField(allow_null=True)

    @extend_schema_field(BurnRateThreshold(many=True))
    def get_burnRateThresholds(self, slo: SLO) -> list[Rendered]:
        return reports.rules_shown(slo)


class Budgeting(Stored):
    method = EnumField(BudgetingMethod)
    timeSliceWindow = TextField(allow_null=True)
    timeSliceTarget = NumberField(allow_null=True)
    noData = EnumField(NoData)


class Calendar(Stored):
    unit = EnumField(CalendarUnit)
    count = IntegerField()
    startTime = TextField(allow_null=True)
    timeZone = TextField()


class SLOSpec(Shape):
    service = TextField()
    type = EnumField(SLOType)
    target = NumberField()
    targetUnit = TextField()
    window = TextField()
    description = NullableText()
    enabled = BooleanField()
    cluster = Method()
    indicator = Method()
    alerting = Alerting(source="*")
    budgeting = Method()
    calendar = Method()

    def get_cluster(self, slo: SLO) -> str | None:
        return slo.cluster.name if slo.cluster else None

    @extend_schema_field(Indicator)
    def get_indicator(self, slo: SLO) -> Rendered:
        return definitions.indicator_of(slo)

    @extend_schema_field(Budgeting)
    def get_budgeting(self, slo: SLO) -> Rendered:
        return definitions.budgeting_of(slo)

    @extend_schema_field(Calendar(allow_null=True))
    def get_calendar(self, slo: SLO) -> Rendered | None:
        return definitions.calendar_of(slo)


class DayValue(Shape):
    date = serializers.DateField()
    value = NumberField(allow_null=True)


class ActiveAlert(Shape):
    window = TextField(help_text="`<short>/<long>`, `budget-exhausted` or `no-data`")
    burnRate = NumberField(allow_null=True, help_text="Null for `no-data`")
    severity = TextField()
    firedAt = TimeField()


class BurnedByIncident(Shape):
    incident = TextField()
    minutes = NumberField()
    share = NumberField(allow_null=True)


def burn_rates(slo: SLO, prefix: str = "") -> dict[str, float | None]:
    """Of the four windows that the contract names; unknown together with the rest (X9.3)."""
    known: Mapping[str, Any] = slo.burn_rates if slo.current is not None else {}
    rates = {window: known.get(window) for window in ("1h", "6h", "24h", "72h")}
    return {
        f"{prefix}{window}": None if rate is None else round(max(0.0, rate), figures.VALUE_DIGITS)
        for window, rate in rates.items()
    }


RATES = {"type": "object", "additionalProperties": NUMBER}


class SLOStatus(Shape):
    # context: `figures`, `window`, `days`, `burned`

    current = Method()
    currentWithMaintenance = Method()
    status = EnumField(SLOStatusWord)
    statusReason = NullableText()
    targetMet = Method()
    budgetTotal = Method()
    budgetConsumed = Method()
    budgetRemaining = Method()
    budgetRemainingPercent = Method()
    budgetConsumedWithMaintenance = Method()
    windowStart = Method()
    windowEnd = Method()
    lastUpdated = TimeField(source="evaluated_at", allow_null=True)
    coverage = Method()
    burnRate = Method()
    activeAlerts = Method()
    warnings = _texts()
    incidents = Method()
    history = Method()

    @property
    def figures(self) -> Figures:
        found: Figures = self.context["figures"]
        return found

    @extend_schema_field(NUMBER)
    def get_current(self, slo: SLO) -> float | None:
        return figures.rounded(slo.current)

    @extend_schema_field(NUMBER)
    def get_currentWithMaintenance(self, slo: SLO) -> float | None:
        """The share of good events or time, planned maintenance included, in percent."""
        known = slo.current is not None and slo.sli_with_maintenance is not None
        return figures.rounded(100 * (slo.sli_with_maintenance or 0)) if known else None

    @extend_schema_field({"type": ["boolean", "null"]})
    def get_targetMet(self, slo: SLO) -> bool | None:
        return None if slo.current is None else slo.target_met

    def get_budgetTotal(self, slo: SLO) -> float:
        return self.figures.total

    @extend_schema_field(NUMBER)
    def get_budgetConsumed(self, slo: SLO) -> float | None:
        return self.figures.consumed

    @extend_schema_field(NUMBER)
    def get_budgetRemaining(self, slo: SLO) -> float | None:
        return self.figures.remaining

    @extend_schema_field(PERCENT)
    def get_budgetRemainingPercent(self, slo: SLO) -> str | None:
        return _percent(self.figures.remaining_percent)

    @extend_schema_field(NUMBER)
    def get_budgetConsumedWithMaintenance(self, slo: SLO) -> float | None:
        return figures.rounded(slo.budget_consumed_with_maintenance) if slo.current is not None else None

    def get_windowStart(self, slo: SLO) -> datetime:
        start: datetime = self.context["window"].start
        return start

    def get_windowEnd(self, slo: SLO) -> datetime:
        end: datetime = self.context["window"].end
        return end

    @extend_schema_field(NUMBER)
    def get_coverage(self, slo: SLO) -> float | None:
        return figures.rounded(slo.coverage)

    @extend_schema_field(RATES)
    def get_burnRate(self, slo: SLO) -> dict[str, float | None]:
        return burn_rates(slo)

    @extend_schema_field(ActiveAlert(many=True))
    def get_activeAlerts(self, slo: SLO) -> list[Rendered]:
        return ActiveAlert.render_all(alert for alert in slo.alerts.all() if alert.cleared_at is None)

    @extend_schema_field(BurnedByIncident(many=True))
    def get_incidents(self, slo: SLO) -> list[Rendered]:
        return BurnedByIncident.render_all(self.context["burned"])

    @extend_schema_field(DayValue(many=True))
    def get_history(self, slo: SLO) -> list[Rendered]:
        return DayValue.render_all(self.context["days"])


class SLODocument(ObjectSerializer):
    KIND = "SLO"

    metadata = SLOMetadata(source="*")
    spec = SLOSpec(source="*")
    status = SLOStatus(source="*")


# --- sub-documents -----------------------------------------------------------------------------------------------------------


class Named(Shape):
    name = TextField()
    namespace = TextField()


class BurnRates(Stored):
    current1h = NumberField(allow_null=True)
    current6h = NumberField(allow_null=True)
    current24h = NumberField(allow_null=True)
    current72h = NumberField(allow_null=True)


class Forecast(Stored):
    exhaustionDate = TimeField(allow_null=True)
    earliest = TimeField(allow_null=True)
    latest = TimeField(allow_null=True)
    daysRemaining = NumberField(allow_null=True)
    trend = serializers.ChoiceField(choices=[str(trend) for trend in Trend])


class BudgetEntry(Shape):
    date = Method()
    consumed = NumberField()
    cumulative = NumberField()
    remainingPercent = NumberField()
    adjustment = NumberField()

    @extend_schema_field({"type": "string", "description": "A date, or for hours a time"})
    def get_date(self, entry: reports.Entry) -> dt.date | dt.datetime:
        return entry.date


class Budget(Shape):
    target = NumberField()
    window = TextField()
    totalMinutes = NumberField()
    allowedDowntimeMinutes = NumberField()
    consumedDowntimeMinutes = NumberField(allow_null=True)
    remainingDowntimeMinutes = NumberField(allow_null=True)
    remainingPercent = NumberField(allow_null=True)
    burnRate = BurnRates()
    forecast = Forecast()
    history = BudgetEntry(many=True)


class SLOBudgetDocument(Document):
    KIND = "SLOBudget"

    metadata = Named()
    budget = Budget()


def budget_document(slo: SLO, granularity: str, at: datetime) -> Rendered:
    known, window = figures.figures_of(slo, at), figures.window_of(slo, at)
    forecast = slo.forecast if slo.current is not None else {}
    percent = known.remaining_percent
    return SLOBudgetDocument.render(
        {
            "metadata": {"name": slo.name, "namespace": slo.namespace},
            "budget": {
                "target": slo.target,
                "window": slo.window,
                "total_minutes": window.length / reports.MINUTE,
                "allowed_downtime_minutes": known.total,
                "consumed_downtime_minutes": known.consumed,
                "remaining_downtime_minutes": known.remaining,
                "remaining_percent": None if percent is None else round(percent, 1),
                "burn_rate": burn_rates(slo, "current"),
                "forecast": {
                    "exhaustionDate": forecast.get("exhaustionDate"),
                    "earliest": forecast.get("earliest"),
                    "latest": forecast.get("latest"),
                    "daysRemaining": forecast.get("daysRemaining"),
                    "trend": forecast.get("trend") or str(Trend.STABLE),
                },
                "history": reports.budget_history(slo, granularity, at),
            },
        }
    )


class GateSpec(Shape):
    minimumBudgetPercent = NumberField()


class GateStatus(Shape):
    allow = BooleanField()
    reason = TextField()


class SLOGateDocument(Document):
    KIND = "SLOGate"

    metadata = Named()
    spec = GateSpec()
    status = GateStatus()


class RejectedSLO(Shape):
    document = IntegerField(min_value=1, help_text="Counts from 1")
    name = TextField()
    reason = TextField()


class Doubt(Shape):
    document = IntegerField(min_value=1)
    name = TextField()
    warning = TextField()


class SLOImportStatus(Shape):
    created = _texts()
    updated = _texts()
    unchanged = _texts()
    rejected = RejectedSLO(many=True)
    warnings = Doubt(many=True)


class SLOImportDocument(Document):
    KIND = "SLOImport"

    status = SLOImportStatus()


class AdjustmentMetadata(Shape):
    name = TextField()
    namespace = TextField()
    createdAt = TimeField()
    createdBy = TextField()


class AdjustmentSpec(Shape):
    minutes = NumberField()
    reason = TextField()
    at = TimeField()


class SLOAdjustmentDocument(Document):
    KIND = "SLOAdjustment"

    metadata = AdjustmentMetadata()
    spec = AdjustmentSpec()


class AdjustmentBody(Body):
    """Positive minutes are bad time, negative ones give time back."""

    minutes = NumberField()
    reason = TextField(max_length=4096)
    at = TimeField(required=False, allow_null=True, default=None)

    def validate_minutes(self, minutes: float) -> float:
        if not math.isfinite(minutes) or not 0 < abs(minutes) <= MOST_MINUTES:
            raise serializers.ValidationError("Must be minutes other than 0, at most a year.")
        return minutes
