from datetime import timedelta
from typing import Any

import pytest

from aiops.apikeys.roles import Role
from aiops.audit.models import AuditEvent
from aiops.notifications.models import Channel, Notification
from analytics.models import ReportSchedule
from tests.conftest import NOON
from tests.incidents.api.conftest import BASE, Api, api_of

pytestmark = pytest.mark.django_db
BODY: dict[str, Any] = {"name": "weekly", "report": "incidents", "cron": "0 7 * * mon", "channels": ["mail"]}
PATH = "/report-schedules"


@pytest.fixture(autouse=True)
def _channel(db: None) -> None:
    Channel.objects.create(
        name="mail", type="email", config={"to": ["a@example.com"]}, created_at=NOON, updated_at=NOON
    )


@pytest.fixture
def admin(db: None) -> Api:
    return api_of(Role.ADMIN, owner="ada@example.com")


def put(api: Api, body: dict[str, Any], **headers: str) -> Any:
    return api.client.put(f"{BASE}{PATH}/weekly", body, content_type="application/json", headers=headers)


class TestCreate:
    def test_answers_with_the_schedule(self, admin: Api) -> None:
        response = admin.post(PATH, BODY)

        assert response.status_code == 201
        assert response["Location"].endswith("/report-schedules/weekly")
        document = response.json()
        assert document["kind"] == "ReportSchedule"
        assert document["spec"] == {
            "report": "incidents", "period": "7d", "cron": "0 7 * * mon", "timeZone": "UTC", "channels": ["mail"],
            "cluster": None, "reportNamespace": None, "enabled": True,
        }  # fmt: skip
        assert document["status"] == {"nextRunAt": "2027-04-19T07:00:00Z", "lastRunAt": None, "lastError": None}
        assert AuditEvent.objects.get().action == "report-schedule.create"

    @pytest.mark.parametrize(
        ("wrong", "member"),
        [
            ({"cron": "every monday"}, "cron"),
            ({"timeZone": "Mars/Base"}, "timeZone"),
            ({"channels": ["pager"]}, "channels"),
            ({"channels": []}, "channels"),
            ({"report": "weather"}, "report"),
            ({"period": "1y"}, "period"),
            ({"name": "Weekly!"}, "name"),
        ],
    )
    def test_refuses_bad_members_by_name(self, admin: Api, wrong: dict[str, Any], member: str) -> None:
        response = admin.post(PATH, BODY | wrong)

        assert response.status_code == 400
        assert list(response.json()["error"]["fields"]) == [member]

    def test_a_second_one_of_the_name_is_a_conflict(self, admin: Api) -> None:
        admin.post(PATH, BODY)

        assert admin.post(PATH, BODY).status_code == 409

    def test_needs_an_admin(self, operator: Api) -> None:
        assert operator.post(PATH, BODY).status_code == 403

    def test_a_scoped_key_schedules_reports_of_its_scope(self) -> None:
        scoped = api_of(Role.ADMIN, namespaces=["shop"])

        assert scoped.post(PATH, BODY).status_code == 403
        assert scoped.post(PATH, BODY | {"reportNamespace": "shop"}).status_code == 201


class TestChange:
    @pytest.fixture(autouse=True)
    def _schedule(self, admin: Api) -> None:
        admin.post(PATH, BODY)

    def test_members_that_are_not_sent_stay(self, admin: Api) -> None:
        document = put(admin, {"enabled": False}).json()

        assert (document["spec"]["enabled"], document["spec"]["cron"]) == (False, "0 7 * * mon")
        assert document["status"]["nextRunAt"] is None

    def test_refuses_what_cannot_be(self, admin: Api) -> None:
        assert put(admin, {"cron": "x"}).status_code == 400
        assert ReportSchedule.objects.get().cron == "0 7 * * mon"

    def test_another_version_is_a_conflict(self, admin: Api) -> None:
        assert put(admin, {"enabled": False}, **{"If-Match": '"7"'}).status_code == 409

    def test_is_deleted(self, admin: Api) -> None:
        response = admin.client.delete(f"{BASE}{PATH}/weekly")

        assert (response.status_code, response.json()["kind"]) == (200, "Status")
        assert not ReportSchedule.objects.exists()

    def test_is_listed(self, viewer: Api) -> None:
        document = viewer.get(PATH, report="INCIDENTS").json()

        assert document["kind"] == "ReportScheduleList"
        assert [(item["name"], item["nextRunAt"]) for item in document["items"]] == [("weekly", "2027-04-19T07:00:00Z")]
        assert viewer.get(PATH, report="slo").json()["items"] == []

    def test_is_sent_on_demand(self, operator: Api) -> None:
        response = operator.post(f"{PATH}/weekly/send")

        assert response.json()["status"]["lastRunAt"] == "2027-04-12T12:01:00Z"
        [notification] = Notification.objects.select_related("attachment")
        assert notification.attachment is not None
        assert notification.created_at == NOON + timedelta(minutes=1)
