import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections

from aiops.gate import Gate

pytestmark = pytest.mark.django_db(transaction=True)


class Application:
    """Remembers how many requests were in at once, and on which connections."""

    def __init__(self, response: Any = (b"done",)) -> None:
        self.lock, self.inside, self.most = threading.Lock(), 0, 0
        self.wrappers: set[int] = set()
        self.response = response

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.wrappers.add(id(connections["default"]))
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            found = cursor.fetchone()
        with self.lock:
            self.inside -= 1
        assert found == (1,)
        return self.response


@pytest.fixture
def closed() -> Any:
    """Closes what the gate has opened."""
    gates: list[Gate] = []
    yield gates.append
    for gate in gates:
        for wrapper in filter(None, gate._idle):
            wrapper.close()


def call(gate: Gate) -> Any:
    had = "default" in {one.alias for one in connections.all(initialized_only=True)}
    found = gate({}, None)
    if not had:
        assert not connections.all(initialized_only=True)  # the thread keeps nothing
    return found


def in_thread(work: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


class TestGate:
    def test_few_connections_serve_many_threads(self, closed):
        application = Application()
        gate = Gate(application, width=2)
        closed(gate)

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: call(gate), range(60)))

        assert answers == [(b"done",)] * 60
        assert application.most <= 2
        assert len(application.wrappers) <= 2

    def test_a_connection_that_is_too_old_is_made_anew(self, closed):
        gate = Gate(Application(), width=1)
        closed(gate)
        call(gate)
        (wrapper,) = gate._idle
        assert wrapper is not None
        before = wrapper.connection
        wrapper.close_at = 0

        call(gate)

        assert gate._idle == [wrapper]
        assert wrapper.connection is not before

    def test_a_request_that_fails_gives_its_connection_back(self, closed):
        def fails(environ: Any, start_response: Any) -> Any:
            raise RuntimeError

        gate = Gate(fails, width=1)
        closed(gate)
        for _ in range(2):  # the second one would wait for ever
            with pytest.raises(RuntimeError):
                in_thread(lambda: gate({}, None))

    def test_a_stream_has_a_connection_while_it_is_read(self, closed):
        class Stream(SimpleNamespace):
            streaming = True

            def __iter__(self) -> Any:
                yield str(id(connections["default"])).encode()

        application = Application(Stream(close=lambda: None))
        gate = Gate(application, width=1)
        closed(gate)

        (used,) = in_thread(lambda: list(call(gate)))

        assert {int(used)} == application.wrappers

    def test_a_listener_has_none_while_it_waits(self, closed):
        waiting = SimpleNamespace(streaming=True, borrows=False)
        gate = Gate(Application(waiting), width=1)
        closed(gate)

        assert in_thread(lambda: call(gate)) is waiting
        assert len(gate._idle) == 1
