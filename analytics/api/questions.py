"""The query of a report as a `Question` (api.md 9.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers

from aiops.api.exceptions import BadRequest
from aiops.api.fields import TimeField
from aiops.api.filters import LOWER, UPPER, refuse_reversed
from aiops.api.formats import parse_time
from aiops.api.serializers import Stored
from aiops.apikeys.scopes import Scope
from analytics.periods import Span, seconds_of
from analytics.services.questions import Question
from analytics.services.reading import Where
from analytics.windows import SHORT, USUAL, WINDOWS
from incidents.states import Severity

TIME = {"type": "string", "format": "date-time"}
TEXT = {"type": "string"}


def query_of(usual: str = USUAL, allowed: Sequence[str] = SHORT) -> tuple[tuple[str, dict[str, Any]], ...]:
    """What OpenAPI says of the parameters that `read` takes."""
    period = {"type": "string", "enum": list(allowed), "default": usual}
    return (
        *((name, TIME) for name in (*LOWER, *UPPER)),
        ("period", period),
        ("window", period),
        ("namespace", TEXT),
        ("cluster", TEXT),
        ("severity", {"type": "string", "enum": list(Severity.values)}),
    )


QUERY = query_of()


@dataclass(frozen=True, slots=True)
class Asked:
    """`period` is the one that was used, None when bounds were given (ANA-2)."""

    question: Question
    period: str | None

    def metadata(self) -> dict[str, Any]:
        return {
            "period": self.period,
            "from": self.question.since,
            "to": self.question.until,
            "generatedAt": self.question.at,
        }


class RangeMetadata(Stored):
    period = serializers.CharField(allow_null=True)
    to = TimeField()
    generatedAt = TimeField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), "from": TimeField()}  # `from` is no Python name


def read(
    query: Mapping[str, Any],
    *,
    scope: Scope,
    now: datetime,
    usual: str = USUAL,
    allowed: Sequence[str] = SHORT,
) -> Asked:
    """Raises `BadRequest` naming every offending parameter."""
    span, period = _range(query, now=now, usual=usual, allowed=allowed)
    return Asked(Question(span=span, where=_where(query, scope), at=now), period)


def _range(query: Mapping[str, Any], *, now: datetime, usual: str, allowed: Sequence[str]) -> tuple[Span, str | None]:
    bounds = _bounds(query)
    lower = [bounds[name] for name in LOWER if name in bounds]
    upper = [bounds[name] for name in UPPER if name in bounds]
    if not lower and not upper:
        period = _period(query, usual, allowed)
        return _span(_before(now, WINDOWS[period]), now), period
    until = min(upper, default=now)
    since = max(lower) if lower else _before(until, WINDOWS[usual])
    if since > until:
        raise BadRequest(
            "The time range is reversed",
            {name: ["The lower bound lies after the upper one."] for name in LOWER if name in bounds},
        )
    return _span(since, until), None


def _bounds(query: Mapping[str, Any]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    wrong: dict[str, list[str]] = {}
    for name in (*LOWER, *UPPER):
        text = query.get(name)
        if text:
            try:
                found[name] = parse_time(text.strip())
            except ValueError:
                wrong[name] = ["Must be an RFC 3339 time."]
    if wrong:
        raise BadRequest("The query parameters are not valid", wrong)
    refuse_reversed(found)
    return found


def _period(query: Mapping[str, Any], usual: str, allowed: Sequence[str]) -> str:
    for name in ("period", "window"):
        text = query.get(name)
        if text and text.lower() not in allowed:
            raise BadRequest("Unknown period", {name: [f"Must be one of: {', '.join(allowed)}."]})
        if text:
            return str(text).lower()
    return usual


def _before(moment: datetime, length: timedelta) -> datetime:
    try:
        return moment - length
    except OverflowError:
        return datetime.min.replace(tzinfo=moment.tzinfo)


def _span(since: datetime, until: datetime) -> Span:
    """Times are shown in whole seconds: from the first one that is not before `since` to the one that holds `until`."""
    lower = seconds_of(since) + bool(since.microsecond)
    return Span(lower, max(lower, seconds_of(until) + 1))


def _where(query: Mapping[str, Any], scope: Scope) -> Where:
    return Where(
        clusters=_within(query, "cluster", scope.clusters),
        namespaces=_within(query, "namespace", scope.namespaces),
        severities=_severities(query.get("severity")),
    )


def _within(query: Mapping[str, Any], name: str, scope: frozenset[str] | None) -> frozenset[str] | None:
    """What the query names and the key may see."""
    wanted = query.get(name)
    if wanted and "\x00" in wanted:
        raise BadRequest("The query parameters are not valid", {name: ["Must not contain NUL characters."]})
    if not wanted:
        return scope
    return frozenset({wanted}) if scope is None else scope & {wanted}


def _severities(wanted: str | None) -> frozenset[str] | None:
    if not wanted:
        return None
    if wanted.lower() not in Severity.values:
        raise BadRequest("Unknown severity", {"severity": [f"Must be one of: {', '.join(Severity.values)}."]})
    return frozenset({wanted.lower()})
