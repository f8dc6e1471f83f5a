"""Questions to the HTTP API of a Prometheus, or of anything that speaks it.

Answers are bounded in size, time and number of series. A name may resolve to another address than the one that was checked
when it was typed in, so the peer is looked at when the connection stands, before anything is sent.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from aiops.clients import addresses
from aiops.clients.addresses import AddressRefused
from aiops.clients.errors import ClientError, ClientRefused, ClientUnavailable, Denied, NotFound, Rejected
from aiops.redaction import redact

CONNECT, READ, TOTAL = 3.0, 10.0, 20.0  # seconds
MOST_BYTES = 16 * 1024 * 1024
MOST_POINTS = 11_000  # of one series in one answer; the server's own limit
CONNECTIONS = 8
CLASSES: dict[int, type[ClientRefused]] = {400: Rejected, 401: Denied, 403: Denied, 404: NotFound, 422: Rejected}


@dataclass(frozen=True, slots=True)
class Samples:
    """One series: seconds since 1970 -> value. NaN and infinities are there as such; what is missing was not there.

    `warnings` is what the server said about an answer that may be incomplete.
    """

    values: Mapping[int, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def finite(self) -> dict[int, float]:
        return {at: value for at, value in self.values.items() if math.isfinite(value)}


class SeveralSeries(ClientRefused):
    """A query that should give one series gave more."""


class PrometheusClient:
    """One server. Threads may share it. Every method raises the families of `aiops.clients.errors`."""

    def __init__(self, url: str, *, read: float = READ, total: float = TOTAL) -> None:
        self._url = url.rstrip("/")
        self._total = total
        self._http = httpx.Client(
            timeout=httpx.Timeout(read, connect=CONNECT, pool=total),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            follow_redirects=False,
            # no proxy out of the environment: it would reach addresses for us
            trust_env=False,
            headers={"User-Agent": "aiops", "Accept": "application/json"},
        )

    def close(self) -> None:
        self._http.close()

    def query(self, expression: str, at: datetime) -> Samples:
        """The value of the expression at that time: one sample, or none for the empty vector."""
        answer = self._ask("query", {"query": expression, "time": f"{at.timestamp():.3f}"})
        return _one_series(answer)

    def label_values(self, expression: str, label: str, at: datetime) -> list[str]:
        """What the label is in the series that the expression gives at that time."""
        answer = self._ask("query", {"query": expression, "time": f"{at.timestamp():.3f}"})
        try:
            return sorted({str(series["metric"].get(label, "")) for series in answer["data"]["result"]})
        except (KeyError, TypeError, AttributeError) as error:
            raise ClientRefused("The answer is not one of a Prometheus") from error

    def query_range(self, expression: str, *, start: int, end: int, step: int) -> Samples:
        """The values at `start`, `start` + `step`, … up to `end`, all in seconds."""
        if (end - start) // step >= MOST_POINTS:
            raise ClientRefused(f"More than {MOST_POINTS} points were asked for at once")
        form = {"query": expression, "start": str(start), "end": str(end), "step": str(step)}
        return _one_series(self._ask("query_range", form))

    def _ask(self, endpoint: str, form: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self._url}/api/v1/{endpoint}"
        try:
            _check(url)
            with self._http.stream(
                "POST", url, data={**form, "timeout": f"{self._total:g}s"}, extensions={"trace": _look_at_peer}
            ) as response:
                content = _read(response, time.monotonic() + self._total)
        except httpx.TimeoutException as error:
            raise ClientUnavailable("Prometheus did not answer in time", reason="timeout") from error
        except httpx.HTTPError as error:
            raise ClientUnavailable(f"Prometheus cannot be reached: {_short(str(error))}", reason="network") from error
        except httpx.InvalidURL as error:
            raise ClientRefused("The address of Prometheus is no valid URL") from error
        return _decode(response.status_code, response.headers, content)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused("The address of Prometheus must begin with http:// or https://")


def _look_at_peer(event: str, info: Mapping[str, Any]) -> None:
    """Called by the library while it works: raises before the request is sent when the peer is one we do not talk to."""
    if event != "connection.connect_tcp.complete":
        return
    peer = info["return_value"].get_extra_info("server_addr")
    if reason := addresses.refusal(str(peer[0])):
        raise AddressRefused(f"The address of Prometheus is refused: {reason}")


def _read(response: httpx.Response, deadline: float) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MOST_BYTES:
            raise ClientRefused("The answer of Prometheus is too large")
        if time.monotonic() > deadline:
            raise ClientUnavailable("Prometheus did not finish its answer in time", reason="timeout")
    return bytes(content)


def _decode(status: int, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if status == 200 and answer.get("status") == "success":
        return answer
    raise _failure(status, headers, answer)


def _failure(status: int, headers: Mapping[str, str], answer: Mapping[str, Any]) -> ClientError:
    text = _short(str(answer.get("error") or f"HTTP {status}"))
    kind = str(answer.get("errorType") or "")
    if status == 200:
        return ClientRefused("The answer is not one of a Prometheus", status=status)
    # 422 is both "the query failed" and, with a time-out or an interruption, "not now"
    if status >= 500 or status in (408, 429) or kind in ("timeout", "canceled", "unavailable", "internal"):
        return ClientUnavailable(text, status=status, reason=kind, retry_after=_seconds(headers.get("retry-after")))
    return CLASSES.get(status, ClientRefused)(text, status=status, reason=kind)


def _seconds(text: str | None) -> float | None:
    return min(float(text), 3600.0) if text is not None and text.isascii() and text.isdigit() else None


def _short(text: str) -> str:
    return redact(" ".join(text.split()))[:300]


def _one_series(answer: Mapping[str, Any]) -> Samples:
    try:
        data = answer["data"]
        result = data["result"]
        if data["resultType"] == "scalar":
            pairs = [result]
        elif len(result) > 1:
            raise SeveralSeries(f"The query gives {len(result)} series instead of one: wrap it in sum()")
        elif not result:
            pairs = []
        else:
            pairs = result[0]["values"] if data["resultType"] == "matrix" else [result[0]["value"]]
        values = {round(float(at)): float(text) for at, text in pairs}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ClientRefused("The answer is not one of a Prometheus") from error
    warnings = answer.get("warnings") or ()
    return Samples(values, tuple(_short(str(line)) for line in warnings if line)[:5])


def span(start: int, end: int, step: int, most: int = MOST_POINTS) -> list[tuple[int, int]]:
    """Cut a range into ranges of at most `most` points, the oldest first."""
    found = []
    while start <= end:
        last = min(end, start + step * (most - 1))
        found.append((start, last))
        start = last + step
    return found
