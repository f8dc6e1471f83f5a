"""Lists: selectors, pages that show one moment, and the envelope around them."""

import base64
import binascii
from collections.abc import Mapping

import orjson

from aiops.simulator import problems
from aiops.simulator.objects import Obj
from aiops.simulator.resources import Resource
from aiops.simulator.selectors import Matcher, parse_fields, parse_labels
from aiops.simulator.store import Key, Store

TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 -- a format name, not a secret
GONE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def matcher(resource: Resource, namespace: str, query: Mapping[str, str]) -> Matcher | None:
    """The selectors and namespace of a request as one test; None when everything matches."""
    tests: list[Matcher] = []
    if query.get("labelSelector"):
        labels_match = parse_labels(query["labelSelector"])
        tests.append(lambda obj: labels_match(obj["metadata"].get("labels") or {}))
    if query.get("fieldSelector"):
        tests.append(parse_fields(query["fieldSelector"], resource))
    if namespace and resource.namespaced:
        tests.append(lambda obj: obj["metadata"].get("namespace") == namespace)
    return (lambda obj: all(test(obj) for test in tests)) if tests else None


def list_page(store: Store, resource: Resource, namespace: str, query: Mapping[str, str]) -> tuple[list[Obj], Obj]:
    """The objects of one page and the list's metadata. Raises 400 for a bad and 410 for a forgotten `continue` token."""
    limit = _limit(query)
    identity = (resource.storage, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    token = query.get("continue", "")
    if token:
        version, start = _read_token(token)
        found = store.snapshot((*identity, str(version)), start)
        if found is None:
            raise problems.expired(GONE)
        objects, position = found
    else:
        version, position = store.version, 0
        objects = _select(store, resource, namespace, query)
    metadata: Obj = {"resourceVersion": str(version)}
    if not limit or position + limit >= len(objects):
        return objects[position:], metadata
    page = objects[position : position + limit]
    if not token:
        store.keep_snapshot((*identity, str(version)), objects)
    metadata["continue"] = _write_token(version, page[-1])
    if not (query.get("labelSelector") or query.get("fieldSelector")):
        metadata["remainingItemCount"] = len(objects) - position - limit
    return page, metadata


def _select(store: Store, resource: Resource, namespace: str, query: Mapping[str, str]) -> list[Obj]:
    matches = matcher(resource, "", query)
    objects = store.iterate(resource, namespace)
    return [obj for obj in objects if matches(obj)] if matches else list(objects)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "0") or "0"
    if not text.lstrip("-").isdigit() or len(text) > 18:
        raise problems.bad_request(f'strconv.ParseInt: parsing "{text[:50]}": invalid syntax')
    return max(0, int(text))


def _write_token(version: int, last: Obj) -> str:
    metadata = last["metadata"]
    start = "/".join(["", *filter(None, [metadata.get("namespace", "")]), metadata["name"]]) + "\0"
    return (
        base64.urlsafe_b64encode(orjson.dumps({"v": TOKEN_VERSION, "rv": version, "start": start})).decode().rstrip("=")
    )


def _read_token(token: str) -> tuple[int, Key]:
    try:
        decoded = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if decoded["v"] != TOKEN_VERSION:
            raise ValueError("unknown format")
        *namespace, name = decoded["start"].rstrip("\0").split("/")[1:]
        return int(decoded["rv"]), ("".join(namespace), name)
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise problems.bad_request(f"invalid continue token: continue key is not valid: {_complaint(token)}") from error


def _complaint(token: str) -> str:
    try:
        first = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:1].decode("latin-1")
    except (binascii.Error, ValueError):
        return "illegal base64 data at input byte 0"
    return f"invalid character '{first}' looking for beginning of value"
