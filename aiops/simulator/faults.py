"""Faults that tests inject into the API server, and the log of the requests it got."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

MAX_LOGGED = 10_000

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass
class Fault:
    """What happens to the next `count` requests whose "METHOD /path?query" contains `match`; count None: until cleared."""

    match: re.Pattern[str]
    count: int | None
    status: int = 0  # answer with this status
    retry_after: int = 1  # for 429 and 503, seconds
    hang: float = 0.0  # look at the request only after so many real seconds
    delay: float = 0.0  # do what is asked at once, and answer only after so many real seconds
    is_garbage: bool = False  # answer with half of a JSON document
    drops_connection: bool = False


@dataclass
class Faults:
    pending: list[Fault] = field(default_factory=list)
    streams: dict[int, web.Request] = field(default_factory=dict)
    requests: deque[tuple[str, str, str]] = field(default_factory=lambda: deque(maxlen=MAX_LOGGED))

    def take(self, method: str, path: str, query: str) -> Fault | None:
        """Log a request and say what is to go wrong with it."""
        self.requests.append((method, path, query))
        line = f"{method} {path}" + (f"?{query}" if query else "")
        for fault in self._matching(line):
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self.pending.remove(fault)
            return fault
        return None

    def cut_streams(self) -> None:
        """Close the connections of all open watches, as a broken network does."""
        for request in tuple(self.streams.values()):
            if request.transport is not None:
                request.transport.abort()

    def _matching(self, line: str) -> Iterator[Fault]:
        return (fault for fault in tuple(self.pending) if fault.match.search(line))
