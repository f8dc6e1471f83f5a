"""Two people at once, on a database that lets them: real threads on PostgreSQL."""

from typing import Any

import pytest

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict
from runbooks import definitions
from runbooks.models import Runbook, RunbookVersion
from runbooks.services import library
from tests.conftest import NOON
from tests.factories import make_runbook
from tests.runbooks.services.test_library import BODY
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 4


@pytest.fixture(autouse=True)
def _postgresql() -> None:
    postgresql_only()


def refusals(results: list[Any]) -> int:
    failed = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(failure, Conflict) for failure in failed), failed
    return len(failed)


def test_one_name_is_created_once() -> None:
    results = at_once(WORKERS, lambda number: library.create(values=definitions.read(BODY), actor=SYSTEM, at=NOON))

    assert refusals(results) == WORKERS - 1
    assert Runbook.objects.count() == AuditEvent.objects.count() == RunbookVersion.objects.count() == 1


def test_one_of_several_changes_wins() -> None:
    rows = [Runbook.objects.get(pk=pk) for pk in [make_runbook().pk] * WORKERS]

    def act(number: int) -> None:
        library.update(runbook=rows[number], values={"description": f"change {number}"}, actor=SYSTEM, at=NOON)

    results = at_once(WORKERS, act)

    assert refusals(results) == WORKERS - 1
    assert Runbook.objects.get().revision == "1.1.0"


def test_a_change_and_a_deletion_never_both_succeed() -> None:
    rows = [Runbook.objects.get(pk=pk) for pk in [make_runbook().pk] * WORKERS]

    def act(number: int) -> None:
        if number % 2:
            library.delete(runbook=rows[number], actor=SYSTEM, at=NOON)
        else:
            library.update(runbook=rows[number], values={"description": "changed"}, actor=SYSTEM, at=NOON)

    assert refusals(at_once(WORKERS, act)) == WORKERS - 1
