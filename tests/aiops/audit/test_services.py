import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from aiops.audit import services
from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditChain, AuditEvent, AuditVerdict
from aiops.audit.records import checksum
from aiops.errors import Conflict
from tests.conftest import NOON
from tests.threads import at_once, postgresql_only


def record(name: str = "INC-20270412-001", **overrides: object) -> AuditEvent:
    values: dict[str, object] = {
        "action": "incident.resolve",
        "actor": SYSTEM,
        "resource_type": "Incident",
        "resource": name,
    }
    with transaction.atomic():
        return services.record(services.Record(**values | overrides), at=NOON)[0]  # type: ignore[arg-type]


def tamper(sql: str, *params: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


@pytest.mark.django_db
class TestRecord:
    def test_keeps_who_did_what(self) -> None:
        event = record(details={"resolution": "rolled back"})

        assert (event.user, event.role, event.source_ip, event.details) == (
            "system",
            "system",
            "internal",
            {"resolution": "rolled back"},
        )
        assert event.checksum.startswith("sha256:") and len(event.checksum) == 71

    def test_hides_secrets(self) -> None:
        event = record(details={"password": "hunter2", "note": "Authorization: Bearer abcdefghijkl"})

        assert "hunter2" not in str(event.details) and "abcdefghijkl" not in str(event.details)

    def test_refuses_to_change_or_delete_a_record(self) -> None:
        event = record()
        event.user = "nobody"

        with pytest.raises(Conflict):
            event.save()
        with pytest.raises(Conflict):
            event.delete()

    def test_two_records_of_one_transaction_follow_each_other(self) -> None:
        with transaction.atomic():
            first, second = services.record(
                *(services.Record("incident.open", SYSTEM, "Incident", name) for name in ("INC-1", "INC-2")), at=NOON
            )

        assert second.previous == first.hash and second.position == first.position + 1

    def test_a_change_that_is_rolled_back_leaves_no_record(self) -> None:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            record()
            _ = 1 / 0

        assert not AuditEvent.objects.exists()
        assert list(services.verify()) == []


@pytest.mark.django_db
class TestVerify:
    def test_holds_for_untouched_records(self) -> None:
        for number in range(5):
            record(f"INC-{number}", details={"number": number, "ratio": 0.84, "text": "größer ✓"})

        assert list(services.verify()) == []

    def test_holds_although_a_chain_begins_meanwhile(self) -> None:
        to_do = [record]

        def begin(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            found = execute(sql, params, many, context)
            if to_do:
                to_do.pop()()
            return found

        with connection.execute_wrapper(begin):
            assert list(services.verify()) == []

        assert AuditEvent.objects.count() == 1

    def test_finds_a_changed_record(self) -> None:
        record("INC-1")
        event = record("INC-2")
        tamper("UPDATE audit_auditevent SET \"user\" = 'nobody' WHERE id = %s", event.id)

        assert event.id in next(services.verify())

    def test_finds_a_changed_record_whose_checksum_was_mended(self) -> None:
        event = record()
        event.user = "nobody"
        tamper(
            "UPDATE audit_auditevent SET \"user\" = 'nobody', checksum = %s WHERE id = %s",
            checksum(event),
            event.id,
        )

        assert event.id in next(services.verify())

    @pytest.mark.parametrize("victim", [0, 1, 2])
    def test_finds_a_removed_record(self, victim: int) -> None:
        events = [record(f"INC-{number}") for number in range(3)]
        tamper("DELETE FROM audit_auditevent WHERE id = %s", events[victim].id)

        assert "missing" in next(services.verify())

    def test_finds_a_removed_head(self) -> None:
        record()
        AuditChain.objects.all().delete()

        assert "no head" in next(services.verify())

    def test_command_says_so_and_exits_with_1(self, capsys: pytest.CaptureFixture[str]) -> None:
        event = record()
        tamper("UPDATE audit_auditevent SET action = 'x' WHERE id = %s", event.id)

        err = io.StringIO()
        with pytest.raises(SystemExit) as exit_:
            call_command("verify_audit", stderr=err)
        assert exit_.value.code == 1 and event.id in err.getvalue()

    def test_command_exits_with_0_on_a_sound_log(self) -> None:
        record()

        out = io.StringIO()
        call_command("verify_audit", stdout=out)
        assert "holds: 1 records" in out.getvalue()


@pytest.mark.django_db
class TestJudge:
    def test_keeps_the_verdict(self) -> None:
        record()

        verdict = services.judge(at=NOON)

        assert (verdict.records, verdict.broken, str(verdict)) == (1, "", "intact")

    def test_of_equal_verdicts_the_newest_stays(self) -> None:
        event = record()
        services.judge(at=NOON)
        services.judge(at=NOON + timedelta(hours=1))
        tamper("DELETE FROM audit_auditevent WHERE id = %s", event.id)
        services.judge(at=NOON + timedelta(hours=2))

        found = list(AuditVerdict.objects.values_list("checked_at", "broken"))
        assert [at for at, _ in found] == [NOON + timedelta(hours=2), NOON + timedelta(hours=1)]
        assert "missing" in found[0][1] and found[1][1] == ""


@pytest.mark.django_db(transaction=True)
def test_sixteen_writers_at_once_keep_the_chains_sound() -> None:
    postgresql_only()

    results = at_once(16, lambda number: [record(f"INC-{number}-{turn}") for turn in range(10)])

    assert not [result for result in results if isinstance(result, Exception)]
    assert AuditEvent.objects.count() == 160
    assert list(services.verify()) == []


@pytest.mark.django_db(transaction=True)
def test_one_chain_takes_single_records_and_batches_of_many_writers(monkeypatch) -> None:
    """The database links a single record, Python links batches: on one chain, and in turn."""
    postgresql_only()
    monkeypatch.setattr(services, "CHAINS", 1)
    details = {"text": 'O\'Brien \\ "quoted" 日本'}

    def write(number: int) -> None:
        for count in range(12):
            names = [f"INC-{number}-{count}-{one}" for one in range(1 + (number + count) % 3)]
            with transaction.atomic():
                services.record(
                    *(services.Record("incident.resolve", SYSTEM, "Incident", name, details=details) for name in names),
                    at=NOON,
                )

    failed = [one for one in at_once(8, write) if one is not None]

    assert failed == []
    assert list(services.verify()) == []
    assert AuditChain.objects.get().length == AuditEvent.objects.count() == 8 * 12 * 2
