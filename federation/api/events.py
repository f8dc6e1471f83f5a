"""Changes as they are committed, as the frames of server-sent events.

The source is the audit log, which every change writes in its own transaction: its chains number their records without gaps and
in the order of commits, so a position in each chain is an exact place to resume from. Nothing is written for a listener.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Q

from aiops.api.exceptions import BadRequest
from aiops.api.formats import format_time
from aiops.apikeys.scopes import Scope
from aiops.audit.models import AuditChain, AuditEvent
from incidents.models import Incident

NAMES = {"Incident": "incident", "Approval": "approval", "SLO": "slo", "Cluster": "cluster"}
PAGE = 500
MAX_ID = 1_000
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

Positions = dict[int, int]


def heads() -> Positions:
    return dict(AuditChain.objects.values_list("number", "length"))


def encode(positions: Mapping[int, int]) -> str:
    """`0.2f-3.1a`: chain and position, in base 36."""
    return "-".join(f"{_base36(chain)}.{_base36(place)}" for chain, place in sorted(positions.items()))


def decode(text: str) -> Positions:
    """Raises `BadRequest` for anything that `encode` did not write."""
    found: Positions = {}
    try:
        for part in filter(None, text[:MAX_ID].split("-")):
            chain, dot, place = part.partition(".")
            if not dot or len(chain) > 4 or len(place) > 12:
                raise ValueError(part)
            found[int(chain, 36)] = int(place, 36)
    except ValueError as error:
        raise BadRequest(
            "The event id is not valid", {"Last-Event-ID": ["Send an id that the stream sent."]}
        ) from error
    return found


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = DIGITS[rest] + digits
        if not number:
            return digits


@dataclass(frozen=True, slots=True)
class Frame:
    """An event as it is sent, and where it happened. No `cluster`: it belongs to none."""

    data: bytes
    namespace: str
    cluster: str


def page(positions: Positions, until: Positions) -> tuple[list[Frame], Positions]:
    """What came after the positions and not after `until`, at most a page of it, and the positions behind it.

    One query, and one more for the clusters of incidents.
    """
    wanted = Q()
    for chain, length in until.items():
        if length > positions.get(chain, 0):
            wanted |= Q(chain=chain, position__gt=positions.get(chain, 0), position__lte=length)
    if not wanted:
        return [], positions
    columns = ("chain", "position", "at", "action", "resource_type", "resource", "namespace", "correlation_id")
    # by position, not by time, which inside a chain need not be in order: a page must end where it can be resumed
    rows = list(AuditEvent.objects.filter(wanted).order_by("chain", "position").values(*columns)[:PAGE])
    places = _places([row for row in rows if row["resource_type"] in NAMES])
    reached = dict(positions)
    frames = []
    for row in rows:
        reached[row["chain"]] = max(reached.get(row["chain"], 0), row["position"])
        if row["resource_type"] in NAMES:
            cluster = row["resource"] if row["resource_type"] == "Cluster" else places.get(_incident(row), "")
            frames.append(Frame(_data(row, reached), row["namespace"], cluster))
    return frames, reached


def news(positions: Positions, scope: Scope, until: Positions) -> tuple[list[bytes], Positions]:
    """A page as far as the key may see it."""
    frames, reached = page(positions, until)
    return [one.data for one in frames if scope.covers(namespace=one.namespace, cluster=one.cluster)], reached


def _incident(row: Mapping[str, Any]) -> str:
    return str(row["correlation_id"] or row["resource"])


def _places(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The clusters of the incidents that the records are about; the records do not name them."""
    names = {_incident(row) for row in rows if row["resource_type"] != "Cluster"}
    if not names:
        return {}
    return dict(Incident.objects.filter(name__in=names).values_list("name", "cluster_name"))


def _data(row: Mapping[str, Any], reached: Positions) -> bytes:
    data = {
        "kind": row["resource_type"],
        "name": row["resource"],
        "namespace": row["namespace"] or None,
        "action": row["action"],
        "incident": row["correlation_id"] or None,
        "timestamp": format_time(row["at"]),
    }
    event = NAMES[row["resource_type"]]
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (encode(reached).encode(), event.encode(), orjson.dumps(data))
