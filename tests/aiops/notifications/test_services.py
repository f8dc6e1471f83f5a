from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict
from aiops.notifications import services
from aiops.notifications.models import Attachment, Notification
from tests.aiops.notifications.makers import announce, make_attachment, make_channel, make_message, make_policy
from tests.conftest import NOON

pytestmark = pytest.mark.django_db


class TestAnnounce:
    def test_writes_one_row_per_channel(self):
        make_channel("ops")
        make_channel("desk")
        make_policy({"channels": ["ops"]}, {"channels": ["ops", "desk"]})

        rows = announce(make_message())

        assert sorted(row.channel_name for row in rows) == ["desk", "ops"]
        assert {row.state for row in rows} == {"pending"}
        assert rows[0].subject == "[HIGH] checkout runs out of memory"

    def test_leaves_out_what_no_rule_matches(self):
        make_channel("ops")
        make_policy({"match": {"severities": ["critical"]}, "channels": ["ops"]})

        assert announce(make_message()) == []

    def test_leaves_out_disabled_policies_and_channels(self):
        make_channel("ops", enabled=False)
        make_channel("desk")
        make_policy({"channels": ["ops"]})
        make_policy({"channels": ["desk"]}, name="off", enabled=False)

        assert announce(make_message()) == []

    def test_stores_the_same_occurrence_once(self):
        make_channel()
        make_policy()

        announce(make_message(occurrence="attempt-1"))
        rows = announce(make_message(occurrence="attempt-1"), at=NOON + timedelta(hours=2))

        assert len(rows) == 1

    def test_suppresses_a_repetition(self):
        make_channel()
        make_policy()

        announce(make_message())
        rows = announce(make_message(), at=NOON + timedelta(minutes=4))

        assert [row.state for row in rows] == ["pending", "suppressed"]
        assert rows[1].reason == "repeated within 300 s"

    def test_tells_it_again_after_the_window(self):
        make_channel()
        make_policy()

        announce(make_message())
        rows = announce(make_message(), at=NOON + timedelta(minutes=6))

        assert [row.state for row in rows] == ["pending", "pending"]

    def test_suppresses_what_exceeds_the_hourly_limit(self):
        make_channel()
        make_policy(max_per_hour=2)

        rows = announce(*(make_message(event="remediation_failed", occurrence=str(n)) for n in range(3)))

        assert [row.state for row in rows] == ["pending", "pending", "suppressed"]

    def test_lets_terminal_messages_pass_the_limit(self):
        make_channel()
        make_policy(max_per_hour=0)

        rows = announce(make_message(event="incident_resolved", terminal=True))

        assert rows[0].state == "pending"

    def test_sends_to_named_channels_without_a_policy(self):
        make_channel("night-shift")

        rows = announce(make_message(event="escalation_level", channels=("night-shift", "unknown")))

        assert [row.channel_name for row in rows] == ["night-shift"]

    def test_holds_back_what_a_snooze_covers(self):
        make_channel()
        make_policy()
        until = NOON + timedelta(hours=1)

        rows = announce(make_message(hold_until=until))

        assert (rows[0].due_at, rows[0].hold_until) == (until, until)

    def test_drops_what_was_held_when_the_incident_is_over(self):
        make_channel()
        make_policy()
        until = NOON + timedelta(hours=1)

        announce(make_message(hold_until=until))
        rows = announce(make_message(event="incident_resolved", terminal=True, hold_until=until), at=NOON)

        assert {row.event: row.state for row in rows} == {
            "incident_created": "suppressed",
            "incident_resolved": "pending",
        }

    def test_stores_no_secret(self):
        make_channel()
        make_policy()

        rows = announce(make_message(title="login failed: password=hunter2", body="token: abcdef12345"))

        assert "hunter2" not in rows[0].subject + rows[0].body + str(rows[0].context)
        assert "abcdef12345" not in rows[0].body + str(rows[0].context)

    def test_takes_the_same_few_statements_for_many_messages(self):
        make_channel()
        make_policy()

        with CaptureQueriesContext(connection) as captured:
            announce(*(make_message(subject_name=f"INC-20270412-{n:03d}") for n in range(100)))

        reads = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
        writes = [query["sql"] for query in captured if query["sql"].startswith("INSERT")]
        assert len(reads) == 4  # channels, policies, what was sent lately; and the test's own
        assert len(writes) <= 3  # SQLite takes only so many values at once

    def test_uses_the_template_of_the_rule(self):
        make_channel()
        make_policy({"channels": ["ops"], "template": "{{ namespace }} is unwell"})

        assert announce(make_message())[0].body == "shop is unwell"


class TestHoldAndRelease:
    def test_move_pending_messages(self):
        make_channel()
        make_policy()
        announce(make_message())
        until = NOON + timedelta(hours=2)

        assert services.hold("INC-20270412-001", until) == 1
        assert Notification.objects.get().due_at == until

        assert services.release("INC-20270412-001") == 1
        assert Notification.objects.get().due_at == NOON

    def test_leave_other_incidents_alone(self):
        make_channel()
        make_policy()
        announce(make_message())

        assert services.hold("INC-20270412-002", NOON + timedelta(hours=2)) == 0


class TestRetry:
    def test_makes_a_dead_letter_due_again(self):
        make_channel()
        make_policy()
        notification = announce(make_message())[0]
        Notification.objects.update(state="failed", attempts=8, due_at=None)

        notification = services.retry(notification=notification, actor=SYSTEM, at=NOON)

        assert (notification.state, notification.attempts, notification.due_at) == ("pending", 0, NOON)
        assert AuditEvent.objects.get().action == "notification.retry"

    def test_refuses_a_message_that_is_under_way(self):
        make_channel()
        make_policy()
        notification = announce(make_message())[0]

        with pytest.raises(Conflict):
            services.retry(notification=notification, actor=SYSTEM, at=NOON)


class TestForgetAttachments:
    def test_deletes_the_old_file_and_keeps_the_log(self):
        make_channel()
        make_policy()
        notification = announce(make_message(attachment=make_attachment()))[0]

        services.forget_attachments(at=NOON + timedelta(days=30))
        assert Attachment.objects.exists()

        services.forget_attachments(at=NOON + timedelta(days=31))
        notification.refresh_from_db()
        assert notification.attachment is None and not Attachment.objects.exists()


class TestForget:
    def test_deletes_old_messages_that_are_done_with(self, settings):
        settings.AIOPS_NOTIFICATION_RETENTION_DAYS = 30
        make_channel("ops")
        make_policy()
        for name, days, state in (("old", 31, "sent"), ("late", 31, "pending"), ("new", 29, "sent")):
            announce(make_message(subject_name=name))
            rows = Notification.objects.filter(subject_name=name)
            rows.update(created_at=NOON - timedelta(days=days), state=state)

        assert services.forget(at=NOON) == 1

        assert set(Notification.objects.values_list("subject_name", flat=True)) == {"late", "new"}

    def test_keeps_everything_when_told_so(self, settings):
        settings.AIOPS_NOTIFICATION_RETENTION_DAYS = 0
        make_channel("ops")
        make_policy()
        announce(make_message())
        Notification.objects.update(created_at=NOON - timedelta(days=9_000), state="sent")

        assert services.forget(at=NOON) == 0
