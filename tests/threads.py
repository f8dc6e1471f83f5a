"""Races on a real database: many threads, each with a connection of its own, let go at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections

from tests.conftest import needs

T = TypeVar("T")


def postgresql_only() -> None:
    """SQLite lets one transaction in at a time, so there is no race to see."""
    needs(connection.vendor == "postgresql", "PostgreSQL (DATABASE_URL)")


def at_once(count: int, work: Callable[[int], T]) -> list[T | Exception]:
    """`work(0)` … `work(count - 1)` in threads that start together; an exception is a result like any other."""
    barrier = threading.Barrier(count)

    def run(number: int) -> T | Exception:
        try:
            barrier.wait(timeout=120)
            return work(number)
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
