"""Celery beat with a lease: any number may run, exactly one sends; when it dies another takes over within `LASTS`."""

import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone
from django_celery_beat.schedulers import DatabaseScheduler

from aiops.health import leases

log = logging.getLogger(__name__)

NAME = "beat"
LASTS = timedelta(seconds=30)
SHORTEST = (
    0.01  # seconds between two ticks; Celery asks for no pause at all in the last moments before something is due
)
LOOK_EVERY = 5.0  # seconds between two renewals, or two looks of one that stands by


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Puts SIGTERM and SIGINT off while the database is asked.

    Beat's handler of them writes to the database itself; the connection, which the interrupted code holds locked, would never
    become free.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class LeasedScheduler(DatabaseScheduler):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.holder = f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.is_active = False
        self.looked_at = self.compared_at = float("-inf")  # monotonic seconds
        super().__init__(*args, **kwargs)

    @property
    def schedule(self) -> Any:
        with _undisturbed():
            return super().schedule

    def sync(self) -> None:
        with _undisturbed():
            super().sync()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due if the lease is ours; returns the seconds until the next look."""
        was_active = self.is_active
        if not was_active or time.monotonic() - self.looked_at >= LOOK_EVERY:
            self.looked_at, self.is_active = time.monotonic(), self._holds()
        if not self.is_active:
            return LOOK_EVERY
        if not was_active:
            log.info("this beat is the active one")
            # whoever was active before has moved the times of last runs
            self._initial_read = True
            self._heap = None
        return min(max(float(super().tick(*args, **kwargs)), SHORTEST), LOOK_EVERY)

    def schedule_changed(self) -> bool:
        """Asked several times per tick: every few seconds is soon enough for what an operator edits."""
        if time.monotonic() - self.compared_at < LOOK_EVERY:
            return False
        self.compared_at = time.monotonic()
        return bool(super().schedule_changed())

    def _holds(self) -> bool:
        try:
            with _undisturbed():
                close_old_connections()
                return leases.hold(name=NAME, holder=self.holder, lasts=LASTS, at=timezone.now())
        except (DatabaseError, InterfaceError) as error:
            log.warning("beat stands by: the database does not answer (%s)", type(error).__name__)
            return False

    def close(self) -> None:
        super().close()
        try:
            leases.release(name=NAME, holder=self.holder)
        except (DatabaseError, InterfaceError):
            log.warning("the lease of beat was not given back; it ends by itself")
