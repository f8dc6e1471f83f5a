"""Two people at once, on a database that lets them: real threads on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict
from runbooks import definitions
from runbooks.models import Runbook, RunbookVersion
from runbooks.services import library
from tests.conftest import NOON, needs
from tests.factories import make_runbook
from tests.runbooks.services.test_library import BODY

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 4


def at_once(do: Callable[[int], Any]) -> list[Any]:
    """What each of four threads got: the result of `do(number)`, or the refusal."""
    barrier = Barrier(WORKERS)

    def work(number: int) -> Any:
        try:
            barrier.wait(timeout=10)
            return do(number)
        except Conflict as refusal:
            return refusal
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, range(WORKERS)))


@pytest.fixture(autouse=True)
def _postgresql() -> None:
    needs(connection.vendor == "postgresql", "PostgreSQL")


def refusals(results: list[Any]) -> int:
    return sum(isinstance(result, Conflict) for result in results)


def test_one_name_is_created_once() -> None:
    results = at_once(lambda number: library.create(values=definitions.read(BODY), actor=SYSTEM, at=NOON))

    assert refusals(results) == WORKERS - 1
    assert Runbook.objects.count() == AuditEvent.objects.count() == RunbookVersion.objects.count() == 1


def test_one_of_several_changes_wins() -> None:
    rows = [Runbook.objects.get(pk=pk) for pk in [make_runbook().pk] * WORKERS]

    results = at_once(
        lambda number: library.update(
            runbook=rows[number], values={"description": f"change {number}"}, actor=SYSTEM, at=NOON
        )
    )

    assert refusals(results) == WORKERS - 1
    assert Runbook.objects.get().revision == "1.1.0"


def test_a_change_and_a_deletion_never_both_succeed() -> None:
    rows = [Runbook.objects.get(pk=pk) for pk in [make_runbook().pk] * WORKERS]

    def act(number: int) -> None:
        if number % 2:
            library.delete(runbook=rows[number], actor=SYSTEM, at=NOON)
        else:
            library.update(runbook=rows[number], values={"description": "changed"}, actor=SYSTEM, at=NOON)

    assert refusals(at_once(act)) == WORKERS - 1
