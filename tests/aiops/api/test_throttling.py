import socket
import uuid

import pytest
import time_machine
from django.conf import settings as real
from redis import Redis
from redis.exceptions import RedisError

from aiops.api import throttling
from aiops.apikeys.roles import Role
from tests.aiops.api.conftest import client_of
from tests.conftest import NOON, needs

pytestmark = pytest.mark.django_db

REDIS = real.REDIS_URL or "redis://127.0.0.1:6379/15"


def redis_answers() -> bool:
    try:
        return bool(Redis.from_url(REDIS, socket_connect_timeout=1).ping())
    except (RedisError, OSError):
        return False


@pytest.fixture(params=["memory", "redis"], autouse=True)
def storage(request, settings, monkeypatch):
    settings.AIOPS_RATE_LIMITS = {"viewer": 3, "operator": 5, "admin": 7}
    if request.param == "redis":
        needs(redis_answers(), "Redis")
        settings.RATE_LIMIT_STORAGE = REDIS
        # other tests count in the same server at the same time, and keys of other databases have the same numbers
        monkeypatch.setattr(throttling, "PREFIX", f"aiops:rate:{uuid.uuid4()}:")
        monkeypatch.setattr(throttling, "REDIS_OPTIONS", {"socket_timeout": 60})  # after one second limits are off
    return request.param


def headers(response) -> tuple[int, int]:
    return int(response["X-RateLimit-Limit"]), int(response["X-RateLimit-Remaining"])


class TestLimit:
    def test_counts_down_and_refuses(self, viewer):
        answers = [viewer.get("/api/v1/things") for _ in range(5)]

        assert [response.status_code for response in answers] == [200, 200, 200, 429, 429]
        assert [headers(response) for response in answers] == [(3, 2), (3, 1), (3, 0), (3, 0), (3, 0)]

    def test_refusal_says_when_to_come_back(self, viewer):
        for _ in range(3):
            viewer.get("/api/v1/things")

        response = viewer.get("/api/v1/things")

        assert response.json()["error"]["reason"] == "RATE_LIMITED"
        assert 1 <= int(response["Retry-After"]) <= 61

    def test_depends_on_the_role(self, operator, admin):
        assert headers(operator.get("/api/v1/things")) == (5, 4)
        assert headers(admin.get("/api/v1/things")) == (7, 6)

    def test_is_the_key_s_own(self, viewer):
        for _ in range(4):
            viewer.get("/api/v1/things")

        assert client_of(Role.VIEWER).get("/api/v1/things").status_code == 200

    def test_counts_refused_requests(self, viewer):
        viewer.get("/api/v1/nothing")
        viewer.patch("/api/v1/things")
        viewer.get("/api/v1/things?page=0")

        assert viewer.get("/api/v1/things").status_code == 429

    def test_precedes_route_and_method(self, viewer):
        for _ in range(3):
            viewer.get("/api/v1/things")

        assert viewer.get("/api/v1/nothing").status_code == 429
        assert viewer.patch("/api/v1/things").status_code == 429

    def test_strangers_count_by_address(self, client, viewer):
        answers = [client.get("/api/v1/things").status_code for _ in range(4)]

        assert answers == [401, 401, 401, 429]
        assert viewer.get("/api/v1/things").status_code == 200

    def test_is_read_at_request_time(self, viewer, settings):
        viewer.get("/api/v1/things")
        settings.AIOPS_RATE_LIMITS = {"viewer": 1, "operator": 1, "admin": 1}

        assert viewer.get("/api/v1/things").status_code == 429

    def test_spares_health(self, client):
        for _ in range(10):
            response = client.get("/healthz")

        assert response.status_code == 200
        assert "X-RateLimit-Limit" not in response


class TestWindow:
    def test_begins_with_the_first_request_and_ends_60_s_later(self, viewer, storage):
        if storage == "redis":
            pytest.skip("Redis has a clock of its own")
        start = NOON.timestamp()

        with time_machine.travel(start + 17.25, tick=False):
            first = viewer.get("/api/v1/things")
        with time_machine.travel(start + 77.0, tick=False):
            late = viewer.get("/api/v1/things")
        with time_machine.travel(start + 78.0, tick=False):
            fresh = viewer.get("/api/v1/things")

        assert int(first["X-RateLimit-Reset"]) == start + 78
        assert headers(late) == (3, 1)
        assert headers(fresh) == (3, 2)


class TestRedisWindows:
    @pytest.fixture
    def windows(self, storage):
        if storage != "redis":
            pytest.skip("It is about Redis")
        return throttling.RedisWindows(REDIS)

    def test_counts_on_when_the_connection_was_closed_meanwhile(self, windows):
        windows.hit("key:ä")
        windows.idle[-1]._sock.shutdown(socket.SHUT_RDWR)

        assert [windows.hit("key:ä")[0] for _ in range(2)] == [2, 3]

    def test_counts_on_when_the_server_forgot_the_script(self, windows):
        windows.hit("key:1")
        windows.script.sha = "0" * 40

        assert [windows.hit("key:1")[0] for _ in range(2)] == [2, 3]

    def test_keeps_a_connection(self, windows):
        numbers = [windows.hit("key:1")[0] for _ in range(3)]

        assert numbers == [1, 2, 3]
        assert len(windows.idle) == 1


class TestRedisAway:
    def test_accepts_everything(self, viewer, settings, monkeypatch):
        settings.RATE_LIMIT_STORAGE = "redis://127.0.0.1:1/0"
        monkeypatch.setattr(throttling, "pause", throttling.Pause())

        answers = [viewer.get("/api/v1/things") for _ in range(5)]
        monkeypatch.setattr(throttling, "pause", throttling.Pause())

        assert {response.status_code for response in answers} == {200}
        assert headers(answers[-1]) == (3, 2)
