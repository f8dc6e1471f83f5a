"""Label and field selectors of list and watch requests."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from aiops.simulator import problems
from aiops.simulator.objects import Obj
from aiops.simulator.resources import Resource

Matcher = Callable[[Obj], bool]
LabelMatcher = Callable[[Mapping[str, str]], bool]

MAX_REQUIREMENTS = 100
_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?"
_EQUALITY = re.compile(rf"^\s*(?P<key>{_KEY})\s*(?P<operator>==|!=|=)\s*(?P<value>[A-Za-z0-9._-]*)\s*$")
_SET = re.compile(rf"^\s*(?P<key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)\s*$")
_EXISTS = re.compile(rf"^\s*(?P<no>!?)\s*(?P<key>{_KEY})\s*$")
_COMMA = re.compile(r",(?![^(]*\))")

# What each kind can be selected by, beside its name and namespace.
FIELDS: dict[str, tuple[str, ...]] = {
    "/pods": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
              "status.podIP", "status.nominatedNodeName"),
    "/events": ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
                "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
                "reportingComponent", "source", "type"),
    "/nodes": ("spec.unschedulable",),
    "/namespaces": ("status.phase",),
    "/secrets": ("type",),
    "batch/jobs": ("status.successful",),
    "apps/replicasets": ("status.replicas",),
}  # fmt: skip


def parse_labels(text: str) -> LabelMatcher:
    """A label selector in its query-string form. Raises a 400 problem when it cannot be parsed."""
    requirements = [_label_requirement(part) for part in _split(text)]
    return lambda labels: all(holds(labels) for holds in requirements)


def parse_fields(text: str, resource: Resource) -> Matcher:
    """A field selector. Raises a 400 problem for syntax errors and for fields the kind cannot be selected by."""
    requirements = []
    for part in _split(text):
        found = re.match(r"^(?P<path>[A-Za-z.]+)(?P<operator>==|!=|=)(?P<value>.*)$", part.strip())
        if not found:
            raise problems.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path = found["path"]
        if path not in ("metadata.name", "metadata.namespace", *FIELDS.get(resource.storage, ())):
            raise problems.bad_request(
                f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match label selector "", '
                f'field selector "{text}": "{path}" is not a known field selector: '
                'only "metadata.name", "metadata.namespace"'
            )
        requirements.append((path, found["value"], found["operator"] != "!="))
    return lambda obj: all((read_field(obj, path) == value) is equal for path, value, equal in requirements)


def read_field(obj: Obj, path: str) -> str:
    if path == "reportingComponent":
        path = "source.component"
    value: Any = obj
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return str(value.get("component", ""))
    return "" if value is None else str(value)


def matches_selector(selector: Obj | None, labels: Mapping[str, str] | None) -> bool:
    """Whether labels fit a `LabelSelector` object. None selects nothing, an empty selector everything."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_holds(e, labels) for e in selector.get("matchExpressions") or ())


def as_text(selector: Obj | None) -> str:
    """The query-string form of a `LabelSelector`, as `scale` shows it."""
    selector = selector or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        key, operator, values = expression["key"], expression["operator"], ",".join(expression.get("values") or ())
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(operator, f"!{key}")
        )
    return ",".join(parts)


def _expression_holds(expression: Obj, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _split(text: str) -> list[str]:
    parts = [part for part in _COMMA.split(text) if part.strip()]
    if len(parts) > MAX_REQUIREMENTS:
        raise problems.bad_request(f"selector has more than {MAX_REQUIREMENTS} requirements")
    return parts


def _label_requirement(part: str) -> LabelMatcher:
    if found := _EQUALITY.match(part):
        key, value, equal = found["key"], found["value"], found["operator"] != "!="
        return lambda labels: (labels.get(key) == value) is equal
    if found := _SET.match(part):
        key, inside = found["key"], found["operator"] == "in"
        values = frozenset(v.strip() for v in found["values"].split(","))
        return lambda labels: (labels.get(key) in values) is inside
    if found := _EXISTS.match(part):
        key, wanted = found["key"], not found["no"]
        return lambda labels: (key in labels) is wanted
    raise problems.bad_request(f"unable to parse requirement: found '{part.strip()}', expected: a label selector")
