"""Whether the hard dependencies answer. Every answer is bounded and says nothing of the inside."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from functools import lru_cache

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

OK = "ok"
SECONDS = 5.0
WORKERS = 4  # probes that hang keep their thread until the system gives up; more than these find no place and fail

_found_migrated: list[bool] = []
_pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="readiness")


def check() -> dict[str, str]:
    """The state of each dependency by name; `ok`, or a short cause."""
    probes: dict[str, Callable[[], str]] = {"database": database}
    if settings.REDIS_URL:
        probes["redis"] = redis
    running = {name: _pool.submit(probe) for name, probe in probes.items()}
    states = {}
    for name, future in running.items():
        try:
            states[name] = future.result(timeout=SECONDS / len(running))
        except FutureTimeout:
            future.cancel()
            states[name] = "does not answer in time"
    return states


def database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return OK if _is_migrated() else "lacks migrations"
    except (DatabaseError, InterfaceError):
        log.warning("the database does not answer", exc_info=True)
        return "does not answer"
    finally:
        connections.close_all()


def _is_migrated() -> bool:
    """Once applied, migrations stay applied while this process runs its code, so the table is read until then only."""
    if not _found_migrated:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _found_migrated.append(True)
    return True


@lru_cache(maxsize=2)
def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def redis() -> str:
    try:
        _client(settings.REDIS_URL).ping()
    except (RedisError, OSError):
        log.warning("Redis does not answer", exc_info=True)
        return "does not answer"
    return OK
