"""Whether the rules of an approval policy can be understood. Pure.

At run time a rule that cannot be understood makes a person be asked; here its author is told before it is stored.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from incidents.states import SEVERITY_RANK
from runbooks.approval_rules import MODES, ROLES, WEEKDAYS, next_opening

MOST_RULES = 100
MEMBERS = frozenset(
    {
        "name",
        "match",
        "mode",
        "requiredRole",
        "requiredApprovers",
        "timeoutMinutes",
        "changeWindow",
        "autoApproveConditions",
    }
)
MATCHERS = frozenset({"severities", "actionTypes", "namespaces", "resourceKinds", "clusters", "tiers"})
CONDITIONS = frozenset({"minConfidence", "maxSeverity", "historicalSuccessRate"})
WINDOW = frozenset({"timezone", "allowedDays", "startHour", "endHour"})
NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)


def complaints(rules: Any) -> list[str]:
    """What is wrong with the rules, each with its place (`rules[1].mode: …`); empty when nothing is."""
    if not isinstance(rules, list) or len(rules) > MOST_RULES:
        return [f"rules: must be a list of at most {MOST_RULES}"]
    return [f"rules[{index}]{complaint}" for index, rule in enumerate(rules) for complaint in _rule(rule)]


def _rule(rule: Any) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        yield ": must be an object"
        return
    yield from _unknown("", rule, MEMBERS)
    if not isinstance(rule.get("name"), str) or not rule["name"].strip():
        yield ".name: is required"
    if rule.get("mode", "manual") not in MODES:
        yield f".mode: must be one of {', '.join(sorted(MODES))}"
    if rule.get("requiredRole", "operator") not in ROLES:
        yield f".requiredRole: must be one of {', '.join(sorted(ROLES))}"
    yield from _whole(rule, "requiredApprovers", 20)
    yield from _whole(rule, "timeoutMinutes", 7 * 24 * 60)
    yield from _match(rule.get("match"))
    yield from _conditions(rule.get("autoApproveConditions"))
    yield from _window(rule.get("changeWindow"))


def _unknown(place: str, value: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    for member in sorted(value.keys() - known):
        yield f"{place}.{member}: is unknown; known are {', '.join(sorted(known))}"


def _whole(rule: Mapping[str, Any], member: str, most: int) -> Iterator[str]:
    value = rule.get(member, 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        yield f".{member}: must be a whole number from 1 to {most}"


def _match(match: Any) -> Iterator[str]:
    if match is None:
        return
    if not isinstance(match, Mapping):
        yield ".match: must be an object"
        return
    yield from _unknown(".match", match, MATCHERS)
    for member in sorted(MATCHERS & match.keys()):
        values = match[member]
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            yield f".match.{member}: must be a list of texts"
        elif member == "severities" and not SEVERITY_RANK.keys() >= set(values):
            yield f".match.severities: must be some of {', '.join(SEVERITY_RANK)}"


def _conditions(conditions: Any) -> Iterator[str]:
    if conditions is None:
        return
    if not isinstance(conditions, Mapping):
        yield ".autoApproveConditions: must be an object"
        return
    yield from _unknown(".autoApproveConditions", conditions, CONDITIONS)
    for member in ("minConfidence", "historicalSuccessRate"):
        value = conditions.get(member, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            yield f".autoApproveConditions.{member}: must be a number from 0 to 1"
    if conditions.get("maxSeverity", "low") not in SEVERITY_RANK:
        yield f".autoApproveConditions.maxSeverity: must be one of {', '.join(SEVERITY_RANK)}"


def _window(window: Any) -> Iterator[str]:
    if window is None:
        return
    if not isinstance(window, Mapping):
        yield ".changeWindow: must be an object"
        return
    yield from _unknown(".changeWindow", window, WINDOW)
    days = window.get("allowedDays", [])
    if not isinstance(days, list) or not {str(day)[:3].capitalize() for day in days} <= set(WEEKDAYS):
        yield f".changeWindow.allowedDays: must be some of {', '.join(WEEKDAYS)}"
        return
    try:
        next_opening(window, NOON)
    except (TypeError, ValueError) as error:
        yield f".changeWindow: {error}"
