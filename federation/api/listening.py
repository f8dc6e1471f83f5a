"""`GET /events`: changes as they are committed, as server-sent events.

A listener costs a thread that sleeps, and no database connection (`aiops/gate.py`); one query twice a second serves all
listeners of a process (`feed.py`). Whoever comes when all streams are taken gets what there is and the word to come back in two
seconds, which every browser does by itself, with the id of the last event.
"""

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import cache

from django.conf import settings
from django.http import StreamingHttpResponse
from rest_framework.request import Request

from aiops import gate
from aiops.api.operations import operation
from aiops.api.views import ApiView
from aiops.apikeys import keyring
from aiops.apikeys.authentication import sent_key
from aiops.apikeys.scopes import Scope
from federation.api import events, feed
from federation.api.events import Positions

MEDIA_TYPE = "text/event-stream"
RETRY = 2_000  # milliseconds
HOLD = 300.0  # seconds, more or less: they need not all come back at once
RECHECK = 30.0  # seconds after which the key is looked up again
KEEP_ALIVE = 10.0


class EventStream(StreamingHttpResponse):
    borrows = False  # a database connection: only for the moments in which it needs one


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(settings.AIOPS_EVENT_STREAMS)


def stream(
    positions: Positions, scope: Scope, is_welcome: Callable[[], bool] = lambda: True
) -> Generator[bytes, None, None]:
    """The frames. Held open only while there is a slot, else it ends with what there is; and while the listener is welcome."""
    yield b"retry: %d\n: %b\n\n" % (RETRY, events.encode(positions).encode())
    if not _slots().acquire(blocking=False):
        with gate.lent():
            frames, _ = events.news(positions, scope, events.heads())
        yield from frames
        return
    try:
        yield from _held(positions, scope, is_welcome)
    finally:
        _slots().release()


def _held(positions: Positions, scope: Scope, is_welcome: Callable[[], bool]) -> Iterator[bytes]:
    checked = time.monotonic()
    until = checked + HOLD * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    with feed.of_process().joined() as place:
        if place is None:
            return
        yield from _missed(positions, place.positions, scope)
        while (now := time.monotonic()) < until:
            if now - checked >= RECHECK:
                checked = now
                with gate.lent():
                    if not is_welcome():
                        return
            try:
                frames = feed.of_process().after(place, scope, timeout=KEEP_ALIVE)
            except feed.Behind:
                return
            # also when there is nothing to tell: only who is written to is known to be there
            yield b"".join(frames) or b": still here\n\n"


def _missed(positions: Positions, until: Positions, scope: Scope) -> Iterator[bytes]:
    """What came before the feed began for this listener."""
    while any(length > positions.get(chain, 0) for chain, length in until.items()):
        with gate.lent():
            frames, positions = events.news(positions, scope, until)
        yield b"".join(frames) or b": on the way\n\n"


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
    def get(self, request: Request) -> EventStream:
        """Changes of incidents, approvals, SLOs and clusters, as server-sent events; `Last-Event-ID` resumes."""
        last = request.META.get("HTTP_LAST_EVENT_ID") or self.param("lastEventId")
        positions = events.decode(last) if last else events.heads()
        key = sent_key(request)
        frames = stream(positions, self.scope, lambda: not key or keyring.lookup(key) is not None)
        response = EventStream(frames, content_type=MEDIA_TYPE)
        response["Cache-Control"] = "no-cache"
        response["X-Accel-Buffering"] = "no"
        return response
