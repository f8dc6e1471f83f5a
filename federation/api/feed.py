"""Reads the audit log once per process, for everybody who listens to `/events` there.

One thread asks for news twice a second while somebody listens. It makes the frames, which are the same for all listeners, and
wakes them; whether a listener may see a frame is decided by its scope. A listener that joins catches up by itself (`events.news`)
to the place where the feed is, and goes on from there.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import structlog
from django.db import Error, InterfaceError, connection

from aiops.apikeys.scopes import Scope
from federation.api import events
from federation.api.events import Frame, Positions

logger = structlog.get_logger(__name__)

TICK = 0.5  # seconds between two looks
LINGER = 10.0  # seconds that the thread goes on when nobody listens any more
KEPT = 2_000  # frames; who is further behind resumes from the database
PATIENCE = 5.0  # seconds that a listener waits for the first look


class Behind(Exception):
    """The frames that the listener wants are gone: it has to come again with the id of its last event."""


@dataclass(slots=True)
class Place:
    """Where a listener joined: `cursor` counts frames, `positions` is the same place in the audit chains."""

    cursor: int
    positions: Positions


class Feed:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frames: deque[Frame] = deque(maxlen=KEPT)
        self._told = 0  # frames ever made
        self._positions: Positions | None = None  # None: nobody reads
        self._listeners = 0
        self._thread: threading.Thread | None = None

    @contextmanager
    def joined(self) -> Iterator[Place | None]:
        """Listen. None when the first look at the database does not come."""
        with self._changed:
            self._listeners += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="events", daemon=True)
                self._thread.start()
            self._changed.wait_for(lambda: self._positions is not None, PATIENCE)
            place = None if self._positions is None else Place(self._told, dict(self._positions))
        try:
            yield place
        finally:
            with self._changed:
                self._listeners -= 1

    def after(self, place: Place, scope: Scope, *, timeout: float) -> list[bytes]:
        """The frames in scope that came since, at once or as soon as there are some; moves the place. Raises `Behind`."""
        with self._changed:
            self._changed.wait_for(lambda: self._told > place.cursor, timeout)
            new = self._told - place.cursor
            if new > len(self._frames):
                raise Behind
            frames = [self._frames[index] for index in range(len(self._frames) - new, len(self._frames))]
            place.cursor = self._told
        return [frame.data for frame in frames if scope.covers(namespace=frame.namespace, cluster=frame.cluster)]

    def _read(self) -> None:
        heard = time.monotonic()
        try:
            while True:
                try:
                    self._look()
                except (Error, InterfaceError) as error:
                    logger.warning("events_unreadable", error=str(error))
                    connection.close()
                time.sleep(TICK)
                with self._changed:
                    if self._listeners:
                        heard = time.monotonic()
                    elif time.monotonic() - heard > LINGER:
                        self._thread, self._positions = None, None
                        self._frames.clear()
                        return
        finally:
            connection.close()

    def _look(self) -> None:
        """All that is new, page by page."""
        if self._positions is None:
            self._publish([], events.heads())
            return
        while True:
            frames, positions = events.page(self._positions, events.heads())
            if positions == self._positions:
                return
            self._publish(frames, positions)

    def _publish(self, frames: list[Frame], positions: Positions) -> None:
        with self._changed:
            self._positions = positions
            self._frames.extend(frames)
            self._told += len(frames)
            self._changed.notify_all()


@cache
def of_process() -> Feed:
    return Feed()
