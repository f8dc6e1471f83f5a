from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from aiops import documents as yaml
from aiops.audit.models import AuditEvent
from slos import definitions
from slos.models import SLO, IncidentSLA, SLAPause
from slos.services import clocks
from tests.conftest import NOON
from tests.slos.factories import make_slo, measured
from tests.slos.services.test_clocks import incident_at_noon, make_sla

pytestmark = pytest.mark.django_db
CONSOLE = "/console/slos"
PAGES = ("slo", "incidentsla", "slaclock", "slapause", "dailyhistory")
INLINES = ("alerts", "attributions", "adjustments", "transitions", "target_changes")


def signed_in(role: str) -> Client:
    user = User.objects.create_user(role, password="a-long-password", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def sent(document: str, *prefixes: str) -> dict[str, str]:
    """A form with the management forms of inlines without rows."""
    empty = {f"{prefix}-{name}": "0" for prefix in prefixes for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    return {"document": document, **empty}


def act(client: Client, model: str, action: str, *rows: Any) -> Any:
    body = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(f"{CONSOLE}/{model}/", body, follow=True)


class TestPages:
    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("role", ["viewer", "admin"])
    def test_open(self, page, role):
        slo = make_slo(columns=measured())
        make_sla()
        clocks.start(incident=incident_at_noon(), at=NOON)
        client = signed_in(role)

        assert client.get(f"{CONSOLE}/{page}/").status_code == 200
        assert client.get(f"{CONSOLE}/slo/{slo.pk}/change/").status_code == 200


class TestSLOForm:
    def test_creates_through_the_service(self):
        client = signed_in("admin")
        document = yaml.write({"name": "cart", "service": "cart", "type": "availability", "target": 99.5})

        client.post(f"{CONSOLE}/slo/add/", sent(document, *INLINES))

        assert SLO.objects.get().name == "cart"
        assert AuditEvent.objects.get(action="slo.create").user == "admin"

    def test_names_what_is_wrong(self):
        client = signed_in("admin")
        document = yaml.write({"name": "cart", "service": "cart", "type": "availability", "target": 100})

        page = client.post(f"{CONSOLE}/slo/add/", sent(document, *INLINES)).content.decode()

        assert "target: Must be less than 100 percent." in page
        assert not SLO.objects.exists()

    def test_changes_what_was_changed(self):
        slo = make_slo()
        body = definitions.body_of(slo) | {"target": 99.5}

        signed_in("admin").post(f"{CONSOLE}/slo/{slo.pk}/change/", sent(yaml.write(body), *INLINES))

        slo.refresh_from_db()
        assert (float(slo.target), slo.version) == (99.5, 2)

    def test_keeps_the_name(self):
        slo = make_slo()
        body = definitions.body_of(slo) | {"name": "other"}

        page = signed_in("admin").post(f"{CONSOLE}/slo/{slo.pk}/change/", sent(yaml.write(body), *INLINES))

        assert "keeps its name" in page.content.decode()

    def test_deletes_through_the_service(self):
        slo = make_slo()

        signed_in("admin").post(f"{CONSOLE}/slo/{slo.pk}/delete/", {"post": "yes"})

        assert not SLO.objects.exists()
        assert AuditEvent.objects.filter(action="slo.delete").exists()

    def test_is_not_for_viewers(self):
        assert signed_in("viewer").get(f"{CONSOLE}/slo/add/").status_code == 403


class TestIncidentSLAForm:
    def test_creates_through_the_service(self):
        document = "name: high\nseverity: high\nresponseTime: 30m\nbusinessHours: {timezone: Europe/Berlin}\n"

        signed_in("admin").post(f"{CONSOLE}/incidentsla/add/", sent(document))

        assert IncidentSLA.objects.get().response_seconds == 1800
        assert AuditEvent.objects.filter(action="incident-sla.create").exists()

    def test_names_what_is_wrong(self):
        document = "name: high\nseverity: high\nresponseTime: 30m\nbusinessHours: {timezone: Berlin}\n"

        page = signed_in("admin").post(f"{CONSOLE}/incidentsla/add/", sent(document))

        assert "businessHours.timezone" in page.content.decode()


class TestClocks:
    def test_are_paused_and_resumed(self):
        make_sla(resolution_seconds=7200)
        rows = clocks.start(incident=incident_at_noon(), at=NOON)
        client = signed_in("operator")

        act(client, "slaclock", "pause", *rows)
        assert SLAPause.objects.filter(ended_at=None).count() == 1
        act(client, "slaclock", "resume", *rows)

        assert not SLAPause.objects.filter(ended_at=None).exists()
