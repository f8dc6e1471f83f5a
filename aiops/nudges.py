"""Asks a worker to look at a row now. A row's state is the queue: a nudge that is lost costs a sweep interval, nothing else."""

from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = structlog.get_logger(__name__)


def nudge(task: str, *, expires: float | None = None, **kwargs: Any) -> None:
    """Send the named task once the transaction is committed. A broker that is away is logged and otherwise ignored.

    `expires` in seconds: a worker that comes to it later drops it, since the sweep has sent it again by then.
    """
    transaction.on_commit(lambda: _send(task, kwargs, expires))


def _send(task: str, kwargs: dict[str, Any], expires: float | None) -> None:
    try:
        current_app.send_task(task, kwargs=kwargs, retry=False, ignore_result=True, expires=expires)
    except (OperationalError, OSError) as error:
        logger.warning("nudge_lost", task=task, error=str(error))
