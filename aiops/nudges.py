"""Asks a worker to look at a row now. A row's state is the queue: a nudge that is lost costs a sweep interval, nothing else."""

import time
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = structlog.get_logger(__name__)

SHORTEST_LIFE = 10.0  # seconds; a loaded machine that takes longer for a message than it lives would do nothing at all
MAX_PER_TRANSACTION = 50  # of a storm, the sweep finds the others as quickly as workers could take them
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
