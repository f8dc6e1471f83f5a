from datetime import timedelta
from typing import Any

import pytest

from aiops.audit import exports
from aiops.audit.actor import SYSTEM
from aiops.audit.exports import Selection
from aiops.audit.models import AuditExport, ExportPart
from tests.aiops.audit.makers import make_event
from tests.conftest import NOON

pytestmark = pytest.mark.django_db
SOON = NOON + timedelta(minutes=1)
DAY = Selection(since=NOON - timedelta(days=1), until=SOON)


@pytest.fixture
def job(settings: Any) -> AuditExport:
    settings.AIOPS_EXPORT_SYNC_MAX = 1
    for number in range(5):
        make_event(at=NOON + timedelta(microseconds=number // 2))
    begun = exports.export(selection=DAY, format_="csv", actor=SYSTEM, at=SOON)
    assert isinstance(begun, AuditExport)
    return begun


def content_of(job: AuditExport) -> bytes:
    return b"".join(exports.content_of(job))


class TestSelection:
    def test_reads_every_record_once_in_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "BATCH", 2)
        events = [make_event(at=NOON + timedelta(microseconds=number // 3)) for number in range(7)]

        found = [event.id for batch in DAY.batches() for event in batch]

        assert found == [event.id for event in sorted(events, key=lambda event: (event.at, event.id))]

    def test_bounds_are_whole_seconds(self) -> None:
        late = make_event(at=NOON + timedelta(milliseconds=900))
        make_event(at=NOON + timedelta(seconds=1))

        assert list(Selection(since=NOON, until=NOON).rows()) == [late]

    def test_survives_storage(self) -> None:
        chosen = Selection(since=NOON, until=SOON, users=("ines",), severity="warning", namespaces=("shop",))

        assert Selection.of_stored(chosen.stored()) == chosen


class TestWrite:
    def test_large_files_come_in_parts(self, job: AuditExport, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "BATCH", 2)
        monkeypatch.setattr(exports, "PART", 100)

        assert exports.write(job=job, at=SOON)

        assert ExportPart.objects.filter(export=job).count() > 2
        assert content_of(job).count(b"\r\n") == 6
        assert (job.state, job.records, job.size) == ("completed", 5, len(content_of(job)))

    def test_a_second_worker_leaves_it_alone(self, job: AuditExport) -> None:
        other = AuditExport.objects.get(pk=job.pk)
        exports.write(job=job, at=SOON)

        assert not exports.write(job=other, at=SOON)
        assert not exports.write(job=AuditExport.objects.get(pk=job.pk), at=SOON)

    def test_what_a_dead_worker_began_is_written_anew(self, job: AuditExport) -> None:
        job.change(leased_until=SOON + exports.LEASE, attempts=1)
        ExportPart.objects.create(export=job, attempt=1, number=0, content=b"half")

        assert not exports.write(job=job, at=SOON)
        assert exports.write(job=job, at=SOON + exports.LEASE)
        assert content_of(job).count(b"\r\n") == 6


class TestSweep:
    def test_nudges_what_nobody_writes(
        self, job: AuditExport, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        sent: list[tuple[str, str]] = []
        monkeypatch.setattr(exports, "nudge", lambda task, job_id: sent.append((task, job_id)))

        exports.sweep(at=SOON)

        assert sent == [("aiops.audit.tasks.write_export", job.job_id)]

    def test_gives_up_after_three_attempts(self, job: AuditExport) -> None:
        job.change(attempts=3, leased_until=SOON)

        exports.sweep(at=SOON)

        job.refresh_from_db()
        assert job.state == "failed"

    def test_removes_the_file_when_it_expires_and_the_job_later(self, job: AuditExport) -> None:
        exports.write(job=job, at=SOON)

        exports.sweep(at=job.expires_at)
        assert not ExportPart.objects.exists() and AuditExport.objects.exists()

        exports.sweep(at=job.expires_at + timedelta(days=30))
        assert not AuditExport.objects.exists()
