from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.errors import Invalid, LostRace
from aiops.notifications import delivery
from aiops.notifications.models import Attachment, Channel, Notification
from analytics.models import ReportSchedule
from analytics.services import schedules
from tests.conftest import NOON
from tests.factories import make_incident

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel() -> Channel:
    config = {"to": ["team@example.com"]}
    return Channel.objects.create(name="mail", type="email", config=config, created_at=NOON, updated_at=NOON)


def make_schedule(**overrides: Any) -> ReportSchedule:
    values: dict[str, Any] = {
        "name": "weekly",
        "report": "incidents",
        "period": "7d",
        "cron": "0 7 * * mon",
        "channels": ["mail"],
    }
    return schedules.save(schedule=ReportSchedule(**values | overrides), actor=SYSTEM, at=NOON)


class TestSave:
    def test_knows_when_it_is_due(self, channel: Channel) -> None:
        schedule = make_schedule(time_zone="Europe/Berlin")  # NOON is a Monday, and Berlin is two hours ahead

        assert schedule.due_at == NOON.replace(day=19, hour=5)
        assert AuditEvent.objects.get().action == "report-schedule.create"
        assert AuditEvent.objects.get().resource_type == "Config"

    def test_a_disabled_one_is_never_due(self, channel: Channel) -> None:
        assert make_schedule(enabled=False).due_at is None

    def test_a_change_moves_the_due_time(self, channel: Channel) -> None:
        schedule = make_schedule()
        schedule.cron = "0 13 * * *"

        schedules.save(schedule=schedule, actor=SYSTEM, at=NOON)

        schedule.refresh_from_db()
        assert (schedule.due_at, schedule.version) == (NOON.replace(hour=13), 2)

    @pytest.mark.parametrize(
        ("member", "values"),
        [
            ("report", {"report": "weather"}),
            ("period", {"period": "5y"}),
            ("cron", {"cron": "61 7 * * *"}),
            ("cron", {"cron": "* * * * * *"}),
            ("cron", {"cron": "0 0 31 2 *"}),
            ("timeZone", {"time_zone": "Mars/Base"}),
            ("channels", {"channels": ["pager"]}),
            ("channels", {"channels": []}),
            ("channels", {"channels": [{}]}),
        ],
    )
    def test_refuses_what_cannot_be_sent(self, channel: Channel, member: str, values: dict[str, Any]) -> None:
        with pytest.raises(Invalid) as refusal:
            make_schedule(**values)

        assert set(refusal.value.fields) == {member}
        assert not ReportSchedule.objects.exists()

    def test_of_two_writers_one_loses(self, channel: Channel) -> None:
        schedule = make_schedule()
        stale = ReportSchedule.objects.get(pk=schedule.pk)
        schedules.save(schedule=schedule, actor=SYSTEM, at=NOON)

        with pytest.raises(LostRace), transaction.atomic():
            schedules.save(schedule=stale, actor=SYSTEM, at=NOON)


class TestSendDue:
    def test_sends_the_page_to_the_channel(self, channel: Channel, mailoutbox: Any) -> None:
        make_incident(detected_at=NOON + timedelta(days=1))
        schedule = make_schedule()
        due = schedule.due_at
        assert due is not None

        assert schedules.send_due(schedule=schedule, at=due)
        delivery.sweep(at=due)

        [message] = mailoutbox
        assert message.subject == "Report Incidents, 2027-04-12 07:00 to 2027-04-19 07:00 UTC"
        assert "Incidents: 1" in message.body
        [page] = message.attachments
        assert (page.get_filename(), page.get_content_type()) == ("incidents-20270419.html", "text/html")
        assert page.get_payload(decode=True).startswith(b"<!DOCTYPE html>")
        schedule.refresh_from_db()
        assert (schedule.due_at, schedule.last_run_at) == (due + timedelta(days=7), due)

    def test_waits_until_it_is_due(self, channel: Channel) -> None:
        schedule = make_schedule()

        assert not schedules.send_due(schedule=schedule, at=NOON + timedelta(days=6))

    def test_what_was_missed_is_caught_up_once(self, channel: Channel) -> None:
        schedule = make_schedule(cron="0 7 * * *")
        at = NOON + timedelta(days=10)

        assert schedules.send_due(schedule=schedule, at=at)
        assert not schedules.send_due(schedule=ReportSchedule.objects.get(pk=schedule.pk), at=at)

        assert Notification.objects.count() == 1
        assert Attachment.objects.get().name == "incidents-20270422.html"  # the newest run, not the oldest
        schedule.refresh_from_db()
        assert schedule.due_at == at.replace(hour=7) + timedelta(days=1)

    def test_of_two_workers_one_sends(self, channel: Channel) -> None:
        schedule = make_schedule()
        other = ReportSchedule.objects.get(pk=schedule.pk)
        at = NOON + timedelta(days=7)

        assert schedules.send_due(schedule=schedule, at=at)
        assert not schedules.send_due(schedule=other, at=at)

        assert Notification.objects.count() == 1
        assert AuditEvent.objects.filter(action="report-schedule.send").count() == 1

    def test_notes_a_channel_that_is_gone(self, channel: Channel) -> None:
        schedule = make_schedule()
        channel.delete()

        schedules.send_due(schedule=schedule, at=NOON + timedelta(days=7))

        schedule.refresh_from_db()
        assert "mail" in schedule.last_error


class TestSweep:
    def test_nudges_what_is_due(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        sent: list[int] = []
        monkeypatch.setattr(schedules, "nudge", lambda task, schedule_id: sent.append(schedule_id))
        schedule = make_schedule()
        make_schedule(name="off", enabled=False)

        assert schedules.sweep(at=NOON) == 0
        assert schedules.sweep(at=NOON + timedelta(days=7)) == 1
        assert sent == [schedule.pk]


class TestSendNow:
    def test_leaves_the_next_run_as_it_was(self, channel: Channel) -> None:
        schedule = make_schedule()
        due = schedule.due_at

        schedules.send_now(schedule=schedule, actor=SYSTEM, at=NOON)

        schedule.refresh_from_db()
        assert (schedule.due_at, schedule.last_run_at) == (due, NOON)
        assert Notification.objects.count() == 1
