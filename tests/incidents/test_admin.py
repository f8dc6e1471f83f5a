from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from aiops.audit.models import AuditEvent
from incidents.models import EscalationPolicy, Incident, PostMortem
from tests.conftest import NOON
from tests.factories import make_anomaly, make_incident, make_insight, make_postmortem

pytestmark = pytest.mark.django_db
PAGES = (
    "incident",
    "anomaly",
    "aiinsight",
    "decision",
    "timelineevent",
    "postmortem",
    "escalationrun",
    "escalationpolicy",
)


def signed_in(role: str) -> Client:
    user = User.objects.create_user("olaf", password="a-long-password", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, model: str, action: str, *rows: Any) -> Any:
    body = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(f"/console/incidents/{model}/", body, follow=True)


@pytest.mark.parametrize("page", PAGES)
def test_lists_open(page: str) -> None:
    make_insight(incident=make_postmortem().incident)
    make_anomaly()

    assert signed_in("viewer").get(f"/console/incidents/{page}/").status_code == 200


def test_an_incident_shows_its_story() -> None:
    incident = make_incident(description="heap is full")
    make_anomaly(incident=incident)

    response = signed_in("viewer").get(f"/console/incidents/incident/{incident.pk}/change/")

    assert "checkout crashes" in response.content.decode()


class TestActions:
    @pytest.mark.parametrize(
        ("action", "column"), [("acknowledge", "acknowledged_at"), ("snooze", "snoozed_at"), ("resolve", "resolved_at")]
    )
    def test_work_for_operators(self, action: str, column: str) -> None:
        incident = make_incident()

        act(signed_in("operator"), "incident", action, incident)

        assert getattr(Incident.objects.get(), column) is not None
        assert AuditEvent.objects.get().user == "olaf"

    def test_are_refused_to_viewers(self) -> None:
        incident = make_incident()

        act(signed_in("viewer"), "incident", "resolve", incident)

        assert Incident.objects.get().state == "Detected"

    def test_show_what_a_service_refuses(self) -> None:
        incident = make_incident(state="Resolved", resolved_at=NOON)

        response = act(signed_in("operator"), "incident", "resolve", incident)

        assert "already resolved" in response.content.decode()

    def test_close_postmortems(self) -> None:
        postmortem = make_postmortem()

        act(signed_in("operator"), "postmortem", "close", postmortem)

        assert PostMortem.objects.get().state == "Closed"

    @pytest.mark.parametrize("verb", ["add/", "1/delete/"])
    def test_nobody_adds_or_deletes(self, verb: str) -> None:
        make_incident(pk=1)

        assert signed_in("admin").get(f"/console/incidents/incident/{verb}").status_code == 403


class TestEscalationPolicy:
    path = "/console/incidents/escalationpolicy/add/"
    form = {"name": "night", "starts_on": "escalated", "severities": "[]", "namespaces": "[]", "enabled": "on"}

    def test_a_level_without_a_channel_is_refused(self) -> None:
        response = signed_in("admin").post(self.path, {**self.form, "levels": '[{"name": "first"}]'})

        assert response.status_code == 200
        assert not EscalationPolicy.objects.exists()
        assert "notifyChannels" in response.content.decode()
