"""Which rule of a policy a message matches, and whether a policy makes sense. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiops.errors import Invalid
from aiops.notifications.messages import EVENTS
from aiops.notifications.texts import check_template

MAX_RULES = 100
MAX_VALUES = 200
MAX_LENGTH = 253
SEVERITIES = frozenset({"critical", "high", "medium", "low"})

# member of `match` -> member of a message's context
CRITERIA = {
    "events": "event",
    "severities": "severity",
    "signalTypes": "signalType",
    "namespaces": "namespace",
    "resourceKinds": "resourceKind",
    "states": "state",
    "clusters": "cluster",
}
VOCABULARY: Mapping[str, Collection[str]] = {"events": EVENTS, "severities": SEVERITIES}


def matches(rule: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """Every criterion must hold; an empty or absent one holds for anything."""
    wanted = rule.get("match") or {}
    return all(not wanted.get(member) or context[fact] in wanted[member] for member, fact in CRITERIA.items())


def check_rules(rules: Any, *, channels: Collection[str]) -> list[dict[str, Any]]:
    """`rules` as a policy stores them. Raises `Invalid` whose `fields` name each offending member (`rules[0].channels`)."""
    fields: dict[str, list[str]] = {}
    if not isinstance(rules, list) or len(rules) > MAX_RULES:
        raise Invalid("Invalid policy", fields={"rules": [f"A list of at most {MAX_RULES} rules is expected."]})
    for number, rule in enumerate(rules):
        _check_rule(rule, f"rules[{number}]", channels, fields)
    if fields:
        raise Invalid("Invalid policy", fields=fields)
    return rules


def _check_rule(rule: Any, path: str, channels: Collection[str], fields: dict[str, list[str]]) -> None:
    if not isinstance(rule, dict):
        fields[path] = ["An object is expected."]
        return
    unknown = sorted(set(rule) - {"name", "match", "channels", "template"})
    if unknown:
        fields[path] = [f"Unknown member: {unknown[0]}."]
    names = _texts(rule.get("channels"))
    if not names:
        fields[f"{path}.channels"] = ["Name at least one channel."]
    missing = sorted(set(names or ()) - set(channels))
    if missing:
        fields[f"{path}.channels"] = [f"There is no channel {missing[0]!r}."]
    _check_match(rule.get("match") or {}, f"{path}.match", fields)
    if rule.get("template"):
        try:
            check_template(rule["template"])
        except Invalid as error:
            fields[f"{path}.template"] = [error.message]


def _check_match(match: Any, path: str, fields: dict[str, list[str]]) -> None:
    if not isinstance(match, dict):
        fields[path] = ["An object is expected."]
        return
    for member, values in match.items():
        if member not in CRITERIA:
            fields[f"{path}.{member}"] = [f"Unknown criterion; known are {', '.join(CRITERIA)}."]
        elif _texts(values) is None:
            fields[f"{path}.{member}"] = ["A list of texts is expected."]
        else:
            wrong = sorted(set(values) - set(VOCABULARY.get(member, values)))
            if wrong:
                fields[f"{path}.{member}"] = [f"{wrong[0]!r} is not known."]


def _texts(values: Any) -> Sequence[str] | None:
    """`values` if it is a bounded list of non-empty texts, else None."""
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        return None
    if not all(isinstance(value, str) and 0 < len(value) <= MAX_LENGTH for value in values):
        return None
    return values
