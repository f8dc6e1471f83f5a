"""What people write as an SLO, and when it is one: the same for a JSON body, an imported document and the console.

The validated values are the columns of `SLO`, but for `cluster`, which is a name until a service looks it up. A mistake is
named by its path (`alerting.burnRateThresholds[0].longWindow`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from rest_framework import serializers

from aiops.api.exceptions import flatten
from aiops.api.fields import (
    BooleanField,
    EnumField,
    IntegerField,
    ListField,
    MapField,
    NameField,
    NumberField,
    TextField,
)
from aiops.api.formats import format_duration, parse_duration
from aiops.api.serializers import Body
from aiops.errors import Invalid
from slos import promql, sla
from slos.models import BudgetingMethod, CalendarUnit, IndicatorSource, NoData, SLOType
from slos.objectives import DEFAULT_PERCENTILE

RESERVED_NAMES = frozenset({"import"})  # X9.8: it is a route
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
WINDOW = re.compile(r"[1-9][0-9]*[dh]", re.ASCII)
PERCENTILE = re.compile(r"p?([0-9]{1,2}(?:\.[0-9]{1,3})?)", re.ASCII)
START = "%Y-%m-%d %H:%M:%S"
LONGEST_WINDOW = timedelta(days=366)
LONGEST_QUERY = 8192
MOST_RULES = 20
MOST_CHANNELS = 50
MOST_LABELS = 20
PERCENT, MILLISECONDS = "%", "ms"
HOUR = timedelta(hours=1)
EXACT = Decimal("0.000001")  # what the database keeps of a target

Values = dict[str, Any]


class AlertSeverity(models.TextChoices):
    """The severities of a burn-rate rule."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    WARNING = "warning"


class ThresholdOperator(models.TextChoices):
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"


class RawType(models.TextChoices):
    SUCCESS = "success"
    FAILURE = "failure"


def _refuse(**reasons: Any) -> serializers.ValidationError:
    return serializers.ValidationError(reasons)


def _optional(limit: int, **options: Any) -> TextField:
    return TextField(max_length=limit, required=False, allow_null=True, default="", **options)


def parse_span(text: str) -> timedelta:
    """A length such as `5m`, `1h30m` or `3d`. Raises ValueError."""
    if re.fullmatch(r"[1-9][0-9]{0,3}d", text, re.ASCII):
        return timedelta(days=int(text[:-1]))
    return parse_duration(text)


class SpanField(TextField):
    """A length in Go syntax or whole days; the canonical form is kept."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            span = parse_span(text)
        except ValueError as error:
            raise serializers.ValidationError("Must be a duration such as 5m, 1h or 3d.", code="invalid") from error
        if span < timedelta(minutes=1) or span > LONGEST_WINDOW or span % timedelta(minutes=1):
            raise serializers.ValidationError("Must be whole minutes, at least one.", code="invalid")
        return format_duration(span)


class BurnRateBody(Body):
    severity = EnumField(AlertSeverity)
    shortWindow = SpanField(max_length=32)
    longWindow = SpanField(max_length=32)
    burnRate = NumberField(max_value=1_000_000)

    def validate_burnRate(self, rate: float) -> float:
        if not rate > 0:
            raise serializers.ValidationError("Must be greater than 0.")
        return rate

    def validate(self, attrs: Values) -> Values:
        if parse_span(attrs["short_window"]) >= parse_span(attrs["long_window"]):
            raise _refuse(shortWindow=["Must be shorter than longWindow."])
        return {
            "severity": attrs["severity"],
            "shortWindow": attrs["short_window"],
            "longWindow": attrs["long_window"],
            "burnRate": attrs["burn_rate"],
        }


class AlertingBody(Body):
    burnRateThresholds = ListField(child=BurnRateBody(), max_length=MOST_RULES, required=False, default=list)
    notificationChannels = ListField(
        child=TextField(max_length=253), max_length=MOST_CHANNELS, required=False, default=list
    )
    pageOnBudgetExhausted = BooleanField(required=False, default=False)
    minimumEvents = IntegerField(min_value=0, max_value=10**9, required=False, allow_null=True, default=None)

    def validate_burnRateThresholds(self, rules: list[Values]) -> list[Values]:
        seen: set[tuple[str, str]] = set()
        reasons: list[Values] = []
        for rule in rules:
            windows = (rule["shortWindow"], rule["longWindow"])
            reasons.append({"longWindow": ["Another rule has the same two windows."]} if windows in seen else {})
            seen.add(windows)
        if any(reasons):
            raise serializers.ValidationError(reasons)
        return rules

    def validate(self, attrs: Values) -> Values:
        return {
            "burn_rate_rules": attrs["burn_rate_thresholds"],
            "notification_channels": attrs["notification_channels"],
            "page_on_budget_exhausted": attrs["page_on_budget_exhausted"],
            "minimum_events": attrs["minimum_events"],
        }


class ThresholdBody(Body):
    op = EnumField(ThresholdOperator)
    value = NumberField()


class WatchedResourceBody(Body):
    kind = TextField(max_length=63)
    name = TextField(max_length=253)


class IndicatorBody(Body):
    source = EnumField(  # type: ignore[assignment]  # the contract's word hides an attribute of serializers
        IndicatorSource, required=False, default=IndicatorSource.ISSUES.value
    )
    dataSource = _optional(253)
    query = _optional(LONGEST_QUERY)
    goodEventsQuery = _optional(LONGEST_QUERY)
    badEventsQuery = _optional(LONGEST_QUERY)
    totalEventsQuery = _optional(LONGEST_QUERY)
    rawType = EnumField(RawType, required=False, allow_null=True, default="")
    threshold = ThresholdBody(required=False, allow_null=True, default=None)
    latencyPercentile = _optional(16)
    prometheus = _optional(1024)
    matchLabels = MapField(required=False, default=dict)
    resource = WatchedResourceBody(required=False, allow_null=True, default=None)

    def validate_latencyPercentile(self, text: str) -> Decimal | None:
        if not text:
            return None
        match = PERCENTILE.fullmatch(text)
        if match is None or not Decimal(match[1]) > 0:
            raise serializers.ValidationError("Must be a percentile such as p95 or p99.9.")
        return Decimal(match[1])

    def validate_prometheus(self, url: str) -> str:
        if url:
            try:
                URLValidator(schemes=["http", "https"])(url)
            except ValidationError as error:
                raise serializers.ValidationError("Must be an http or https URL.") from error
        return url

    def validate_matchLabels(self, labels: dict[str, str]) -> dict[str, str]:
        if len(labels) > MOST_LABELS:
            raise serializers.ValidationError(f"At most {MOST_LABELS} labels.")
        wrong = [name for name in labels if not promql.is_label(name)]
        if wrong:
            raise serializers.ValidationError(f"{wrong[0]} is no label of Prometheus.")
        return labels

    def validate(self, attrs: Values) -> Values:
        """The columns of the indicator. Raises when its members do not go together."""
        values = {
            "source": attrs["source"],
            "data_source": attrs["data_source"] or "",
            "query": attrs["query"] or "",
            "good_query": attrs["good_events_query"] or "",
            "bad_query": attrs["bad_events_query"] or "",
            "total_query": attrs["total_events_query"] or "",
            "raw_type": attrs["raw_type"] or "",
            "threshold_op": attrs["threshold"]["op"] if attrs["threshold"] else "",
            "threshold_value": attrs["threshold"]["value"] if attrs["threshold"] else None,
            "latency_percentile": attrs["latency_percentile"] or None,
            "prometheus_url": attrs["prometheus"] or "",
            "match_labels": attrs["match_labels"],
            "resource_kind": attrs["resource"]["kind"] if attrs["resource"] else "",
            "resource_name": attrs["resource"]["name"] if attrs["resource"] else "",
        }
        if (values["source"] == IndicatorSource.UNSUPPORTED) is not bool(values["data_source"]):
            raise _refuse(dataSource=["Goes with the source unsupported, which needs it."])
        if values["source"] == IndicatorSource.PROMETHEUS:
            _check_shape(values)
            _check_queries(values)
        elif values["source"] == IndicatorSource.UNSUPPORTED:
            _check_unsupported(values)
        else:
            _refuse_queries(values)
        return values


QUERIES = {
    "query": "query",
    "good_query": "goodEventsQuery",
    "bad_query": "badEventsQuery",
    "total_query": "totalEventsQuery",
}


def _check_shape(values: Values) -> None:
    has_events = (values["good_query"] or values["bad_query"]) and values["total_query"]
    if not values["query"] and not has_events:
        missing = "totalEventsQuery" if values["good_query"] or values["bad_query"] else "query"
        raise _refuse(**{missing: ["What is needed is query, or totalEventsQuery with one of the other two."]})
    if values["good_query"] and values["bad_query"]:
        raise _refuse(badEventsQuery=["Give either goodEventsQuery or badEventsQuery."])
    if values["threshold_op"] and not values["query"]:
        raise _refuse(threshold=["Is for the values of query, which is missing."])


def _check_queries(values: Values) -> None:
    reasons = {
        member: [complaint]
        for column, member in QUERIES.items()
        if values[column] and (complaint := promql.complaint_about(values[column]))
    }
    if reasons:
        raise serializers.ValidationError(reasons)


def _check_unsupported(values: Values) -> None:
    """Nobody here can read the queries. A source may even ask by other means than one text."""
    if any(values[column] for column in QUERIES):
        _check_shape(values)
    if values["match_labels"]:
        raise _refuse(matchLabels=["Is for the source prometheus only."])


def _refuse_queries(values: Values) -> None:
    """What would be accepted and ignored is refused: people believe in numbers they have a query for."""
    given = {member: ["Is for the source prometheus only."] for column, member in QUERIES.items() if values[column]}
    if values["match_labels"]:
        given["matchLabels"] = ["Is for the source prometheus only."]
    if values["threshold_op"]:
        given["threshold"] = ["Is for the source prometheus only."]
    if given:
        raise serializers.ValidationError(given)


class BudgetingBody(Body):
    """How the budget is counted: by events, by slices of time, or by the mean ratio of slices."""

    method = EnumField(BudgetingMethod, required=False, default=BudgetingMethod.OCCURRENCES.value)
    timeSliceWindow = SpanField(max_length=32, required=False, allow_null=True, default="", allow_blank=False)
    timeSliceTarget = NumberField(required=False, allow_null=True, default=None)
    noData = EnumField(NoData, required=False, default=NoData.IGNORE.value)

    def validate_timeSliceTarget(self, target: float | None) -> float | None:
        if target is not None and not 0 < target <= 1:
            raise serializers.ValidationError("Must be greater than 0 and at most 1.")
        return target

    def validate(self, attrs: Values) -> Values:
        method, target = attrs["method"], attrs["time_slice_target"]
        slices = parse_span(attrs["time_slice_window"]) if attrs["time_slice_window"] else None
        sliced = method != BudgetingMethod.OCCURRENCES
        if sliced and (slices is None or slices > HOUR or HOUR % slices):
            raise _refuse(timeSliceWindow=["Must be whole minutes that divide an hour."])
        if method == BudgetingMethod.TIMESLICES and target is None:
            raise _refuse(timeSliceTarget=["Is required for Timeslices."])
        return {
            "budgeting_method": method,
            "slice_seconds": int(slices.total_seconds()) if sliced and slices else None,
            "slice_target": Decimal(str(target)) if sliced and target is not None else None,
            "no_data": attrs["no_data"],
        }


class CalendarBody(Body):
    """Periods that begin at fixed times instead of a window that ends now."""

    unit = EnumField(CalendarUnit)
    count = IntegerField(min_value=1, max_value=366, required=False, default=1)
    startTime = _optional(19)
    timeZone = _optional(64)

    def validate_startTime(self, text: str) -> str:
        if text:
            try:
                datetime.strptime(text, START)
            except ValueError as error:
                raise serializers.ValidationError("Must be YYYY-MM-DD hh:mm:ss.") from error
        return text

    def validate_timeZone(self, name: str) -> str:
        if name and not sla.is_zone(name):
            raise serializers.ValidationError("Must be an IANA time zone.")
        return name

    def validate(self, attrs: Values) -> Values:
        if DAYS_OF[attrs["unit"]] * attrs["count"] > LONGEST_WINDOW.days:
            raise _refuse(count=["A period lasts at most a year."])
        return {
            "calendar_unit": attrs["unit"],
            "calendar_count": attrs["count"],
            "calendar_start": attrs["start_time"] or "",
            "time_zone": attrs["time_zone"] or "UTC",
        }


DAYS_OF = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}  # nominal lengths
ROLLING: Values = {"calendar_unit": "", "calendar_count": 1, "calendar_start": "", "time_zone": "UTC"}


class SLOBody(Body):
    name = NameField()
    namespace = TextField(required=False, default="default")
    service = TextField(max_length=253)
    type = EnumField(SLOType)
    target = NumberField()
    targetUnit = TextField(max_length=8, required=False, allow_null=True, default="")
    window = TextField(max_length=16, required=False, default="30d")
    description = _optional(4096)
    indicator = IndicatorBody(required=False, default=dict)
    alerting = AlertingBody(required=False, default=dict)
    budgeting = BudgetingBody(required=False, default=dict)
    calendar = CalendarBody(required=False, allow_null=True, default=None)
    cluster = TextField(max_length=253, required=False, allow_null=True, default="")
    labels = MapField(required=False, default=dict)
    enabled = BooleanField(required=False, default=True)

    def validate_name(self, name: str) -> str:
        if name in RESERVED_NAMES:
            raise serializers.ValidationError("Is reserved.")
        return name

    def validate_namespace(self, namespace: str) -> str:
        if not DNS_LABEL.fullmatch(namespace):
            raise serializers.ValidationError("Must be a DNS label.")
        return namespace

    def validate_target(self, target: float) -> Decimal:
        if not 0 < target < 1e9:  # also refuses NaN
            raise serializers.ValidationError("Must be greater than 0.")
        return Decimal(str(target)).quantize(EXACT)

    def validate_window(self, window: str) -> str:
        if not WINDOW.fullmatch(window) or len(window) > 6 or not timedelta(0) < parse_span(window) <= LONGEST_WINDOW:
            raise serializers.ValidationError("Must be <n>d or <n>h, at most a year.")
        return window

    def validate(self, attrs: Values) -> Values:
        """Flattens the nested objects into columns."""
        values = {name: value for name, value in attrs.items() if name not in PARTS}
        for part, empty in PARTS.items():
            if part in attrs:
                values |= attrs[part] or empty()
        if values.get("calendar_unit"):
            values["window"] = f"{DAYS_OF[values['calendar_unit']] * values['calendar_count']}d"
        if "cluster" in values:
            values["cluster"] = values["cluster"] or ""
        return values


def _defaults(body: type[Body]) -> Values:
    """What an object says that is not there."""
    serializer = body(data={})
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


PARTS: dict[str, Callable[[], Values]] = {
    "indicator": lambda: _defaults(IndicatorBody),
    "alerting": lambda: _defaults(AlertingBody),
    "budgeting": lambda: _defaults(BudgetingBody),
    "calendar": lambda: dict(ROLLING),
}


class SLOUpdateBody(SLOBody):
    """Any subset. `name` and `namespace` may be sent, but not changed."""

    name = NameField(required=False)


def read(body: Mapping[str, Any], *, merge: bool = False) -> Values:
    """The validated columns; with `merge` only those that `body` names. Raises `Invalid` with `fields`.

    `check` looks at them together with the columns that are not named.
    """
    serializer = (SLOUpdateBody if merge else SLOBody)(data=dict(body), merge=merge)
    if not serializer.is_valid():
        raise Invalid("The SLO is not valid", fields=flatten(serializer.errors))
    return dict(serializer.validated_data)


def check(values: Values) -> Values:
    """The columns of a whole SLO as they are stored: defaults that depend on others filled in, contradictions refused.

    Raises `Invalid` with `fields`.
    """
    fields: dict[str, list[str]] = {}
    is_latency = values["type"] == SLOType.LATENCY
    unit = MILLISECONDS if is_latency else PERCENT
    if values["target_unit"] not in {"", None, unit}:
        fields["targetUnit"] = [f"Must be {unit} for this type."]
    if not is_latency and values["target"] >= 100:
        fields["target"] = ["Must be less than 100 percent."]
    if values["latency_percentile"] is not None and not is_latency:
        fields["indicator.latencyPercentile"] = ["Is for the type latency only."]
    if fields:
        raise Invalid("The SLO is not valid", fields=fields)
    query = values["query"] if values["source"] == IndicatorSource.PROMETHEUS else ""
    percentile = values["latency_percentile"] or _percentile(query) if is_latency else None
    return values | {"target_unit": unit, "latency_percentile": percentile}


def _percentile(query: str) -> Decimal:
    """The percentile that the query asks for, else the usual one."""
    found = promql.percentile(query) if query else None
    return Decimal(f"{found:.3f}").normalize() if found and 0 < found < 100 else DEFAULT_PERCENTILE


# --- back to what people write -----------------------------------------------------------------------------------------------


def body_of(slo: Any) -> Values:
    """The complete body that makes this SLO: what a client could have sent, every member present."""
    return {
        "name": slo.name,
        "namespace": slo.namespace,
        "service": slo.service,
        "type": str(slo.type),
        "target": float(slo.target),
        "targetUnit": slo.target_unit,
        "window": slo.window,
        "description": slo.description or None,
        "indicator": indicator_of(slo),
        "alerting": {
            "burnRateThresholds": slo.burn_rate_rules,
            "notificationChannels": slo.notification_channels,
            "pageOnBudgetExhausted": slo.page_on_budget_exhausted,
            "minimumEvents": slo.minimum_events,
        },
        "budgeting": budgeting_of(slo),
        "calendar": calendar_of(slo),
        "cluster": slo.cluster.name if slo.cluster else None,
        "labels": slo.labels,
        "enabled": slo.enabled,
    }


def indicator_of(slo: Any) -> Values:
    threshold = {"op": slo.threshold_op, "value": slo.threshold_value} if slo.threshold_op else None
    resource = {"kind": slo.resource_kind, "name": slo.resource_name} if slo.resource_name else None
    return {
        "source": str(slo.source),
        "dataSource": slo.data_source or None,
        "query": slo.query or None,
        "goodEventsQuery": slo.good_query or None,
        "badEventsQuery": slo.bad_query or None,
        "totalEventsQuery": slo.total_query or None,
        "rawType": slo.raw_type or None,
        "threshold": threshold,
        "latencyPercentile": percentile_of(slo),
        "prometheus": slo.prometheus_url or None,
        "matchLabels": slo.match_labels,
        "resource": resource,
    }


def budgeting_of(slo: Any) -> Values:
    return {
        "method": str(slo.budgeting_method),
        "timeSliceWindow": format_duration(timedelta(seconds=slo.slice_seconds)) if slo.slice_seconds else None,
        "timeSliceTarget": None if slo.slice_target is None else float(slo.slice_target),
        "noData": str(slo.no_data),
    }


def percentile_of(slo: Any) -> str | None:
    """`p99` or `p99.9`; None where the SLO is about no percentile."""
    if slo.latency_percentile is None:
        return None
    return f"p{float(slo.latency_percentile):g}"


def calendar_of(slo: Any) -> Values | None:
    if not slo.calendar_unit:
        return None
    return {
        "unit": str(slo.calendar_unit),
        "count": slo.calendar_count,
        "startTime": slo.calendar_start or None,
        "timeZone": slo.time_zone,
    }
