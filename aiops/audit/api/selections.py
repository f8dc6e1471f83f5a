"""The query of an export as a selection of records."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aiops.api.exceptions import BadRequest
from aiops.api.filters import LATEST, LOWER, UPPER
from aiops.apikeys.scopes import Scope
from aiops.audit.api.filters import AuditFilter
from aiops.audit.exports import Selection
from aiops.audit.models import AuditEvent, ExportFormat

SECOND = timedelta(seconds=1)


def read_format(query: Mapping[str, Any]) -> str:
    """`csv` unless the query says otherwise. Raises `BadRequest`."""
    wanted = (query.get("format") or ExportFormat.CSV).lower()
    if wanted not in ExportFormat.values:
        raise BadRequest("Unknown format", {"format": [f"Must be one of: {', '.join(ExportFormat.values)}."]})
    return str(wanted)


def read_selection(query: Mapping[str, Any], *, scope: Scope, now: datetime) -> Selection:
    """Raises `BadRequest` naming every offending parameter; the lower bound is required."""
    given = AuditFilter.read(query, AuditEvent.objects.all())
    lower = [given[name] for name in LOWER if given.get(name)]
    upper = [given[name] for name in UPPER if given.get(name)]
    if not lower:
        raise BadRequest("A lower bound is required", {"since": ["This parameter is required."]})
    since, until = _whole_second(max(lower)), min(upper, default=now)
    if max(lower) > until:
        reason = ["The lower bound lies after the upper one."]
        raise BadRequest("The time range is reversed", {name: reason for name in LOWER if given.get(name)})
    kind, slash, name = str(given.get("resource") or "").partition("/")
    users = {given[name] for name in ("user", "actor") if given.get(name)}
    return Selection(
        since=since,
        until=until,
        action=given.get("action") or "",
        users=tuple(sorted(users)),
        resource_kind=kind if slash else "",
        resource=name if slash else kind,
        namespace=given.get("namespace") or "",
        event_type=given.get("type") or "",
        severity=given.get("severity") or "",
        correlation_id=given.get("correlation_id") or "",
        namespaces=namespaces_of(scope),
    )


def _whole_second(moment: datetime) -> datetime:
    """Times are shown in whole seconds: the first one that is not before `moment`."""
    whole = moment.replace(microsecond=0)
    return whole if whole == moment or whole >= LATEST else whole + SECOND


def namespaces_of(scope: Scope) -> tuple[str, ...] | None:
    """The namespaces whose records a key may see; None for all.

    A record does not say to which cluster it belongs, so a key that is limited to clusters sees none.
    """
    if scope.clusters is not None:
        return ()
    return None if scope.namespaces is None else tuple(sorted(scope.namespaces))
