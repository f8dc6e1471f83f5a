import json
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

from aiops.audit.models import AuditEvent
from aiops.llm.models import LLMCall
from aiops.notifications.models import Notification
from analytics.models import ReportSchedule
from analytics.services import rollups, sampling
from tests.aiops.audit.makers import make_event
from tests.aiops.notifications.makers import make_channel
from tests.conftest import NOON
from tests.factories import make_approval, make_incident, make_plan, make_postmortem

pytestmark = pytest.mark.django_db
PATH = "/console/analytics/reportschedule/"


@pytest.fixture
def console() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", "ada@example.com", "not-a-real-password"))
    return client


def posted(**overrides: str) -> dict[str, str]:
    values = {"name": "weekly", "report": "slo", "period": "30d", "cron": "0 7 1 * *", "time_zone": "Europe/Berlin"}
    return (
        values | {"channels": json.dumps(["ops"]), "cluster": "", "report_namespace": "", "enabled": "on"} | overrides
    )


class TestReportSchedules:
    def test_are_made_and_audited(self, console: Client) -> None:
        make_channel()

        answer = console.post(f"{PATH}add/", posted())

        assert answer.status_code == 302, answer.content[:2000]
        schedule = ReportSchedule.objects.get()
        assert schedule.due_at is not None and schedule.created_at is not None
        event = AuditEvent.objects.get()
        assert (event.action, event.user) == ("report-schedule.create", "ada")

    def test_show_what_is_wrong(self, console: Client) -> None:
        page = console.post(f"{PATH}add/", posted(cron="often", time_zone="Mars/Base"))

        assert page.status_code == 200
        assert set(page.context["adminform"].form.errors) == {"channels", "time_zone"}
        assert not ReportSchedule.objects.exists()

    def test_are_changed_and_deleted(self, console: Client) -> None:
        make_channel()
        console.post(f"{PATH}add/", posted())
        schedule = ReportSchedule.objects.get()

        console.post(f"{PATH}{schedule.pk}/change/", posted(period="7d"))
        schedule.refresh_from_db()
        assert schedule.period == "7d"

        console.post(f"{PATH}{schedule.pk}/delete/", {"post": "yes"})
        assert not ReportSchedule.objects.exists()
        assert list(AuditEvent.objects.order_by("at").values_list("action", flat=True)) == [
            "report-schedule.create",
            "report-schedule.update",
            "report-schedule.delete",
        ]

    def test_are_sent_now(self, console: Client) -> None:
        make_channel()
        console.post(f"{PATH}add/", posted())
        schedule = ReportSchedule.objects.get()

        console.post(PATH, {"action": "send_now", "_selected_action": [schedule.pk]})

        assert Notification.objects.get().subject.startswith("Report Service-level objectives")

    def test_viewers_only_look(self, client: Client) -> None:
        user: Any = User.objects.create_user("vera", password="not-a-real-password", is_staff=True)
        user.groups.add(Group.objects.get(name="viewer"))
        client.force_login(user)

        assert client.get(PATH).status_code == 200
        assert client.post(f"{PATH}add/", posted()).status_code == 403


@pytest.mark.parametrize(
    "page",
    [
        "incidentrollup", "workloadrollup", "planrollup", "approvalrollup", "postmortemrollup", "auditrollup", "llmrollup",
        "outdatedhour", "usage",
    ],
)  # fmt: skip
def test_what_was_counted_is_shown_and_not_edited(console: Client, page: str) -> None:
    plan = make_plan(state="Completed")
    make_approval(plan=plan)
    make_postmortem(incident=plan.incident)
    make_event()
    LLMCall.objects.create(
        at=NOON, purpose="analysis", subject="INC-1", provider="openai", model="m", outcome="accepted"
    )
    rollups.refresh(limit=100)
    make_incident()
    sampling.store(cluster="east", samples={("shop", "Deployment", "api"): sampling.Sample(cpu=1)}, at=NOON)

    listed = console.get(f"/console/analytics/{page}/")
    row = apps.get_model("analytics", page).objects.first()
    one = console.get(f"/console/analytics/{page}/{row.pk}/change/")

    assert (listed.status_code, one.status_code) == (200, 200)
    assert console.get(f"/console/analytics/{page}/add/").status_code == 403
    assert console.post(f"/console/analytics/{page}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
