"""How requests reach an API server: the transport of the official client, with limits, time-outs and errors of ours.

Nothing is retried in hiding and no redirect is followed: whoever calls has a row with a due time.
"""

import contextlib
import gc
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import orjson
import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from aiops.clients import guarded
from aiops.clients.addresses import AddressRefused
from aiops.clients.errors import (
    ClientRefused,
    ClientUnavailable,
    Denied,
    Expired,
    NotFound,
    Rejected,
    VersionConflict,
)
from aiops.clients.kubeconfig import Access
from aiops.redaction import redact

Object = dict[str, Any]

PAGE_BYTES = 64 * 1024 * 1024
ERROR_BYTES = 64 * 1024
CHUNK = 256 * 1024
POOL = 4  # connections to one cluster; whoever needs a fifth waits

# where it is accepted, the audit log says so; a line per connection adds nothing
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

_REFUSALS: dict[int, type[ClientRefused]] = {
    400: Rejected,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: VersionConflict,
    410: Expired,
    413: Rejected,
    422: Rejected,
}


class Transport:
    """Requests to one cluster. Safe to share between threads.

    Time-outs in seconds: `connect_timeout` until the connection stands, `read_timeout` for each silence in an answer,
    `total_timeout` for one whole answer, however slowly it trickles in. `page_bytes` bounds the size of an answer, `pool` the
    number of connections.
    """

    def __init__(
        self,
        access: Access,
        *,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        total_timeout: float = 90.0,
        page_bytes: int = PAGE_BYTES,
        pool: int = POOL,
    ) -> None:
        self._access = access
        self._timeout = (connect_timeout, read_timeout)
        self._total_timeout = total_timeout
        self._page_bytes = page_bytes
        self._api = ApiClient(_configuration(access, pool))
        pools = self._api.rest_client.pool_manager
        pools.connection_pool_kw["block"] = True
        context = access.ssl_context()
        if context is not None:
            pools.connection_pool_kw["ssl_context"] = context
        if not access.in_cluster:
            pools.pool_classes_by_scheme = guarded.POOLS

    def close(self) -> None:
        self._api.rest_client.close()

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
    ) -> Object:
        content = self._request(method, path, query, body, content_type=content_type)
        try:
            answer = decode(content)
        except orjson.JSONDecodeError as error:
            raise garbage(method, path, "the answer is no valid JSON") from error
        if not isinstance(answer, dict):
            raise garbage(method, path, "the answer is no JSON object")
        return answer

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        limit: int | None = None,
    ) -> bytes:
        """The body of a successful answer. `limit` bounds its size in bytes."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        url = f"{self._access.server}{path}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")
        headers = {"Accept": accept, "Accept-Encoding": "gzip", "User-Agent": "aiops", **self._authorization()}
        if body is not None:
            headers["Content-Type"] = content_type
        deadline = time.monotonic() + self._total_timeout
        with _translated(method, path):
            answer = self._api.call_api(method, url, headers, body, _request_timeout=self._timeout).response
            try:
                is_error = not 200 <= answer.status < 300
                most = ERROR_BYTES if is_error else limit or self._page_bytes
                content = _read(answer, most=most, deadline=deadline, cut=is_error)
            except BaseException:
                answer.close()  # what is left of this answer must not be taken for the next one
                raise
        if is_error:
            _raise_for(method, path, answer.status, answer.headers, content)
        return content

    @contextlib.contextmanager
    def _stream(self, path: str, query: Mapping[str, Any]) -> Iterator[urllib3.BaseHTTPResponse]:
        """A successful answer without an end, read chunk by chunk; its connection is not used again."""
        given = {key: value for key, value in query.items() if value is not None}
        url = f"{self._access.server}{path}?{urlencode(given, quote_via=quote)}"
        headers = {"Accept": "application/json", "User-Agent": "aiops", **self._authorization()}
        deadline = time.monotonic() + self._total_timeout
        with _translated("GET", path):
            answer = self._api.call_api("GET", url, headers, None, _request_timeout=self._timeout).response
            try:
                if not 200 <= answer.status < 300:
                    content = _read(answer, most=ERROR_BYTES, deadline=deadline, cut=True)
                    _raise_for("GET", path, answer.status, answer.headers, content)
                yield answer
            finally:
                answer.close()

    def _authorization(self) -> dict[str, str]:
        access = self._access
        token = access.token
        if access.token_file:
            try:
                token = Path(access.token_file).read_text(encoding="ascii").strip()  # the kubelet renews it hourly
            except (OSError, ValueError) as error:
                raise ClientUnavailable("The service account's token cannot be read", reason="auth") from error
        if token:
            return {"Authorization": f"Bearer {token}"}
        if access.username:
            return dict(urllib3.make_headers(basic_auth=f"{access.username}:{access.password}"))
        return {}


class Outdated(Expired):
    """410 with the token that the server offers for going on; '' when the list must begin again."""

    def __init__(self, message: str, *, reason: str, token: str) -> None:
        super().__init__(message, status=410, reason=reason)
        self.token = token


def _configuration(access: Access, pool: int) -> Configuration:
    # an empty proxy keeps the client from taking one out of the environment: it would reach addresses for us
    configuration = Configuration(host=access.server, retries=False, proxy="", no_proxy="*")
    configuration.verify_ssl = not access.insecure
    configuration.tls_server_name = access.tls_server_name or None
    configuration.connection_pool_maxsize = pool
    return configuration


def _read(answer: urllib3.BaseHTTPResponse, *, most: int, deadline: float, cut: bool) -> bytes:
    """The body, at most `most` bytes of it. A longer one is cut when `cut`, else refused as garbage."""
    content = bytearray()
    while chunk := answer.read1(CHUNK):
        content += chunk
        if len(content) > most:
            if cut:
                answer.close()
                break
            raise _TooLarge(f"the answer is larger than {most} bytes")
        if time.monotonic() > deadline:
            raise _TooSlow("the answer did not end in time")
    return bytes(content)


def decode(content: bytes) -> Any:
    """Fresh JSON has no reference cycles. Looking for some while it is made takes longer than making it (bench/detect.py).

    The decoder holds the interpreter's lock, so other threads lose nothing; the switch is back on whatever happens.
    """
    gc.disable()
    try:
        return orjson.loads(content)
    finally:
        gc.enable()


class _TooLarge(HTTPError):
    pass


class _TooSlow(HTTPError):
    pass


@contextlib.contextmanager
def _translated(method: str, path: str) -> Iterator[None]:
    """The failures of the transport, in our words. Theirs carry addresses of objects and whole URLs."""
    try:
        yield
    except ApiException as error:  # what the official client makes of a TLS failure
        raise _unavailable(method, path, f"TLS: {_one_line(str(error.reason))}", "tls") from error
    except guarded.RefusedPeer as error:
        what = _one_line(str(error).rpartition(": ")[2])
        raise AddressRefused(f"{method} {path}: {what}", reason="address") from error
    except (HTTPError, OSError) as error:
        what, reason = _explain(error)
        raise _unavailable(method, path, what, reason) from error


def _explain(error: Exception) -> tuple[str, str]:
    """What happened, for people, and the class of it."""
    if isinstance(error, NameResolutionError):
        return "the server's name cannot be resolved", "dns"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return "no connection in time", "timeout"
    if isinstance(error, NewConnectionError):
        return "no connection: " + _one_line(str(error).rpartition(": ")[2]), "connect"
    if isinstance(error, ReadTimeoutError):
        return "no answer in time", "timeout"
    if isinstance(error, _TooSlow):
        return str(error), "timeout"
    if isinstance(error, SSLError):
        return f"TLS: {_one_line(str(error))}", "tls"
    if isinstance(error, _TooLarge):
        return str(error), "garbage"
    if isinstance(error, DecodeError):
        return "the answer cannot be decompressed", "garbage"
    return "the connection broke off before the answer was complete", "connect"


def _one_line(text: str) -> str:
    return redact(" ".join(text.split()))[:300]


def _unavailable(method: str, path: str, what: str, reason: str) -> ClientUnavailable:
    return ClientUnavailable(f"{method} {path}: {what}", reason=reason)


def garbage(method: str, path: str, what: str) -> ClientUnavailable:
    return _unavailable(method, path, what, "garbage")


def _raise_for(method: str, path: str, status: int, headers: Mapping[str, str], content: bytes) -> NoReturn:
    """The error that an answer with this status means; its text is the server's own where it sent one."""
    answer = _status_object(content)
    said = answer.get("message")
    reason = answer.get("reason")
    reason = reason if isinstance(reason, str) else ""
    message = f"{method} {path}: {_one_line(said) if isinstance(said, str) and said else 'refused'} (HTTP {status})"
    if status == 410:
        metadata = answer.get("metadata")
        token = metadata.get("continue") if isinstance(metadata, dict) else None
        raise Outdated(message, reason=reason, token=token if isinstance(token, str) else "")
    if status in (408, 429) or status >= 500:
        raise ClientUnavailable(message, status=status, reason=reason, retry_after=_seconds(headers.get("Retry-After")))
    if status == 401:
        message = f"{method} {path}: the cluster does not accept the credentials (HTTP 401)"
    if 300 <= status < 400:
        message = f"{method} {path}: the server redirects, which is not followed (HTTP {status})"
    raise _REFUSALS.get(status, ClientRefused)(message, status=status, reason=reason)


def _status_object(content: bytes) -> Object:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds, at most an hour; the form with a date is not used by API servers."""
    return min(float(value), 3600.0) if value and value.isascii() and value.isdigit() else None
