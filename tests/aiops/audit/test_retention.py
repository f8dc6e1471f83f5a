from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from aiops.audit import retention, services
from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditChain, AuditEvent
from tests.conftest import NOON

DAY = timedelta(days=1)


def write(name: str, at: datetime) -> None:
    with transaction.atomic():
        services.record(services.Record(action="test", actor=SYSTEM, resource_type="Incident", resource=name), at=at)


@pytest.fixture
def history(settings) -> None:
    """Three records of 100 days ago and two of today, of which the last 90 days are kept."""
    settings.AIOPS_AUDIT_RETENTION_DAYS = 90
    for number in range(3):
        write(f"old-{number}", NOON - 100 * DAY)
    for number in range(2):
        write(f"new-{number}", NOON)


@pytest.mark.django_db
@pytest.mark.usefixtures("history")
class TestForget:
    def test_leaves_a_log_that_can_be_verified(self) -> None:
        assert retention.forget(at=NOON) == 3

        assert list(services.verify()) == []
        assert set(AuditEvent.objects.values_list("resource", flat=True)) == {"new-0", "new-1", "audit-log"}

    @pytest.mark.parametrize("statement", range(5))
    def test_alarms_nobody_who_verifies_meanwhile(self, statement: int) -> None:
        done = [False] * statement

        def forget(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            found = execute(sql, params, many, context)
            done.append(False)
            if len(done) == 5:
                retention.forget(at=NOON)
            return found

        with connection.execute_wrapper(forget):
            assert list(services.verify()) == []

        assert AuditChain.objects.filter(truncated=3).exists()

    def test_says_so_in_the_log(self) -> None:
        retention.forget(at=NOON)

        chain = AuditChain.objects.get(truncated=3)
        told = AuditEvent.objects.get(action=services.TRUNCATE)
        assert told.details == {"chains": {str(chain.number): [3, chain.anchor]}}

    def test_is_done_when_nothing_is_old(self) -> None:
        retention.forget(at=NOON)

        assert retention.forget(at=NOON) == 0
        assert AuditEvent.objects.filter(action=services.TRUNCATE).count() == 1

    def test_removes_its_own_record_only_with_a_newer_one_in_its_place(self) -> None:
        retention.forget(at=NOON)
        write("newest", NOON + 100 * DAY)

        assert retention.forget(at=NOON + 100 * DAY) == 3

        assert list(services.verify()) == []
        assert set(AuditEvent.objects.values_list("resource", flat=True)) == {"newest", "audit-log"}

    def test_finishes_what_a_dead_process_began(self) -> None:
        retention._move_anchors(NOON - 90 * DAY, NOON)

        assert list(services.verify()) == []
        assert retention.forget(at=NOON) == 3

    def test_keeps_everything_unless_told(self, settings) -> None:
        settings.AIOPS_AUDIT_RETENTION_DAYS = 0

        assert retention.forget(at=NOON) == 0
        assert AuditEvent.objects.count() == 5


@pytest.mark.django_db
@pytest.mark.usefixtures("history")
class TestTampering:
    @pytest.mark.parametrize(
        "sql",
        [
            "DELETE FROM audit_auditevent WHERE resource = 'new-0'",
            "UPDATE audit_auditevent SET \"user\" = 'nobody' WHERE resource = 'new-1'",
            "UPDATE audit_auditchain SET truncated = 0, anchor = ''",
            "UPDATE audit_auditchain SET anchor = 'feed'",
            "DELETE FROM audit_auditevent WHERE action = 'audit.truncate'",
            # a chain cut short by hand: what is left is linked, but no record tells of it
            "UPDATE audit_auditchain SET truncated = 4, anchor = (SELECT hash FROM audit_auditevent WHERE resource = 'new-0')",
        ],
    )
    def test_is_found_in_a_truncated_log(self, sql: str) -> None:
        retention.forget(at=NOON)

        with connection.cursor() as cursor:
            cursor.execute(sql)

        assert list(services.verify())
