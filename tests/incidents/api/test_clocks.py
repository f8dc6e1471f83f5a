from typing import Any

import pytest

from aiops.audit.models import AuditEvent
from slos.models import IncidentSLA
from slos.services import clocks
from tests.conftest import NOON
from tests.factories import make_incident
from tests.incidents.api.conftest import Api

pytestmark = pytest.mark.django_db
PAUSE = {"reason": "Waiting for the vendor", "pausedBy": "ines"}
RESUME = {"resumedBy": "ines"}


@pytest.fixture(autouse=True)
def _promised(db: None) -> None:
    IncidentSLA.objects.create(
        name="high", severity="high", response_seconds=3600, created_at=NOON, updated_at=NOON, namespace="default"
    )
    incident = make_incident(name="a", severity="high", started_at=NOON, detected_at=NOON)
    clocks.start(incident=incident, at=NOON)


class TestSla:
    def test_shows_the_clocks(self, viewer: Api) -> None:
        document = viewer.get("/incidents/a/sla").json()

        assert document["kind"] == "IncidentSLAClocks"
        assert document["metadata"]["name"] == "a"
        assert document["status"]["pauses"] == []
        (clock,) = document["status"]["clocks"]
        assert (clock["kind"], clock["sla"], clock["state"]) == ("response", "high", "running")
        assert (clock["allowedSeconds"], clock["takenSeconds"], clock["endedAt"]) == (3600, None, None)

    def test_is_empty_without_a_promise(self, viewer: Api) -> None:
        make_incident(name="b", severity="low")

        assert viewer.get("/incidents/b/sla").json()["status"] == {"clocks": [], "pauses": []}
        assert viewer.get("/incidents/c/sla").status_code == 404


class TestPause:
    def test_stops_the_clocks_until_they_are_resumed(self, operator: Api) -> None:
        paused = operator.post("/incidents/a/pause-sla", PAUSE)
        assert paused.status_code == 200
        status = paused.json()["status"]
        assert (status["clocks"][0]["state"], status["clocks"][0]["dueAt"]) == ("paused", None)
        assert (status["pauses"][0]["reason"], status["pauses"][0]["startedBy"]) == (PAUSE["reason"], "ines")
        assert operator.post("/incidents/a/pause-sla", PAUSE).status_code == 409

        resumed = operator.post("/incidents/a/resume-sla", RESUME).json()["status"]
        assert resumed["clocks"][0]["dueAt"] is not None
        assert resumed["pauses"][0]["endedBy"] == "ines"
        assert operator.post("/incidents/a/resume-sla", RESUME).status_code == 409
        assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"incident.pause-sla", "incident.resume-sla"}

    def test_is_no_snooze(self, operator: Api) -> None:
        operator.post("/incidents/a/snooze", {"duration": "1h", "reason": "deploy", "snoozedBy": "ines"})

        assert operator.get("/incidents/a/sla").json()["status"]["clocks"][0]["state"] == "running"

    def test_is_refused_for_what_is_over(self, operator: Api) -> None:
        operator.post("/incidents/a/resolve", {})

        assert operator.post("/incidents/a/pause-sla", PAUSE).status_code == 409

    @pytest.mark.parametrize(("action", "body"), [("pause-sla", PAUSE), ("resume-sla", RESUME)])
    def test_needs_the_role_and_a_body(
        self, viewer: Api, operator: Api, nobody: Api, action: str, body: dict[str, Any]
    ) -> None:
        assert nobody.post(f"/incidents/a/{action}", body).status_code == 401
        assert viewer.post(f"/incidents/a/{action}", body).status_code == 403
        assert operator.post(f"/incidents/a/{action}", {}).json()["error"]["fields"].keys() == body.keys()
        assert operator.post(f"/incidents/none/{action}", body).status_code == 404
