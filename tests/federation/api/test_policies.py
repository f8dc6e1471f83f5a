"""The policies of X6: the same story for each of them, and what is special about some."""

from typing import Any, NamedTuple

import pytest

from aiops.audit.models import AuditEvent
from aiops.notifications.models import Channel, Notification
from tests.conftest import NOON

pytestmark = pytest.mark.django_db
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
WINDOW = {"startsAt": "2027-04-12T11:00:00Z", "endsAt": "2027-04-12T13:00:00Z"}


class Kind(NamedTuple):
    path: str
    kind: str
    word: str  # in the audit log
    body: dict[str, Any]
    change: dict[str, Any]


KINDS = [
    Kind(
        "/approval-policies", "ApprovalPolicy", "approval-policy",
        {"rules": [{"name": "r", "mode": "auto", "match": {"severities": ["low"]}}], "priority": 5},
        {"defaultMode": "quorum"},
    ),
    Kind(
        "/notification-channels", "NotificationChannel", "notification-channel",
        {"type": "webhook", "config": {"url": "https://example.com/hook"}, "secrets": {"secret": SECRET}},
        {"enabled": False},
    ),
    Kind(
        "/notification-policies", "NotificationPolicy", "notification-policy",
        {"rules": [{"name": "r", "severities": ["critical"], "channels": ["ops"]}], "throttle": {"maxPerHour": 7}},
        {"enabled": False},
    ),
    Kind(
        "/escalation-policies", "EscalationPolicy", "escalation-policy",
        {"levels": [{"name": "first", "timeoutMinutes": 5, "notifyChannels": ["ops"]}], "severities": ["critical"]},
        {"defaultPolicy": True},
    ),
    Kind("/maintenance-windows", "MaintenanceWindow", "maintenance-window", WINDOW, {"suppress": "notifications"}),
]  # fmt: skip
each = pytest.mark.parametrize("case", KINDS, ids=[case.kind for case in KINDS])


@pytest.fixture(autouse=True)
def _channel(db):
    Channel.objects.create(name="ops", type="webhook", created_at=NOON, updated_at=NOON)


@each
class TestEveryKind:
    def test_is_created_read_changed_and_deleted(self, admin, case):
        created = admin.post(case.path, {"name": "one"} | case.body)
        assert (created.status_code, created.json()["kind"]) == (201, case.kind)
        assert admin.get(f"{case.path}/one").json()["spec"] == created.json()["spec"]
        names = [item["name"] for item in admin.get(case.path).json()["items"]]
        assert "one" in names

        changed = admin.put(f"{case.path}/one", case.change)

        assert changed.status_code == 200
        assert changed.json()["spec"] == created.json()["spec"] | case.change
        assert admin.delete(f"{case.path}/one").json()["kind"] == "Status"
        assert admin.get(f"{case.path}/one").status_code == 404
        actions = AuditEvent.objects.order_by("at", "id").values_list("action", flat=True)
        assert sorted(actions) == sorted(f"{case.word}.{verb}" for verb in ("create", "update", "delete"))

    def test_is_read_by_viewers_and_written_by_admins(self, viewer, operator, case):
        assert viewer.get(case.path).status_code == 200
        assert operator.post(case.path, {"name": "one"} | case.body).status_code == 403

    def test_name_is_unique(self, admin, case):
        admin.post(case.path, {"name": "one"} | case.body)

        assert admin.post(case.path, {"name": "one"} | case.body).status_code == 409

    def test_refuses_a_stale_version(self, admin, case):
        admin.post(case.path, {"name": "one"} | case.body)

        assert admin.put(f"{case.path}/one", case.change, **{"If-Match": '"9"'}).status_code == 409

    def test_change_of_nothing_leaves_no_trace(self, admin, case):
        admin.post(case.path, {"name": "one"} | case.body)
        changed = admin.put(f"{case.path}/one", case.change).json()

        again = admin.put(f"{case.path}/one", case.change).json()

        assert again["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"] == "2"
        assert AuditEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("path", "body", "member"),
    [
        ("/approval-policies", {"rules": [{"name": "r", "mode": "maybe"}]}, "rules"),
        ("/notification-channels", {"type": "pigeon"}, "type"),
        ("/notification-channels", {"type": "webhook", "config": {"uri": "x"}}, "config.uri"),
        ("/notification-policies", {"rules": [{"name": "r", "channels": ["nobody"]}]}, "rules[0].channels"),
        ("/escalation-policies", {"levels": [{"notifyChannels": ["nobody"]}]}, "levels[0].notifyChannels"),
        ("/maintenance-windows", WINDOW | {"endsAt": WINDOW["startsAt"]}, "endsAt"),
        ("/maintenance-windows", WINDOW | {"rrule": "FREQ=SECONDLY"}, "rrule"),
        ("/maintenance-windows", WINDOW | {"timezone": "Mars/Base"}, "timezone"),
        ("/maintenance-windows", WINDOW | {"tiers": ["gold"]}, "tiers"),
        ("/maintenance-windows", {"startsAt": "soon", "endsAt": WINDOW["endsAt"]}, "startsAt"),
    ],
)
def test_bad_members_are_named(admin, path, body, member):
    answer = admin.post(path, {"name": "one"} | body)

    assert answer.status_code == 400
    assert member in {
        name.partition("[")[0] if member == "rules" else name for name in answer.json()["error"]["fields"]
    }


class TestSecrets:
    BODY = {"name": "one", "type": "webhook", "config": {"url": "https://example.com/"}}

    def test_come_back_masked(self, admin):
        answer = admin.post(
            "/notification-channels",
            self.BODY | {"secrets": {"secret": SECRET}},
        )

        assert answer.json()["spec"]["secrets"] == {"secret": "********"}
        assert "c2VjcmV0" not in answer.content.decode()

    def test_sent_back_masked_stay_as_they_are(self, admin):
        admin.post(
            "/notification-channels",
            self.BODY | {"secrets": {"secret": SECRET}},
        )
        stored = bytes(Channel.objects.get(name="one").secrets)

        answer = admin.put("/notification-channels/one", {"secrets": {"secret": "********"}})

        assert answer.json()["metadata"]["resourceVersion"] == "1"
        assert bytes(Channel.objects.get(name="one").secrets) == stored


class TestDeletion:
    def test_of_a_channel_in_use_is_refused(self, admin):
        admin.post("/notification-policies", {"name": "p", "rules": [{"name": "r", "channels": ["ops"]}]})

        assert admin.delete("/notification-channels/ops").status_code == 409


class TestNotifications:
    def test_lists_deliveries(self, viewer):
        for number, state in enumerate(("sent", "failed")):
            Notification.objects.create(
                channel_name="ops", channel_type="webhook", event="incident_created", key=str(number), subject="s", body="b",
                subject_kind="Incident", subject_name="INC-1", incident_name="INC-1", state=state, created_at=NOON, attempts=3,
            )  # fmt: skip

        document = viewer.get("/notifications", state="FAILED", incident="INC-1", channel="ops").json()

        assert (document["kind"], document["metadata"]["totalCount"]) == ("NotificationList", 1)
        item = document["items"][0]
        assert (item["channel"], item["state"], item["attempts"], item["sentAt"]) == ("ops", "failed", 3, None)
