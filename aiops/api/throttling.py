"""Requests per key and minute (api.md 1.5): a fixed window that begins with the first request after the last one ended."""

import logging
import math
import re
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings
from django.http import HttpRequest
from limits.storage import MemoryStorage, RedisStorage
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from aiops.apikeys.caller import client_address
from aiops.apikeys.roles import Role

log = logging.getLogger(__name__)

WINDOW = 60  # seconds
PREFIX = "aiops:rate:"  # of the keys in Redis
SUBJECTS = 50_000  # windows kept in memory: a flood of strange addresses must not fill it
REDIS_PAUSE = 5.0  # seconds without limits after Redis failed, so that a hanging one does not delay every request
REDIS_OPTIONS: dict[str, Any] = {"socket_timeout": 1, "socket_connect_timeout": 1}

# one round trip: count the request, start the window with the first one, tell what is left of it in milliseconds
HIT = """
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}
"""
# the script as a command on the wire (its digest, then length and text of the key and of the window), and its answer
COMMAND = b"*5\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n1\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
ANSWER = re.compile(rb"\*2\r\n:(\d+)\r\n:(\d+)\r\n")
ANSWER_MAX = 256  # bytes


class Windows(Protocol):
    def hit(self, subject: str) -> tuple[int, float]:
        """Count a request; returns its number in the window and the Unix time at which the window ends."""


class MemoryWindows:
    """Counters of this process: right where there is one web process."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.lock = threading.Lock()  # the storage alone can lose a count when two threads open a window together
        # the storage would start a thread with nearly every request to drop what has expired; `hit` does it
        self.storage.timer.join()
        self.storage.timer = Swept()

    def hit(self, subject: str) -> tuple[int, float]:
        with self.lock:
            if len(self.storage.expirations) >= SUBJECTS:
                self.sweep()
            return self.storage.incr(subject, WINDOW), self.storage.get_expiry(subject)

    def sweep(self) -> None:
        for subject in list(self.storage.expirations):
            self.storage.get(subject)  # forgets a window that has ended
        if len(self.storage.expirations) >= SUBJECTS:
            self.storage.reset()


class Swept(threading.Timer):
    """Says that a sweep is under way, so that the storage starts none."""

    def __init__(self) -> None:
        super().__init__(0, lambda: None)

    def is_alive(self) -> bool:
        return True


class RedisWindows:
    """Counters shared by all web processes (RATE-7)."""

    def __init__(self, url: str) -> None:
        self.storage = RedisStorage(url, **REDIS_OPTIONS)
        client: Any = self.storage.get_connection()
        self.pool = client.connection_pool
        self.script = client.register_script(HIT.encode())
        # connections of our own, the one used last first
        self.idle: list[Any] = []

    def hit(self, subject: str) -> tuple[int, float]:
        key = PREFIX + subject
        # the other way when the connection was closed while it was idle, or the server forgot the script
        count, left = self._exchange(key.encode()) or self.script(keys=[key], args=[WINDOW * 1000])
        return int(count), time.time() + int(left) / 1000

    def _exchange(self, key: bytes) -> tuple[bytes, bytes] | None:
        """Run the script by hand, on a connection of the client's making. None when anything but its result comes back.

        0.052 instead of 0.075 ms by the client's connection, which packs and reads any command. The client's pool, retries and
        statistics around it would cost as much again.
        """
        try:
            connection = self.idle.pop()
        except IndexError:  # as many as work at once
            connection = self.pool.make_connection()
            connection.connect()
        try:
            sha, window = self.script.sha.encode(), b"%d" % (WINDOW * 1000)
            connection._sock.sendall(COMMAND % (sha, len(key), key, len(window), window))
            answer = ANSWER.fullmatch(connection._sock.recv(ANSWER_MAX))
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        except BaseException:
            connection.disconnect()
            raise
        if answer is None:
            connection.disconnect()
            return None
        self.idle.append(connection)
        return answer[1], answer[2]


@lru_cache(maxsize=4)
def windows(storage: str) -> Windows:
    return MemoryWindows() if storage == "memory://" else RedisWindows(storage)


@dataclass(frozen=True, slots=True)
class Quota:
    """What the three headers say, and whether this request is within it."""

    limit: int
    remaining: int
    reset: int  # Unix time, whole seconds, rounded up (X9.10)
    accepted: bool

    def retry_after(self, now: float) -> int:
        return max(1, math.ceil(self.reset - now))


@dataclass
class Pause:
    """Until when (monotonic clock) Redis is left alone after it failed."""

    until: float = 0.0


pause = Pause()


def count(subject: str, role: Role) -> Quota:
    """Count a request of `subject` against the limit of `role`. Without Redis everything is accepted: fail open."""
    limit = int(settings.AIOPS_RATE_LIMITS[role.value])
    now = time.monotonic()
    if now >= pause.until:
        try:
            number, ends = windows(settings.RATE_LIMIT_STORAGE).hit(subject)
            return Quota(limit, max(0, limit - number), math.ceil(ends), number <= limit)
        except (RedisError, OSError) as error:
            pause.until = now + REDIS_PAUSE
            log.error("rate limits are off for %.0f s: Redis does not answer (%s)", REDIS_PAUSE, type(error).__name__)
    return Quota(limit, limit - 1, math.ceil(time.time()) + WINDOW, True)


class RoleRateThrottle(BaseThrottle):
    """The scope is the role of the caller, the subject its key. Leaves the quota on the request for the middleware."""

    quota: Quota

    def allow_request(self, request: Request, view: Any) -> bool:
        caller: Any = request.user
        self.quota = note(request._request, count(caller.subject, caller.role))
        return self.quota.accepted

    def wait(self) -> float:
        return self.quota.retry_after(time.time())


def count_stranger(request: Request) -> Quota:
    """RATE-6: a request without a valid key counts against the viewer limit of its address."""
    return note(request._request, count(f"address:{client_address(request)}", Role.VIEWER))


def note(request: HttpRequest, quota: Quota) -> Quota:
    request.aiops_quota = quota  # type: ignore[attr-defined]
    return quota
