import pytest

from aiops.audit.models import AuditEvent
from slos.models import IncidentSLA
from tests.aiops.notifications.makers import make_channel

URL = "/incident-slas"
BODY = {
    "name": "critical",
    "severity": "critical",
    "responseTime": "15m",
    "resolutionTime": "4h",
    "businessHoursOnly": True,
    "businessHours": {"timezone": "Europe/Berlin", "holidays": {"country": "DE"}},
}


class TestCreate:
    def test_answers_with_the_sla(self, admin):
        answer = admin.post(URL, BODY)

        assert answer.status_code == 201
        document = answer.json()
        assert document["kind"] == "IncidentSLA"
        assert (document["spec"]["responseTime"], document["spec"]["mitigationTime"]) == ("15m", None)
        assert document["status"]["compliance"]["response"] == {"met": 0, "breached": 0, "percent": None}
        assert AuditEvent.objects.get().action == "incident-sla.create"

    @pytest.mark.parametrize(
        ("members", "field"),
        [
            ({"severity": "awful"}, "severity"),
            ({"responseTime": "soon"}, "responseTime"),
            ({"responseTime": None, "resolutionTime": None}, "responseTime"),
            ({"businessHours": {"timezone": "Berlin"}}, "businessHours.timezone"),
            ({"escalationPolicyRef": "nobody"}, "escalationPolicyRef"),
            ({"notificationChannels": ["nobody"]}, "notificationChannels"),
        ],
    )
    def test_names_the_member_that_is_wrong(self, admin, members, field):
        answer = admin.post(URL, BODY | members)

        assert answer.status_code == 400
        assert field in answer.json()["error"]["fields"]
        assert not IncidentSLA.objects.exists()

    def test_refuses_a_name_that_is_taken(self, admin):
        admin.post(URL, BODY)

        assert admin.post(URL, BODY).status_code == 409

    def test_is_for_admins(self, operator):
        assert operator.post(URL, BODY).status_code == 403


class TestUpdate:
    def test_merges(self, admin):
        admin.post(URL, BODY)
        make_channel("pager")

        spec = admin.put(f"{URL}/critical", {"responseTime": "30m", "notificationChannels": ["pager"]}).json()["spec"]

        assert (spec["responseTime"], spec["resolutionTime"]) == ("30m", "4h")
        assert spec["notificationChannels"] == ["pager"]

    def test_leaves_nothing_behind_when_it_is_refused(self, admin):
        admin.post(URL, BODY)

        assert admin.put(f"{URL}/critical", {"responseTime": None, "resolutionTime": None}).status_code == 400
        assert IncidentSLA.objects.get().response_seconds == 900


class TestDelete:
    def test_removes_the_sla(self, admin):
        admin.post(URL, BODY)

        assert admin.delete(f"{URL}/critical").json()["status"]["message"] == "IncidentSLA deleted"
        assert not IncidentSLA.objects.exists()


class TestList:
    def test_shows_and_filters(self, viewer, admin):
        admin.post(URL, BODY)

        assert [item["responseTime"] for item in viewer.get(URL).json()["items"]] == ["15m"]
        assert viewer.get(URL, severity="low").json()["items"] == []
