"""Watching a kind: one list, and from then on every change, as the API server tells it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from urllib3 import BaseHTTPResponse

from aiops.clients.errors import ClientUnavailable, Expired
from aiops.clients.kinds import KINDS
from aiops.clients.kubernetes import MAX_PAGES, PAGE, KubernetesClient
from aiops.clients.transport import CHUNK, Object, garbage

MAX_LINE = 8 * 1024 * 1024  # bytes; the largest object that etcd takes is a fifth of it
LONGEST_ASKED = 3600  # seconds that a server may ask us to wait
DURATION = 300  # seconds that a server keeps a watch open; then it is resumed


@dataclass(frozen=True, slots=True)
class Change:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; `version` is where a watch after this change goes on."""

    type: str
    object: Object
    version: str


class Listing:
    """One pass over all objects of a kind. `version`, once the pass is over, is where a watch begins."""

    def __init__(self, client: "WatchClient", kind: str, query: dict[str, Any]) -> None:
        self._client, self._kind, self._query = client, KINDS[kind], query
        self.version = ""

    def __iter__(self) -> Iterator[Object]:
        """Raises `Expired` when the list grows too old on the way: begin again."""
        path, token = self._kind.path(None), ""
        for _ in range(MAX_PAGES):
            query = {"limit": PAGE, **self._query, "continue": token or None}
            body = self._client.read(path, query)
            items, metadata = body.get("items"), body.get("metadata")
            if not isinstance(items or [], list) or not isinstance(metadata, dict):
                raise garbage("GET", path, "the answer is no list of objects")
            for item in items or ():
                if isinstance(item, dict):
                    item.setdefault("apiVersion", self._kind.api_version)
                    item.setdefault("kind", self._kind.name)
                    yield item
            self.version = str(metadata.get("resourceVersion") or "")
            token = str(metadata.get("continue") or "")
            if not token:
                return
        raise ClientUnavailable(f"GET {path}: the list does not end after {MAX_PAGES} pages", reason="garbage")


class WatchClient(KubernetesClient):
    """A client whose connections may stay open for minutes; it needs one per kind that is watched."""

    def read(self, path: str, query: dict[str, Any]) -> Object:
        return self._json("GET", path, query)

    def listing(self, kind: str, *, field_selector: str | None = None) -> Listing:
        return Listing(self, kind, {"fieldSelector": field_selector})

    def watch(self, kind: str, version: str, *, field_selector: str | None = None) -> Iterator[Change]:
        """The changes after `version`, until the server ends the watch.

        Raises `Expired` when the version is too old (410), `ClientUnavailable` when the connection breaks or falls silent.
        """
        spec = KINDS[kind]
        path = spec.path(None)
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": DURATION,
            "fieldSelector": field_selector,
        }
        for line in self._lines(path, query):
            try:
                event = orjson.loads(line)
                found, word = event["object"], event["type"]
                if word == "ERROR":
                    self._raise_error(path, found)
                meta = found["metadata"]
                position = str(meta["resourceVersion"])
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise garbage("GET", path, "the watch sent something that is no change") from error
            found.setdefault("apiVersion", spec.api_version)
            found.setdefault("kind", spec.name)
            yield Change(word, found, position)

    def _lines(self, path: str, query: dict[str, Any]) -> Iterator[bytes]:
        rest = bytearray()
        with self._stream(path, query) as answer:
            for chunk in _chunks(answer):
                rest += chunk
                *lines, rest = rest.split(b"\n")
                yield from (bytes(line) for line in lines if line.strip())
                if len(rest) > MAX_LINE:
                    raise garbage("GET", path, "a change is larger than any object")

    @staticmethod
    def _raise_error(path: str, status: Any) -> None:
        code = status.get("code") if isinstance(status, dict) else None
        if code == 410:
            raise Expired(f"GET {path}: the watch is too old (HTTP 410)", status=410)
        details = status.get("details") if isinstance(status, dict) else None
        seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
        raise ClientUnavailable(
            f"GET {path}: the watch ended with an error (HTTP {code})",
            status=code if isinstance(code, int) and code >= 429 else 500,
            retry_after=float(seconds) if isinstance(seconds, int) and 0 < seconds <= LONGEST_ASKED else None,
        )


def _chunks(answer: BaseHTTPResponse) -> Iterator[bytes]:
    while chunk := answer.read1(CHUNK):
        yield chunk
