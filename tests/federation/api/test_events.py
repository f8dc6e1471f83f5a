import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.db import transaction

from aiops.apikeys.roles import Role
from aiops.apikeys.scopes import EVERYTHING, Scope
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from federation.api import events, feed, listening
from tests.conftest import NOON
from tests.factories import make_incident
from tests.incidents.api.conftest import api_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_slot() -> Iterator[None]:
    """Every stream ends with what there is, as it does for the many who find no slot."""
    taken = 0
    while listening._slots().acquire(blocking=False):
        taken += 1
    yield
    for _ in range(taken):
        listening._slots().release()


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


class TestFeed:
    """Read by hand here: the thread of a process would see what this test has not committed."""

    @pytest.fixture
    def read(self, monkeypatch) -> feed.Feed:
        made = feed.Feed()
        monkeypatch.setattr(made, "_read", made._look)
        monkeypatch.setattr(threading, "Thread", lambda target, **_: Now(target))
        monkeypatch.setattr(feed, "of_process", lambda: made)
        return made

    def test_every_listener_gets_the_same_frame(self, read):
        with read.joined() as one, read.joined() as other:
            happen()
            read._look()
            frames = [read.after(place, EVERYTHING, timeout=0) for place in (one, other)]
            again = read.after(one, EVERYTHING, timeout=0)

        assert frames[0] == frames[1] != []
        assert again == []

    def test_looks_cost_the_same_for_any_number(self, read, django_assert_num_queries):
        with read.joined(), read.joined(), read.joined():
            happen()
            with django_assert_num_queries(4):  # heads, page, clusters of the incidents, heads
                read._look()
            with django_assert_num_queries(1):
                read._look()

    def test_a_listener_sees_its_scope_only(self, read):
        with read.joined() as place:
            happen(namespace="shop")
            happen(name="INC-2", namespace="bank")
            read._look()
            (frame,) = read.after(place, Scope.of(["bank"], []), timeout=0)

        assert b"INC-2" in frame

    def test_who_is_too_far_behind_has_to_come_again(self, read):
        read._frames = deque(maxlen=2)
        with read.joined() as place:
            for _ in range(3):
                happen()
            read._look()

            with pytest.raises(feed.Behind):
                read.after(place, EVERYTHING, timeout=0)

    def test_a_held_stream_begins_where_the_listener_was(self, read):
        happen(name="INC-1")
        began = events.heads()
        happen(name="INC-2")
        frames = listening.stream(began, EVERYTHING)
        told = [next(frames), next(frames)]
        happen(name="INC-3")
        read._look()
        told.append(next(frames))
        frames.close()

        assert told[0].startswith(b"retry: ")
        assert [name in frame for name, frame in zip((b"INC-2", b"INC-3"), told[1:], strict=True)] == [True, True]
        assert read._listeners == 0

    def test_a_stream_ends_when_the_key_is_revoked(self, read, monkeypatch):
        monkeypatch.setattr(listening, "RECHECK", 0.0)
        monkeypatch.setattr(listening, "KEEP_ALIVE", 0.0)
        answers = iter([True, False])
        frames = listening.stream(events.heads(), EVERYTHING, lambda: next(answers))

        told = list(frames)

        assert [frame[:6] for frame in told] == [b"retry:", b": stil"]

    def test_a_stream_gives_its_slot_back(self, read, monkeypatch):
        slots = threading.BoundedSemaphore(1)
        monkeypatch.setattr(listening, "_slots", lambda: slots)
        frames = listening.stream({}, EVERYTHING)
        happen()
        next(frames), next(frames)
        is_taken = not slots.acquire(blocking=False)
        frames.close()

        assert is_taken
        assert slots.acquire(blocking=False)


class Now:
    """A thread that does its work when it is started."""

    def __init__(self, target: Callable[[], None]) -> None:
        self.start = target


class TestIds:
    def test_survive_the_round_trip(self):
        positions = {0: 0, 3: 35, 15: 36**7}

        assert events.decode(events.encode(positions)) == positions
