import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import transaction

from aiops.apikeys.roles import Role
from aiops.apikeys.scopes import EVERYTHING
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from federation.api import events
from tests.conftest import NOON
from tests.factories import make_incident
from tests.incidents.api.conftest import api_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_slot() -> Iterator[None]:
    """Every stream ends with what there is, as it does for the many who find no slot."""
    taken = 0
    while events._slots().acquire(blocking=False):
        taken += 1
    yield
    for _ in range(taken):
        events._slots().release()


def happen(kind: str = "Incident", name: str = "INC-1", **facts: Any) -> None:
    with transaction.atomic():
        audit.record(audit.Record("incident.open", SYSTEM, kind, name, **facts), at=NOON)


def listen(api: Any, last: str = "0.0") -> tuple[list[dict[str, Any]], str]:
    """The events and the id of the last one."""
    headers = {"Last-Event-ID": last} if last else {}
    answer = api.client.get("/api/v1/events", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    found = []
    for frame in b"".join(answer.streaming_content).decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line)
        if "data" in fields:
            last = fields["id"]
            found.append({"event": fields["event"], **orjson.loads(fields["data"])})
    return found, last


@pytest.mark.usefixtures("no_slot")
class TestEvents:
    def test_tell_of_what_was_committed(self, viewer):
        happen(namespace="shop", correlation_id="INC-1")
        happen("ApprovalRequest", "APR-1")
        happen("SLO", "s")
        happen("ClusterRegistration", "c")
        happen("Runbook", "nobody listens for these")

        found, _ = listen(viewer)

        assert [one["event"] for one in found] == ["incident", "approval", "slo", "cluster"]
        assert found[0] == {
            "event": "incident", "kind": "Incident", "name": "INC-1", "namespace": "shop", "action": "incident.open",
            "incident": "INC-1", "timestamp": "2027-04-12T12:00:00Z",
        }  # fmt: skip

    def test_resume_where_they_ended(self, viewer):
        happen(name="INC-1")
        _, last = listen(viewer)
        happen(name="INC-2")

        found, last = listen(viewer, last)

        assert [one["name"] for one in found] == ["INC-2"]
        assert listen(viewer, last)[0] == []

    def test_begin_now_without_an_id(self, viewer):
        happen()

        assert listen(viewer, "")[0] == []

    def test_resume_through_several_pages(self, viewer, monkeypatch):
        monkeypatch.setattr(events, "PAGE", 2)
        for number in range(5):
            happen(name=f"INC-{number}")

        names, last = [], "0.0"
        for _ in range(4):
            found, last = listen(viewer, last)
            names += [one["name"] for one in found]

        assert names == [f"INC-{number}" for number in range(5)]

    def test_tell_only_what_the_key_may_see(self):
        make_incident(name="INC-1", cluster_name="a")
        make_incident(name="INC-2", cluster_name="b")
        for name in ("INC-1", "INC-2"):
            happen(name=name, correlation_id=name, namespace="shop")
        happen("ClusterRegistration", "b")

        assert [one["name"] for one in listen(api_of(Role.VIEWER, clusters=["a"]))[0]] == ["INC-1"]
        assert listen(api_of(Role.VIEWER, namespaces=["bank"]))[0] == []

    @pytest.mark.parametrize("last", ["nonsense", "1", "1.!", "1.2-x", "999999.1", "1." + "9" * 40])
    def test_refuse_ids_that_they_did_not_send(self, viewer, last):
        answer = viewer.client.get("/api/v1/events", headers={"Last-Event-ID": last})

        assert answer.status_code == 400

    def test_need_a_key(self, nobody):
        assert nobody.get("/events").status_code == 401


class TestHeldStream:
    def test_tells_at_once_and_gives_its_slot_back(self, monkeypatch):
        monkeypatch.setattr(events, "TICK", 0.01)
        slots = threading.BoundedSemaphore(1)
        monkeypatch.setattr(events, "_slots", lambda: slots)
        frames = events.stream(events.heads(), EVERYTHING)
        assert next(frames).startswith(b"retry: ")
        happen()

        assert b"event: incident" in next(frames)
        frames.close()
        assert slots.acquire(blocking=False)


class TestIds:
    def test_survive_the_round_trip(self):
        positions = {0: 0, 3: 35, 15: 36**7}

        assert events.decode(events.encode(positions)) == positions
