"""Watches: a stream of changes of one kind, with bookmarks, until its time is up."""

import asyncio
import logging
from collections.abc import Iterator, Mapping

import orjson
from aiohttp import web

from aiops.simulator import problems
from aiops.simulator.objects import Obj
from aiops.simulator.paging import matcher
from aiops.simulator.resources import Resource
from aiops.simulator.selectors import Matcher
from aiops.simulator.store import Change, Store
from aiops.simulator.views import shown

logger = logging.getLogger(__name__)

LONGEST = 3600.0
DEFAULT_DURATION = 1800.0
BOOKMARK_EVERY = 60.0
TOO_OLD = "too old resource version: {asked} ({oldest})"


class Watch:
    def __init__(self, store: Store, resource: Resource, namespace: str, query: Mapping[str, str]) -> None:
        self.store, self.resource = store, resource
        self.matches: Matcher = matcher(resource, namespace, query) or (lambda obj: True)
        self.wants_bookmarks = query.get("allowWatchBookmarks", "") in ("1", "true", "True")
        self.duration = _duration(query.get("timeoutSeconds", ""))
        self.asked = query.get("resourceVersion", "")
        self.wants_start = self.asked in ("", "0") and query.get("sendInitialEvents", "true") == "true"
        self.position = _version(self.asked) or store.version
        self.has_news = asyncio.Event()

    def first_lines(self) -> Iterator[bytes]:
        """For a watch from nowhere: everything there is, then the bookmark that says so."""
        if not self.wants_start:
            return
        for obj in self.store.all(self.resource):
            if self.matches(obj):
                yield self._line("ADDED", obj)
        if self.wants_bookmarks:
            yield self._bookmark({"k8s.io/initial-events-end": "true"})

    def next_lines(self) -> list[bytes] | None:
        """What has changed since the last call; None when the history does not reach back that far."""
        changes = self.store.changes_since(self.resource.storage, self.position)
        if changes is None:
            return None
        lines = []
        for change in changes:
            self.position = change.version
            if line := self._change_line(change):
                lines.append(line)
        return lines

    def last_line(self) -> bytes:
        return self._bookmark({})

    def expired_line(self) -> bytes:
        text = TOO_OLD.format(asked=self.position, oldest=self.store.table(self.resource.storage).forgotten)
        return orjson.dumps({"type": "ERROR", "object": problems.expired(text).status}) + b"\n"

    def notice(self, change: Change) -> None:
        if change.resource == self.resource.storage:
            self.has_news.set()

    def _change_line(self, change: Change) -> bytes:
        """An object that stops matching the selectors is deleted for this watch, one that starts to is added."""
        was = change.before is not None and self.matches(change.before)
        now = change.type != "DELETED" and self.matches(change.after)
        if not was and not now:
            return b""
        return self._line("MODIFIED" if was and now else "ADDED" if now else "DELETED", change.after)

    def _line(self, kind: str, obj: Obj) -> bytes:
        return orjson.dumps({"type": kind, "object": shown(self.resource, obj)}) + b"\n"

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        metadata: Obj = {"resourceVersion": str(max(self.position, self.store.version))}
        if annotations:
            metadata["annotations"] = annotations
        head = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata}
        return orjson.dumps({"type": "BOOKMARK", "object": head}) + b"\n"


async def stream(request: web.Request, watch: Watch, open_streams: dict[int, web.Request]) -> web.StreamResponse:
    """Serve a watch until its time is up, the client is gone or its version is too old."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    watch.store.subscribe(watch.notice)
    open_streams[id(request)] = request
    try:
        await _send(response, watch)
        await response.write_eof()
    except ConnectionError:
        logger.debug("a watch of %s was closed by its client", watch.resource.plural)
    finally:
        watch.store.unsubscribe(watch.notice)
        del open_streams[id(request)]
    return response


async def _send(response: web.StreamResponse, watch: Watch) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for line in watch.first_lines():
        await response.write(line)
    while True:
        watch.has_news.clear()
        lines = watch.next_lines()
        if lines is None:
            await response.write(watch.expired_line())
            return
        if lines:
            await response.write(b"".join(lines))
        left = start + watch.duration - loop.time()
        if left <= 0:
            break
        try:
            await asyncio.wait_for(watch.has_news.wait(), min(left, BOOKMARK_EVERY))
        except TimeoutError:
            if watch.wants_bookmarks and left > BOOKMARK_EVERY:
                await response.write(watch.last_line())
    if watch.wants_bookmarks:
        await response.write(watch.last_line())


def _duration(text: str) -> float:
    if not text:
        return DEFAULT_DURATION
    if not text.isdigit() or len(text) > 9:
        raise problems.bad_request(f'strconv.ParseInt: parsing "{text[:50]}": invalid syntax')
    return min(float(text), LONGEST) or DEFAULT_DURATION


def _version(text: str) -> int:
    if text and (not text.isdigit() or len(text) > 18):
        causes = [
            ("FieldValueInvalid", "resourceVersion", f'Invalid value: "{text[:50]}": strconv.ParseUint: invalid syntax')
        ]
        raise problems.Problem(400, "BadRequest", f"{causes[0][1]}: {causes[0][2]}")
    return int(text or 0)
