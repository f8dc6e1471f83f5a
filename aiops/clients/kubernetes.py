"""The Kubernetes API as raw JSON: what can be asked of a cluster, and what can be done to it.

The model classes of the official client are left alone: decoding them is the slowest thing a Python program does with a
cluster, and detectors would see less than the API sent. Its transport is used (aiops/clients/transport.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from aiops.clients.errors import ClientUnavailable, Denied, Expired, NotFound
from aiops.clients.kinds import KINDS
from aiops.clients.transport import ERROR_BYTES, Object, Outdated, Transport, garbage

PatchType = Literal["merge", "strategic", "json"]

FIELD_MANAGER = "aiops"
PAGE = 500
MAX_PAGES = 2_000  # a million objects of one kind; a cluster that sends more pages than that never ends

_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_Page = list[Object]
# the second is for servers that do not know the first; ours never looks at what they send
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


class KubernetesClient(Transport):
    """One cluster. Every method raises `ClientUnavailable` (try later) or a `ClientRefused` (do not), see `errors`."""

    # --- reading ---------------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """One object. Raises `NotFound`."""
        return self._json("GET", KINDS[kind].path(namespace, name))

    def exists(self, kind: str, name: str, namespace: str | None = None) -> bool:
        """Whether there is such an object, without fetching what is in it."""
        try:
            self._request("GET", KINDS[kind].path(namespace, name), accept=_METADATA_ONLY)
        except NotFound:
            return False
        return True

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = PAGE,
    ) -> Iterator[Object]:
        """All objects of a kind, fetched in pages of `limit`; each carries apiVersion and kind.

        A list that grows too old on the way (410) is continued where the server offers that, else begun once more;
        an object that was already given is not given again. Raises `Expired` when that happens a second time.
        """
        spec = KINDS[kind]
        query: dict[str, Any] = {"limit": limit, "labelSelector": label_selector, "fieldSelector": field_selector}
        for page in self._pages(spec.path(namespace), query):
            for item in page:
                item.setdefault("apiVersion", spec.api_version)
                item.setdefault("kind", spec.name)
                yield item

    def count(self, kind: str) -> int:
        """How many objects of a kind there are, without fetching them."""
        body = self._json("GET", KINDS[kind].path(None), {"limit": 1})
        items, metadata = body.get("items"), body.get("metadata")
        left = metadata.get("remainingItemCount") if isinstance(metadata, dict) else None
        return (len(items) if isinstance(items, list) else 0) + (left if isinstance(left, int) and left > 0 else 0)

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[_Page]:
        token, restarts, given = "", 0, set[str]()
        for _ in range(MAX_PAGES):
            try:
                page, following = self._page(path, {**query, "continue": token or None})
            except Outdated as outdated:
                restarts += 1
                if restarts > 1:
                    raise Expired(outdated.message, status=410, reason=outdated.reason) from outdated
                token = outdated.token
                continue
            fresh = [item for item in page if _uid(item) not in given] if restarts else page
            if following:  # a list of one page needs no memory of what it gave
                given.update(_uid(item) for item in fresh)
            yield fresh
            token = following
            if not token:
                return
        raise ClientUnavailable(f"GET {path}: the list does not end after {MAX_PAGES} pages", reason="garbage")

    def _page(self, path: str, query: Mapping[str, Any]) -> tuple[_Page, str]:
        body = self._json("GET", path, query)
        items = body.get("items")
        if items is None and str(body.get("kind", "")).endswith("List"):
            items = []  # Go writes an empty list as null
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise garbage("GET", path, "the answer is no list of objects")
        metadata = body.get("metadata")
        following = metadata.get("continue") if isinstance(metadata, dict) else None
        return items, following if isinstance(following, str) else ""

    def events(self, kind: str, name: str, namespace: str | None, *, limit: int = 50) -> _Page:
        """At most `limit` events about an object, the newest first; namespace '' for cluster-scoped objects."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        query = {"limit": 10 * limit, "fieldSelector": selector}
        found, _ = self._page(KINDS["Event"].path(namespace or None), query)
        return sorted(found, key=_last_seen, reverse=True)[:limit]

    def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        previous: bool = False,
        tail_lines: int = 50,
        limit_bytes: int = 65_536,
    ) -> str:
        """The last lines that a container wrote, cut after `limit_bytes`; `previous`: of the run before this one."""
        query = {
            "container": container,
            "previous": "true" if previous else None,
            "tailLines": tail_lines,
            "limitBytes": limit_bytes,
        }
        path = KINDS["Pod"].path(namespace, pod, "log")
        content = self._request("GET", path, query, limit=2 * limit_bytes, accept="text/plain, */*")
        return content[:limit_bytes].decode(errors="replace")

    def version(self) -> Object:
        """`gitVersion` and the like, of the API server."""
        return self._json("GET", "/version")

    def groups(self) -> frozenset[str]:
        """The API groups that the server knows, those of custom resources included."""
        groups = self._json("GET", "/apis").get("groups")
        found = groups if isinstance(groups, list) else []
        return frozenset(str(group.get("name")) for group in found if isinstance(group, dict))

    def ping(self) -> None:
        """Returns when the API server says that it is ready; a cluster without /readyz is asked for its version."""
        try:
            self._request("GET", "/readyz", limit=ERROR_BYTES)
        except (NotFound, Denied):
            self.version()

    # --- changing --------------------------------------------------------------------------------------------------

    def create(self, kind: str, namespace: str | None, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object. Raises `VersionConflict` when it exists."""
        return self._json("POST", KINDS[kind].path(namespace), _write(dry_run), body)

    def patch(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        body: Any,
        *,
        patch_type: PatchType = "merge",
        dry_run: bool = False,
        subresource: str | None = None,
    ) -> Object:
        """Change an object, or its `subresource`; the answer is the result. Raises `VersionConflict`, `Rejected`."""
        path = KINDS[kind].path(namespace, name, subresource)
        return self._json("PATCH", path, _write(dry_run), body, content_type=_PATCH_TYPES[patch_type])

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        *,
        dry_run: bool = False,
        grace_seconds: int | None = None,
        propagation: Literal["Foreground", "Background", "Orphan"] | None = None,
        uid: str | None = None,
    ) -> Object:
        """Delete an object; with `uid` only that very one, else `VersionConflict`. Raises `NotFound`."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if dry_run:
            options["dryRun"] = ["All"]
        return self._json("DELETE", KINDS[kind].path(namespace, name), {"dryRun": "All" if dry_run else None}, options)

    def evict(self, pod: str, namespace: str, *, dry_run: bool = False) -> Object:
        """Ask a pod to leave. `ClientUnavailable` with status 429 when a disruption budget forbids it right now."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": {"dryRun": ["All"]} if dry_run else {},
        }
        return self._json("POST", KINDS["Pod"].path(namespace, pod, "eviction"), _write(dry_run), body)


def _write(dry_run: bool) -> dict[str, Any]:
    return {"fieldManager": FIELD_MANAGER, "dryRun": "All" if dry_run else None}


def _uid(item: Object) -> str:
    metadata = item.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    return str(metadata.get("uid") or f"{metadata.get('namespace')}/{metadata.get('name')}")


def _last_seen(event: Object) -> str:
    """RFC 3339 in UTC, as the API writes it, sorts as text."""
    series = event.get("series")
    stamps = [event.get("lastTimestamp"), event.get("eventTime")]
    if isinstance(series, dict):
        stamps.append(series.get("lastObservedTime"))
    return max((stamp for stamp in stamps if isinstance(stamp, str)), default="")
