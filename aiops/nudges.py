"""Asks a worker to look at a row now. A row's state is the queue: a nudge that is lost costs a sweep interval, nothing else."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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


class _Broker:
    """What this process knows of the broker."""

    away_until: float = 0.0


def nudge(task: str, *, expires: float | None = None, **kwargs: Any) -> None:
    """Send the named task once the transaction is committed. A broker that is away is logged and otherwise ignored.

    `expires`: seconds after which no worker shall take the message any more, at least 10; a sweep sends the next one anyway.
    """
    if len(transaction.get_connection().run_on_commit) < MAX_PER_TRANSACTION:
        transaction.on_commit(lambda: _send(task, kwargs, expires))


@dataclass(slots=True, eq=False)
class _Rows:
    """The rows that one transaction wants looked at, sent when it is committed."""

    task: str
    pks: list[int]
    expires: float | None
    each: int

    def __call__(self) -> None:
        for first in range(0, min(len(self.pks), MAX_PER_TRANSACTION * self.each), self.each):
            _send(self.task, {"ids": self.pks[first : first + self.each]}, self.expires)


def nudge_rows(task: str, *pks: int, expires: float | None = None, each: int = ROWS) -> None:
    """`nudge` for tasks that take `ids`: those that a transaction names one after the other share messages, `each` in one."""
    connection = transaction.get_connection()
    savepoints = set(connection.savepoint_ids)
    for since, waiting, _ in reversed(connection.run_on_commit):
        # only within the same savepoint, since the rows of one that is rolled back are forgotten with it
        if isinstance(waiting, _Rows) and (waiting.task, waiting.each) == (task, each) and since == savepoints:
            waiting.pks += pks
            return
    if pks and len(connection.run_on_commit) < MAX_PER_TRANSACTION:
        transaction.on_commit(_Rows(task, list(pks), expires, each))


def work_off(task: str, pks: Sequence[int], work: Callable[[int], object]) -> None:
    """Do `work` for the rows of a message.

    After two seconds the others go on as messages of their own, so that a slow row (a language model, a hanging cluster)
    holds up nobody for longer; after a failure too, and then it is raised.
    """
    until = time.monotonic() + PATIENCE
    left = list(pks)
    try:
        while left and (len(left) == len(pks) or time.monotonic() < until):
            work(left.pop(0))
    finally:
        nudge_rows(task, *left, each=1)


def _send(task: str, kwargs: dict[str, Any], expires: float | None) -> None:
    if time.monotonic() < _Broker.away_until:
        return
    if expires is not None:
        expires = max(expires, SHORTEST_LIFE)
    try:
        current_app.send_task(task, kwargs=kwargs, expires=expires, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        _Broker.away_until = time.monotonic() + PAUSE
        logger.warning("nudge_lost", task=task, error=str(error))
