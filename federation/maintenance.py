"""When a maintenance window is open and what it covers. Pure.

Of RFC 5545 we take the part whose answers always come at once: a daily, weekly or monthly rule, on days of the week or of the
month. Rules are followed in local time, so a window at two in the morning stays there when the clocks change.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr  # type: ignore[import-untyped]

from aiops.errors import Invalid
from federation.models import ENVIRONMENTS, MaintenanceWindow, Tier

LONGEST = timedelta(days=31)
MAX_NAMES = 200
MAX_LABELS = 32
DAY = "(?:MO|TU|WE|TH|FR|SA|SU)"
NUMBER = r"[1-9][0-9]?"
_MEMBERS = {
    "INTERVAL": re.compile(NUMBER),
    "COUNT": re.compile(r"[1-9][0-9]{0,2}"),
    "UNTIL": re.compile(r"[0-9]{8}(?:T[0-9]{6}Z?)?"),
    "WKST": re.compile(DAY),
}
_WEEKDAYS = re.compile(f"{DAY}(?:,{DAY})*")
_NTH = f"(?:-?[1-4])?{DAY}"
_BY = {
    "DAILY": {"BYDAY": _WEEKDAYS},
    "WEEKLY": {"BYDAY": _WEEKDAYS},
    "MONTHLY": {
        "BYDAY": re.compile(f"{_NTH}(?:,{_NTH})*"),
        # later days do not occur in every month, and a rule that never occurs is looked for until the year 9999
        "BYMONTHDAY": re.compile(r"-?(?:[1-9]|1[0-9]|2[0-8])(?:,-?(?:[1-9]|1[0-9]|2[0-8]))*"),
    },
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a signal comes from. `labels` are its own and those of its cluster."""

    cluster: str = ""
    environment: str = ""
    tier: str = ""
    namespace: str = ""
    labels: Mapping[str, str] | None = None


def covers(window: MaintenanceWindow, place: Place) -> bool:
    """Every criterion must hold; an empty one holds for anything."""
    labels = place.labels or {}
    return (
        (not window.clusters or place.cluster in window.clusters)
        and (not window.environments or place.environment in window.environments)
        and (not window.tiers or place.tier in window.tiers)
        and (not window.namespaces or place.namespace in window.namespaces)
        and all(labels.get(name) == value for name, value in window.match_labels.items())
    )


def open_until(window: MaintenanceWindow, at: datetime) -> datetime | None:
    """The end of the occurrence that is going on; None when none is."""
    began = _occurrence(window, at)
    if began is None:
        return None
    end = began + (window.ends_at - window.starts_at)
    return end if at < end else None


def next_start(window: MaintenanceWindow, at: datetime) -> datetime | None:
    """When it opens next; None when it never will again."""
    if window.starts_at > at:
        return window.starts_at
    if not window.rrule:
        return None
    zone = ZoneInfo(window.timezone)
    found = _rule(window, zone).after(at.astimezone(zone).replace(tzinfo=None))
    return None if found is None else found.replace(tzinfo=zone).astimezone(UTC)


def _occurrence(window: MaintenanceWindow, at: datetime) -> datetime | None:
    """The start of the last occurrence that has begun."""
    if at < window.starts_at:
        return None
    if not window.rrule:
        return window.starts_at
    zone = ZoneInfo(window.timezone)
    found = _rule(window, zone).before(at.astimezone(zone).replace(tzinfo=None), inc=True)
    return None if found is None else found.replace(tzinfo=zone).astimezone(UTC)


def _rule(window: MaintenanceWindow, zone: ZoneInfo) -> rrule:
    start = window.starts_at.astimezone(zone).replace(tzinfo=None)
    rule = rrulestr(re.sub(r"(UNTIL=\d{8}T\d{6})Z", r"\1", window.rrule), dtstart=start)
    assert isinstance(rule, rrule)
    return rule


def check(window: MaintenanceWindow) -> None:
    """Raises `Invalid` whose `fields` name the offending members."""
    fields: dict[str, list[str]] = {}
    if window.ends_at <= window.starts_at:
        fields["endsAt"] = ["Must lie after startsAt."]
    elif window.ends_at - window.starts_at > LONGEST:
        fields["endsAt"] = [f"One occurrence lasts at most {LONGEST.days} days."]
    try:
        ZoneInfo(window.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fields["timezone"] = ["No such time zone; write it like Europe/Lisbon."]
    if window.rrule and (reason := _complaint(window.rrule)):
        fields["rrule"] = [reason]
    fields |= _check_selector(window)
    if fields:
        raise Invalid("The maintenance window is not valid", fields=fields)


def _check_selector(window: MaintenanceWindow) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    allowed: dict[str, Any] = {"environments": set(ENVIRONMENTS), "tiers": set(Tier.values)}
    for member in ("clusters", "environments", "tiers", "namespaces"):
        names = getattr(window, member)
        if not isinstance(names, list) or len(names) > MAX_NAMES or not all(isinstance(one, str) for one in names):
            fields[member] = [f"A list of at most {MAX_NAMES} texts is expected."]
        elif member in allowed and (unknown := sorted(set(names) - allowed[member])):
            fields[member] = [f"{unknown[0]!r} is none of {', '.join(sorted(allowed[member]))}."]
    if not isinstance(window.match_labels, dict) or len(window.match_labels) > MAX_LABELS:
        fields["matchLabels"] = [f"An object of at most {MAX_LABELS} labels is expected."]
    return fields


def _complaint(text: str) -> str:
    """Why the rule is not taken; empty when it is."""
    members: dict[str, str] = {}
    for part in text.removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals or name in members:
            return "Write it like FREQ=WEEKLY;BYDAY=SA."
        members[name] = value
    frequency = members.pop("FREQ", "")
    if frequency not in _BY:
        return f"FREQ must be one of {', '.join(_BY)}."
    if {"BYDAY", "BYMONTHDAY"} <= members.keys():
        return "BYDAY and BYMONTHDAY exclude each other."
    known = _MEMBERS | _BY[frequency]
    for name, value in members.items():
        if name not in known:
            return f"{name} is not taken with FREQ={frequency}; known are {', '.join(known)}."
        if not known[name].fullmatch(value):
            return f"{name}={value[:32]} is not understood."
    return ""
