"""Writing an SLO as an OpenSLO v1 object. Pure; `slos.openslo` reads it again and finds the same SLO."""

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiops.documents import Document
from slos.definitions import parse_span
from slos.openslo import (
    API_VERSION,
    EXTRAS,
    LETTERS,
    OURS,
    PROMETHEUS,
    UNSUPPORTED,
    indicator_name,
    policy_name,
    queries_of,
    read,
    rules_of,
)
from slos.shapes import Body

MINUTE = timedelta(minutes=1)
MAPS = frozenset({"labels", "matchLabels"})  # their keys are people's words


def write(body: Body, imported: Mapping[str, Any]) -> Body:
    """The SLO as one OpenSLO object. `body` is complete (`documents.body_of`); `imported` is what a document said beside it."""
    document = _document(body, imported)
    again = read([Document(1, 1, document)])[0]
    assert not again.problem, again.problem
    extras = _difference(body, again.body)
    if extras:
        document["metadata"]["annotations"][EXTRAS] = json.dumps(extras, sort_keys=True, ensure_ascii=False)
    if not document["metadata"]["annotations"]:
        del document["metadata"]["annotations"]
    return document


def _document(body: Body, imported: Mapping[str, Any]) -> Body:
    metadata: Body = {"name": body["name"]}
    if imported.get("displayName"):
        metadata["displayName"] = imported["displayName"]
    if body["labels"]:
        lists = imported.get("labelLists") or {}
        metadata["labels"] = {
            key: lists[key] if key in lists and ",".join(lists[key]) == value else value
            for key, value in body["labels"].items()
        }
    metadata["annotations"] = dict(imported.get("annotations") or {})
    method = body["budgeting"]["method"]
    spec: Body = {"description": body["description"]} if body["description"] else {}
    spec |= {
        "service": body["service"],
        "indicator": _write_indicator(body, imported),
        "timeWindow": [_write_window(body, imported.get("calendar"))],
        "budgetingMethod": method,
        "objectives": [_write_objective(body, imported.get("objective") or {})],
    }
    policies = _write_policies(body, imported.get("alertPolicies") or [])
    if policies:
        spec["alertPolicies"] = policies
    return {"apiVersion": API_VERSION, "kind": "SLO", "metadata": metadata, "spec": spec}


def _write_indicator(body: Body, imported: Mapping[str, Any]) -> Body:
    indicator = body["indicator"]
    kept = imported.get("indicator") or {}
    if indicator["source"] == PROMETHEUS:
        metric = _write_metric(indicator, _prometheus(indicator))
    elif indicator["source"] == UNSUPPORTED:
        metric = _write_metric(indicator, _unsupported(indicator, imported.get("metricSources") or {}))
    else:
        metric = {"ratioMetric": _ours(indicator["source"])}
    description = {"description": kept["description"]} if kept.get("description") else {}
    metadata = kept.get("metadata") or {"name": indicator_name(body["name"])}
    return {"metadata": metadata, "spec": {**description, **metric}}


def _write_metric(indicator: Body, sources: Mapping[str, Body]) -> Body:
    """`sources` by the members that they are for."""
    parts = {member: {"metricSource": source} for member, source in sources.items()}
    if "totalEventsQuery" in parts:
        first, member = ("bad", "badEventsQuery") if "badEventsQuery" in parts else ("good", "goodEventsQuery")
        return {"ratioMetric": {"counter": True, first: parts[member], "total": parts["totalEventsQuery"]}}
    if indicator["threshold"]:
        return {"thresholdMetric": parts["query"]}
    return {"ratioMetric": {"raw": parts["query"], "rawType": indicator["rawType"] or "success"}}


def _written(indicator: Body) -> dict[str, str]:
    """The queries that OpenSLO has a place for: those of events, else the one of a ready value."""
    members = ("goodEventsQuery", "badEventsQuery", "totalEventsQuery") if indicator["totalEventsQuery"] else ("query",)
    return {member: indicator[member] for member in members if indicator[member]}


def _prometheus(indicator: Body) -> dict[str, Body]:
    return {member: {"type": "Prometheus", "spec": {"query": query}} for member, query in _written(indicator).items()}


def _unsupported(indicator: Body, kept: Mapping[str, Any]) -> dict[str, Body]:
    """The sources as the document had them, as far as nobody changed the SLO since."""
    kind, queries = indicator["dataSource"], _written(indicator)
    kinds = ", ".join(dict.fromkeys(str(source.get("type")) for source in kept.values()))
    if kept and kinds == kind and queries_of(kept) == queries:
        return dict(kept)
    return {member: {"type": kind, "spec": {"query": query}} for member, query in queries.items()} or {
        "query": {"type": kind, "spec": {}}
    }


def _ours(source: str) -> Body:
    metric = {"metricSource": {"type": OURS, "spec": {"source": source}}}
    return {"good": metric, "total": metric}


def _write_window(body: Body, idle: Any) -> Body:
    """`idle` is the calendar that a document gave to its rolling window."""
    calendar = body["calendar"]
    if calendar is None:
        return {"duration": body["window"], "isRolling": True, **({"calendar": idle} if idle else {})}
    written = {"startTime": calendar["startTime"], "timeZone": calendar["timeZone"]}
    return {
        "duration": f"{calendar['count']}{LETTERS[calendar['unit']]}",
        "isRolling": False,
        "calendar": {member: value for member, value in written.items() if value},
    }


def _write_objective(body: Body, kept: Mapping[str, Any]) -> Body:
    objective: Body = {"displayName": kept["displayName"]} if kept.get("displayName") else {}
    objective["target"] = float(Decimal(str(share_of(body))) / 100)
    threshold = body["indicator"]["threshold"]
    if threshold and not body["indicator"]["totalEventsQuery"]:
        objective |= {"op": threshold["op"], "value": threshold["value"]}
    budgeting = body["budgeting"]
    if budgeting["method"] != "Occurrences":
        minutes = parse_span(budgeting["timeSliceWindow"]) // MINUTE
        objective["timeSliceWindow"] = f"{minutes}m"
    if budgeting["timeSliceTarget"] is not None:
        objective["timeSliceTarget"] = budgeting["timeSliceTarget"]
    return objective


def share_of(body: Mapping[str, Any]) -> Decimal:
    """The share of good events that the SLO promises, in percent."""
    if body["type"] == "latency":
        return Decimal(str(body["indicator"]["latencyPercentile"]).lstrip("p"))
    target = Decimal(str(body["target"]))
    return 100 - target if body["type"] == "error_rate" else target


def _write_policies(body: Body, kept: list[Any]) -> list[Any]:
    rules = body["alerting"]["burnRateThresholds"]
    if kept and rules_of(kept) == rules:
        return kept
    if not rules:
        return []
    conditions = [_write_condition(body["name"], number, rule) for number, rule in enumerate(rules, 1)]
    policy = {
        "kind": "AlertPolicy",
        "metadata": {"name": policy_name(body["name"])},
        "spec": {"alertWhenBreaching": True, "conditions": conditions},
    }
    return [policy]


def _write_condition(name: str, number: int, rule: Mapping[str, Any]) -> Body:
    minutes = parse_span(rule["longWindow"]) // MINUTE
    lookback = f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
    condition = {"kind": "burnrate", "op": "gt", "threshold": rule["burnRate"], "lookbackWindow": lookback}
    return {
        "kind": "AlertCondition",
        "metadata": {"name": f"{name}-burn-rate-{number}"},
        "spec": {"severity": rule["severity"], "condition": condition},
    }


def _difference(wanted: Body, got: Mapping[str, Any]) -> Body:
    """What must be said beside `got` so that it means `wanted`. Members that `got` lacks count with their defaults."""
    found: Body = {}
    for member, value in wanted.items():
        mine = got.get(member)
        if isinstance(value, dict) and isinstance(mine, dict | None) and member not in MAPS:
            inner = _difference(value, mine or {})
            if inner:
                found[member] = inner
        elif member in got:
            if mine != value and (mine or value):
                found[member] = value
        elif value != DEFAULTS.get(member):
            found[member] = value
    return found


# what an absent member means; members of nested objects included, their names do not clash
DEFAULTS: Body = {
    "namespace": "default",
    "targetUnit": "%",
    "window": "30d",
    "description": None,
    "cluster": None,
    "labels": {},
    "enabled": True,
    "calendar": None,
    "dataSource": None,
    "query": None,
    "goodEventsQuery": None,
    "badEventsQuery": None,
    "totalEventsQuery": None,
    "latencyPercentile": None,
    "prometheus": None,
    "matchLabels": {},
    "rawType": None,
    "threshold": None,
    "resource": None,
    "burnRateThresholds": [],
    "notificationChannels": [],
    "pageOnBudgetExhausted": False,
    "minimumEvents": None,
    "noData": "ignore",
    "timeSliceWindow": None,
    "timeSliceTarget": None,
    "startTime": None,
    "timeZone": "UTC",
    "count": 1,
}
