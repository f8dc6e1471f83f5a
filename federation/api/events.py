"""`GET /events`: changes as they are committed, as server-sent events.

The source is the audit log, which every change writes in its own transaction: its chains number their records without gaps and
in the order of commits, so a position in each chain is an exact place to resume from. Nothing is written for a listener.

A listener may not cost a thread of the web server for as long as it listens, since there are few. A small number of streams
per process is held open for half a minute; whoever comes beyond that gets what there is and the word to come back in two
seconds, which every browser does by itself, with the id of the last event.
"""

import threading
import time
from collections.abc import Generator, Iterator, Mapping
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.db.models import Q
from django.http import StreamingHttpResponse
from rest_framework.request import Request

from aiops.api.exceptions import BadRequest
from aiops.api.formats import format_time
from aiops.api.operations import operation
from aiops.api.views import ApiView
from aiops.apikeys.scopes import Scope
from aiops.audit.models import AuditChain, AuditEvent
from incidents.models import Incident

MEDIA_TYPE = "text/event-stream"
NAMES = {"Incident": "incident", "Approval": "approval", "SLO": "slo", "Cluster": "cluster"}
HOLD = 30.0  # seconds
TICK = 0.5
RETRY = 2_000  # milliseconds
KEEP_ALIVE = 10.0
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


def news(positions: Positions, scope: Scope) -> tuple[list[bytes], Positions]:
    """What came after the positions, as far as the key may see it, and the positions behind it. Two queries or three."""
    ahead = {chain: length for chain, length in heads().items() if length > positions.get(chain, 0)}
    if not ahead:
        return [], positions
    wanted = Q()
    for chain, length in ahead.items():
        wanted |= Q(chain=chain, position__gt=positions.get(chain, 0), position__lte=length)
    columns = ("chain", "position", "at", "action", "resource_type", "resource", "namespace", "correlation_id")
    # by position, not by time, which inside a chain need not be in order: a page must end where it can be resumed
    rows = list(AuditEvent.objects.filter(wanted).order_by("chain", "position").values(*columns)[:PAGE])
    visible = _visible([row for row in rows if row["resource_type"] in NAMES], scope)
    reached = dict(positions)
    frames = []
    for row in rows:
        reached[row["chain"]] = max(reached.get(row["chain"], 0), row["position"])
        if row["resource_type"] in NAMES and (row["chain"], row["position"]) in visible:
            frames.append(_frame(row, reached))
    return frames, reached


def _visible(rows: list[dict[str, Any]], scope: Scope) -> set[tuple[int, int]]:
    """Chain and position of the records in scope. Of incidents the cluster is known by the incident only."""
    if scope.clusters is None:
        return {(row["chain"], row["position"]) for row in rows if scope.covers(namespace=row["namespace"])}
    names = {row["correlation_id"] or row["resource"] for row in rows}
    places = dict(Incident.objects.filter(name__in=names).values_list("name", "cluster_name"))
    found = set()
    for row in rows:
        is_cluster = row["resource_type"] == "Cluster"
        where = row["resource"] if is_cluster else places.get(row["correlation_id"] or row["resource"], "")
        if scope.covers(namespace=row["namespace"], cluster=where):
            found.add((row["chain"], row["position"]))
    return found


def _frame(row: Mapping[str, Any], reached: Positions) -> bytes:
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


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(max(1, settings.AIOPS_EVENT_STREAMS))


def stream(positions: Positions, scope: Scope) -> Generator[bytes, None, None]:
    """The frames. Held open only while there is a slot; else it ends with what there is."""
    yield b"retry: %d\n: %b\n\n" % (RETRY, encode(positions).encode())
    frames, positions = news(positions, scope)
    yield from frames
    if not _slots().acquire(blocking=False):
        return
    try:
        yield from _held(positions, scope)
    finally:
        _slots().release()


def _held(positions: Positions, scope: Scope) -> Iterator[bytes]:
    began = spoke = time.monotonic()
    while (now := time.monotonic()) - began < HOLD:
        frames, positions = news(positions, scope)
        if frames:
            yield from frames
            spoke = now
        elif now - spoke >= KEEP_ALIVE:
            yield b": still here\n\n"
            spoke = now
        time.sleep(TICK)


class EventsView(ApiView):
    @operation(
        media_type=MEDIA_TYPE,
        query=(
            (
                "lastEventId",
                {"type": "string", "description": "As the header Last-Event-ID, for who cannot set headers"},
            ),
        ),
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Changes of incidents, approvals, SLOs and clusters, as server-sent events; `Last-Event-ID` resumes."""
        last = request.META.get("HTTP_LAST_EVENT_ID") or self.param("lastEventId")
        positions = decode(last) if last else heads()
        response = StreamingHttpResponse(stream(positions, self.scope), content_type=MEDIA_TYPE)
        response["Cache-Control"] = "no-cache"
        response["X-Accel-Buffering"] = "no"
        return response
