"""Asks a worker to look at a row now. A row's state is the queue: a nudge that is lost costs a sweep interval, nothing else.

A process that serves people calls `gather` once. Its messages then leave by a thread, and what many requests nudge at the same
time shares messages: a message costs 0.3 ms, and an acknowledgement alone would send two.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = structlog.get_logger(__name__)

SHORTEST_LIFE = 10.0  # seconds; a loaded machine that takes longer for a message than it lives would do nothing at all
MAX_PER_TRANSACTION = 50  # of a storm, the sweep finds the others as quickly as workers could take them
ROWS = 10  # in one message: a message costs as much as all of correlation does for the row that it is about
PATIENCE = 2.0  # seconds that a worker gives to one message before it hands the rest on to others
PAUSE = 5.0  # seconds without nudges after a broker did not answer, so that a batch of them waits for it only once
GATHER = 0.02  # seconds in which a process gathers what it sends next; the first one after a silence leaves at once
WAITING_MAX = 10_000  # messages that wait to be sent; what comes on top is left to the sweep

Id = TypeVar("Id", int, str)


class _Broker:
    """What this process knows of the broker."""

    away_until: float = 0.0


@dataclass(slots=True, eq=False)
class _Message:
    """One task for a worker."""

    task: str
    kwargs: dict[str, Any]
    expires: float | None

    def __call__(self) -> None:
        _dispatch(self)

    def send(self) -> None:
        _send(self.task, self.kwargs, self.expires)


@dataclass(slots=True, eq=False)
class _Rows:
    """The rows that are to be looked at by one kind of task, `each` in one message."""

    task: str
    ids: list[Any]
    expires: float | None
    each: int

    @property
    def kind(self) -> tuple[Any, ...]:
        return self.task, self.expires, self.each

    def __call__(self) -> None:
        del self.ids[MAX_PER_TRANSACTION * self.each :]
        _dispatch(self)

    def send(self) -> None:
        for first in range(0, len(self.ids), self.each):
            _send(self.task, {"ids": self.ids[first : first + self.each]}, self.expires)


def nudge(task: str, *, expires: float | None = None, **kwargs: Any) -> None:
    """Send the named task once the transaction is committed. A broker that is away is logged and otherwise ignored.

    `expires`: seconds after which no worker shall take the message any more, at least 10; a sweep sends the next one anyway.
    """
    if len(transaction.get_connection().run_on_commit) < MAX_PER_TRANSACTION:
        transaction.on_commit(_Message(task, kwargs, expires))


def nudge_rows(task: str, *ids: Id, expires: float | None = None, each: int = ROWS) -> None:
    """`nudge` for tasks that take `ids`: those that a transaction names one after the other share messages, `each` in one."""
    connection = transaction.get_connection()
    rows = _Rows(task, list(ids), expires, each)
    savepoints = set(connection.savepoint_ids)
    for since, waiting, _ in reversed(connection.run_on_commit):
        # only within the same savepoint, since the rows of one that is rolled back are forgotten with it
        if isinstance(waiting, _Rows) and waiting.kind == rows.kind and since == savepoints:
            waiting.ids += ids
            return
    if ids and len(connection.run_on_commit) < MAX_PER_TRANSACTION:
        transaction.on_commit(rows)


def work_off(task: str, ids: Sequence[Id], work: Callable[[Id], object]) -> None:
    """Do `work` for the rows of a message.

    After two seconds the others go on as messages of their own, so that a slow row (a language model, a hanging cluster)
    holds up nobody for longer; after a failure too, and then it is raised.
    """
    until = time.monotonic() + PATIENCE
    left = list(ids)
    try:
        while left and (len(left) == len(ids) or time.monotonic() < until):
            work(left.pop(0))
    finally:
        nudge_rows(task, *left, each=1)


# --- sending -------------------------------------------------------------------------------------------------------------


class _Gathering:
    """The messages of a process that wait for its thread, which is there once one waits (a fork inherits none)."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[_Message | _Rows] = queue.SimpleQueue()
        self.sender = 0  # process whose thread sends
        self.lock = threading.Lock()

    def put(self, message: _Message | _Rows) -> None:
        if self.waiting.qsize() >= WAITING_MAX:
            return
        self.waiting.put(message)
        if self.sender != os.getpid():
            self._start()

    def _start(self) -> None:
        with self.lock:
            if self.sender != os.getpid():
                self.sender = os.getpid()
                threading.Thread(target=self._run, name="nudges", daemon=True).start()

    def _run(self) -> None:
        while True:
            for message in _merged([self.waiting.get(), *self._others()]):
                message.send()
            self.pause()

    def pause(self) -> None:
        time.sleep(GATHER)

    def _others(self) -> Iterator[_Message | _Rows]:
        for _ in range(self.waiting.qsize()):
            yield self.waiting.get()


def _merged(messages: Sequence[_Message | _Rows]) -> list[_Message | _Rows]:
    """Rows of one kind become one, where the first of them stood."""
    kinds: dict[Any, _Message | _Rows] = {}
    for message in messages:
        if isinstance(message, _Message):
            kinds[id(message)] = message
            continue
        known = kinds.setdefault(message.kind, message)
        if isinstance(known, _Rows) and known is not message:
            known.ids += message.ids
    return list(kinds.values())


_gathering: _Gathering | None = None


def gather() -> None:
    """Send by a thread from now on. For processes that stay: what waits is lost when one ends, and left to the sweep."""
    global _gathering  # noqa: PLW0603 - how a process sends is a fact of the process
    _gathering = _gathering or _Gathering()


def _dispatch(message: _Message | _Rows) -> None:
    if _gathering is None:
        message.send()
    else:
        _gathering.put(message)


def _send(task: str, kwargs: dict[str, Any], expires: float | None) -> None:
    if time.monotonic() < _Broker.away_until:
        return
    if expires is not None:
        expires = max(expires, SHORTEST_LIFE)
    unread: Any = {"argsrepr": "", "kwargsrepr": ""}  # Celery would describe them for logs that nobody keeps
    try:
        current_app.send_task(task, kwargs=kwargs, expires=expires, retry=False, ignore_result=True, **unread)
    except (OperationalError, OSError) as error:
        _Broker.away_until = time.monotonic() + PAUSE
        logger.warning("nudge_lost", task=task, error=str(error))
