"""Lets as many requests work at once as there are database connections for them, however many threads the web server has.

A listener of `/events` costs a thread for as long as it listens. So the web server gets hundreds of threads, which cost next
to nothing while they wait; what must stay few, since Python runs one at a time and every connection is a process of the
database, are the requests at work. Each borrows a connection and gives it back, whatever thread it runs in.
"""

import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Gate:
    """A WSGI application in front of another one. A response that is a stream borrows when it is read; one whose
    `borrows` is False does so by itself, by `lent`."""

    def __init__(self, application: Application, *, width: int) -> None:
        self._application = application
        self._idle: list[BaseDatabaseWrapper | None] = [None] * width  # None: connected when it is needed
        # One for each of them. It is waited for in C, while the list keeps the one used last, which is warm, at hand: 0.2
        # instead of the 1.8 µs of `queue.LifoQueue`.
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(width):
            self._free.put(None)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        wrapper = self._borrow()
        try:
            response = self._application(environ, start_response)
        finally:
            self._give_back(wrapper)
        if getattr(response, "streaming", False) and getattr(response, "borrows", True):
            return self._read(response)
        return response

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The thread has a database connection meanwhile; waits until one is free."""
        wrapper = self._borrow()
        try:
            yield
        finally:
            self._give_back(wrapper)

    def _borrow(self) -> BaseDatabaseWrapper:
        self._free.get()
        wrapper = self._idle.pop()
        try:
            if wrapper is None:
                made = connections.create_connection(DEFAULT_DB_ALIAS)
                made.inc_thread_sharing()  # one thread at a time, but not always the same
                wrapper = made
            wrapper.close_if_unusable_or_obsolete()
            connections[DEFAULT_DB_ALIAS] = wrapper
        except BaseException:
            self._put(wrapper)
            raise
        return wrapper

    def _give_back(self, wrapper: BaseDatabaseWrapper) -> None:
        try:
            del connections[DEFAULT_DB_ALIAS]
        finally:
            self._put(wrapper)

    def _put(self, wrapper: BaseDatabaseWrapper | None) -> None:
        self._idle.append(wrapper)
        self._free.put(None)

    def _read(self, response: Iterable[bytes]) -> Iterator[bytes]:
        with self.lent():
            try:
                yield from response
            finally:
                close = getattr(response, "close", None)
                if close is not None:
                    close()


_gates: list[Gate] = []  # of this process: one, or none where another server than ours runs the project


def guarded(application: Application) -> Gate:
    """The gate of this process, in front of the application."""
    gate = Gate(application, width=settings.AIOPS_WEB_THREADS)
    _gates[:] = [gate]
    return gate


@contextmanager
def lent() -> Iterator[None]:
    """For what outlives its request: a connection for a moment. Without a gate the thread has its own."""
    if not _gates:
        yield
        return
    with _gates[0].lent():
        yield
