"""Writing an SLO as an OpenSLO v1 object. Pure; `slos.openslo` reads it again and finds the same SLO."""

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiops.documents import Document
from slos.definitions import parse_span
from slos.openslo import API_VERSION, EXTRAS, LETTERS, OURS, indicator_name, policy_name, read, rules_of
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
        "indicator": _write_indicator(body, imported.get("indicator") or {}),
        "timeWindow": [_write_window(body)],
        "budgetingMethod": method,
        "objectives": [_write_objective(body, imported.get("objective") or {})],
    }
    policies = _write_policies(body, imported.get("alertPolicies") or [])
    if policies:
        spec["alertPolicies"] = policies
    return {"apiVersion": API_VERSION, "kind": "SLO", "metadata": metadata, "spec": spec}


def _write_indicator(body: Body, kept: Mapping[str, Any]) -> Body:
    indicator = body["indicator"]

    def source(query: str) -> Body:
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    if indicator["source"] != "prometheus":
        metric: Body = {"ratioMetric": _ours(indicator["source"])}
    elif indicator["totalEventsQuery"]:
        first, member = ("bad", "badEventsQuery") if indicator["badEventsQuery"] else ("good", "goodEventsQuery")
        ratio = {first: source(indicator[member]), "total": source(indicator["totalEventsQuery"])}
        metric = {"ratioMetric": {"counter": True, **ratio}}
    elif indicator["threshold"]:
        metric = {"thresholdMetric": source(indicator["query"])}
    else:
        kind = indicator["rawType"] or "success"
        metric = {"ratioMetric": {"raw": source(indicator["query"]), "rawType": kind}}
    description = {"description": kept["description"]} if kept.get("description") else {}
    metadata = kept.get("metadata") or {"name": indicator_name(body["name"])}
    return {"metadata": metadata, "spec": {**description, **metric}}


def _ours(source: str) -> Body:
    metric = {"metricSource": {"type": OURS, "spec": {"source": source}}}
    return {"good": metric, "total": metric}


def _write_window(body: Body) -> Body:
    calendar = body["calendar"]
    if calendar is None:
        return {"duration": body["window"], "isRolling": True}
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
