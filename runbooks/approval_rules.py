"""Which consent a plan needs. Pure: policies and facts in, a demand out.

The rules of the enabled policies are tried in order of priority, and the first whose `match` fits decides; where policies exist
and no rule fits, the default mode of the first one does. A rule that cannot be understood asks a person: it fails closed.
`auto` holds only while all of its conditions do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from incidents.states import SEVERITY_RANK

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MODES = frozenset({"auto", "manual", "quorum", "block"})
ROLES = frozenset({"operator", "admin"})
TIMEOUT_MINUTES = 30
HORIZON = timedelta(days=8)  # a window opens at least once a week, or never


class Policy(Protocol):
    name: str
    default_mode: str
    forbid_self_approval: bool
    rules: Any


@dataclass(frozen=True, slots=True)
class Facts:
    """The plan, in the terms of the rules. `success_rate` is None without history."""

    severity: str
    action_types: frozenset[str]
    namespace: str
    kind: str
    cluster: str
    tier: str
    confidence: float
    success_rate: float | None


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked. `mode` is auto (nothing), manual, quorum or block; `why` is for people."""

    mode: str
    why: str
    policy: str = ""
    rule: str = ""
    required_role: str = "operator"
    required_approvers: int = 1
    timeout_minutes: int = TIMEOUT_MINUTES
    change_window: Mapping[str, Any] | None = None
    forbid_self_approval: bool = True


def demand(policies: Sequence[Policy], facts: Facts) -> Demand | None:
    """What the policies ask for; None when there are none. `policies` in order of priority."""
    for policy in policies:
        rules: Sequence[Any] = policy.rules if isinstance(policy.rules, list) else [policy.rules]
        for rule in rules:
            try:
                if _fits(rule, facts):
                    return _demanded(policy, rule, facts)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                return Demand("manual", f"a rule of policy {policy.name} cannot be understood: {error}", policy.name)
    if not policies:
        return None
    first = policies[0]
    mode = first.default_mode if first.default_mode in MODES else "manual"
    return Demand(mode, f"default of policy {first.name}", first.name, forbid_self_approval=first.forbid_self_approval)


def _fits(rule: Mapping[str, Any], facts: Facts) -> bool:
    match = rule.get("match") or {}
    single = (
        ("severities", facts.severity),
        ("namespaces", facts.namespace),
        ("resourceKinds", facts.kind),
        ("clusters", facts.cluster),
        ("tiers", facts.tier),
    )
    for member, value in single:
        allowed = match.get(member)
        if allowed and value.lower() not in {str(item).lower() for item in allowed}:
            return False
    types = match.get("actionTypes")
    return not types or bool(facts.action_types.intersection(types))


def _demanded(policy: Policy, rule: Mapping[str, Any], facts: Facts) -> Demand:
    mode, why = str(rule.get("mode", "manual")), f"rule {rule.get('name', '?')} of policy {policy.name}"
    if mode not in MODES:
        mode, why = "manual", f"{why}: unknown mode"
    if mode == "auto" and (unmet := _unmet(rule.get("autoApproveConditions") or {}, facts)):
        mode, why = "manual", f"{why}: {unmet}"
    window = rule.get("changeWindow") or None
    if window is not None:
        next_opening(window, datetime(2000, 1, 1, tzinfo=UTC))  # raises for a window that cannot be understood
    role = rule.get("requiredRole") or "operator"
    if role not in ROLES:
        raise ValueError(f"unknown role {role}")
    return Demand(
        mode=mode,
        why=why,
        policy=policy.name,
        rule=str(rule.get("name", "")),
        required_role=role,
        required_approvers=max(int(rule.get("requiredApprovers") or 1), 2 if mode == "quorum" else 1),
        timeout_minutes=max(1, int(rule.get("timeoutMinutes") or TIMEOUT_MINUTES)),
        change_window=window,
        forbid_self_approval=policy.forbid_self_approval,
    )


def _unmet(conditions: Mapping[str, Any], facts: Facts) -> str:
    """The first condition of an `auto` rule that does not hold; empty when all do."""
    least = float(conditions.get("minConfidence") or 0)
    if facts.confidence < least:
        return f"confidence {facts.confidence:.2f} is below {least:.2f}"
    worst = conditions.get("maxSeverity")
    if worst and SEVERITY_RANK[facts.severity] > SEVERITY_RANK[worst]:
        return f"severity {facts.severity} is above {worst}"
    rate = conditions.get("historicalSuccessRate")
    if rate and (facts.success_rate is None or facts.success_rate < float(rate)):
        known = "unknown" if facts.success_rate is None else f"{facts.success_rate:.2f}"
        return f"the success rate is {known}, not {float(rate):.2f}"
    return ""


def next_opening(window: Mapping[str, Any], at: datetime) -> datetime | None:
    """`at` itself while the window is open, else when it opens; None if it never does.

    `startHour` after `endHour` spans midnight, and the night belongs to the day on which it begins. Raises `ValueError`.
    """
    try:
        zone = ZoneInfo(str(window.get("timezone") or "UTC"))
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"unknown time zone {window.get('timezone')}") from error
    days = {WEEKDAYS.index(str(day)[:3].capitalize()) for day in window.get("allowedDays") or WEEKDAYS[:5]}
    start, end = int(window.get("startHour", 0)), int(window.get("endHour", 24))
    if not (0 <= start <= 23 and 0 <= end <= 24):
        raise ValueError("the hours of a change window lie between 0 and 24")
    local = at.astimezone(zone)
    midnight = datetime.combine(local.date(), time(), zone)
    length = (end - start) % 24 or 24
    # from yesterday, whose night may still last
    for offset in range(-1, HORIZON.days):
        day = midnight + timedelta(days=offset)
        if day.weekday() not in days:
            continue
        opens = datetime.combine(day.date(), time(start), zone)
        closes = datetime.combine(day.date(), time(), zone) + timedelta(hours=start + length)
        if at < closes:
            return max(at, opens.astimezone(UTC))
    return None
