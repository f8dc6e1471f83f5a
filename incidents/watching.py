"""What an observer keeps of a cluster between two changes, and when it judges it again. No database, no network.

Objects are kept as packed JSON without what no detector reads, by namespace, because a change is judged together with what
lies in its namespace: a few hundred bytes for a pod instead of ten kilobytes of Python objects.
"""

import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

Object = dict[str, Any]
Key = tuple[str, str]  # kind, name

DEBOUNCE = 0.15  # seconds; what changes together is judged together
# a condition has to last for a while before it counts, and nothing changes meanwhile: look again after so many seconds
FOLLOW_UPS = (1.0, 3.0, 8.0, 20.0, 45.0)
SHARE = 5  # a namespace that takes a second to judge is judged at most every fifth second
MAX_EVENTS = 1_000  # of one namespace
_META = ("name", "namespace", "uid", "labels", "ownerReferences", "creationTimestamp", "deletionTimestamp", "generation",
         "finalizers", "deletionGracePeriodSeconds")  # fmt: skip
_ANNOTATIONS = 1_024  # bytes; larger ones are copies of the object or settings of other programs
_CONTAINER = ("name", "image", "resources", "ports", "readinessProbe", "livenessProbe", "startupProbe", "restartPolicy")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def pack(obj: Object) -> bytes:
    """The object without its bulk, compressed."""
    meta = obj.get("metadata")
    if isinstance(meta, dict):
        kept = {name: meta[name] for name in _META if name in meta}
        notes = meta.get("annotations")
        if isinstance(notes, dict):
            kept["annotations"] = {
                name: value for name, value in notes.items() if isinstance(value, str) and len(value) < _ANNOTATIONS
            }
        obj = {**obj, "metadata": kept}
    spec = obj.get("spec")
    if isinstance(spec, dict):
        slim = {name: value for name, value in spec.items() if name not in {"template", "jobTemplate"}}
        for group in _CONTAINERS:
            if isinstance(slim.get(group), list):
                slim[group] = [_container(one) for one in slim[group] if isinstance(one, dict)]
        obj = {**obj, "spec": slim}
    return zlib.compress(orjson.dumps(obj), 1)


def _container(one: Object) -> Object:
    return {name: one[name] for name in _CONTAINER if name in one}


def unpack(packed: bytes) -> Object:
    found: Object = orjson.loads(zlib.decompress(packed))
    return found


class Mirror:
    """The objects of one cluster, and which namespaces are to be judged. '' holds what belongs to no namespace.

    Safe for many threads that write and one that judges.
    """

    def __init__(self, wake: Callable[[], object] = lambda: None) -> None:
        """`wake` is called when something is to be judged earlier than was known before."""
        self._wake = wake
        self._lock = threading.Lock()
        self._objects: dict[str, dict[Key, bytes]] = defaultdict(dict)
        self._due: dict[str, tuple[float, int]] = {}  # namespace -> when to judge it, follow-ups so far
        self._changed: dict[str, float] = {}  # namespace -> the first change that was not judged yet
        self._rest: dict[str, float] = {}  # namespace -> not before
        self.listed: set[str] = set()

    def put(self, obj: Object, now: float) -> None:
        namespace, key = place(obj)
        packed = pack(obj)
        with self._lock:
            objects = self._objects[namespace]
            if key[0] == "Event" and key not in objects and len(objects) > MAX_EVENTS:
                self._make_room(objects)
            if objects.get(key) != packed:
                objects[key] = packed
                self._touch(namespace, now)

    def drop(self, obj: Object, now: float) -> None:
        namespace, key = place(obj)
        with self._lock:
            if self._objects[namespace].pop(key, None) is not None and key[0] != "Event":
                self._touch(namespace, now)

    def replace(self, kind: str, objects: Iterable[Object], now: float) -> None:
        """What a list brought is all there is of this kind; it is taken in one by one, so no second copy is held."""
        seen: set[tuple[str, Key]] = set()
        for obj in objects:
            self.put(obj, now)
            seen.add(place(obj))
        with self._lock:
            for namespace, held in self._objects.items():
                gone = [key for key in held if key[0] == kind and (namespace, key) not in seen]
                for key in gone:
                    del held[key]
                if gone:
                    self._touch(namespace, now)
            self.listed.add(kind)

    def due(self, now: float) -> list[tuple[str, float | None]]:
        """The namespaces to judge now, each with the time of its first change that was not judged (None: a follow-up)."""
        with self._lock:
            ready = [
                namespace
                for namespace, (when, _) in self._due.items()
                if when <= now and self._rest.get(namespace, 0) <= now
            ]
            found = []
            for namespace in ready:
                _, number = self._due.pop(namespace)
                if number < len(FOLLOW_UPS):
                    self._due[namespace] = (now + FOLLOW_UPS[number], number + 1)
                found.append((namespace, self._changed.pop(namespace, None)))
            return found

    def next_due(self) -> float | None:
        """When something is to be judged next; None when nothing is."""
        with self._lock:
            return min((max(when, self._rest.get(name, 0)) for name, (when, _) in self._due.items()), default=None)

    def judged(self, namespace: str, *, took: float, now: float) -> None:
        with self._lock:
            self._rest[namespace] = now + took * (SHARE - 1)
            if not self._objects.get(namespace):
                self._objects.pop(namespace, None)

    def objects(self, namespace: str) -> Iterator[Object]:
        """What lies in the namespace, and the nodes that its pods are on."""
        with self._lock:
            packed = list(self._objects.get(namespace, {}).values())
        nodes = set()
        for one in packed:
            obj = unpack(one)
            spec = obj.get("spec")
            if obj.get("kind") == "Pod" and isinstance(spec, dict) and isinstance(spec.get("nodeName"), str):
                nodes.add(spec["nodeName"])
            yield obj
        if namespace:
            with self._lock:
                held = self._objects.get("", {})
                around = [held[key] for key in (("Node", name) for name in sorted(nodes)) if key in held]
            yield from map(unpack, around)

    @property
    def size(self) -> int:
        return sum(len(held) for held in list(self._objects.values()))

    def _touch(self, namespace: str, now: float) -> None:
        self._changed.setdefault(namespace, now)
        when, _ = self._due.get(namespace, (float("inf"), 0))
        self._due[namespace] = (min(when, now + DEBOUNCE), 0)
        if now + DEBOUNCE < when:
            self._wake()

    @staticmethod
    def _make_room(objects: dict[Key, bytes]) -> None:
        oldest = next((key for key in objects if key[0] == "Event"), None)
        if oldest is not None:
            del objects[oldest]


def place(obj: Object) -> tuple[str, Key]:
    """Namespace, and kind and name. An event lies with the namespace of what it is about."""
    meta = obj.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    kind = str(obj.get("kind") or "")
    namespace = str(meta.get("namespace") or "")
    if kind == "Event":
        about = obj.get("involvedObject")
        namespace = str(about.get("namespace") or "") if isinstance(about, dict) else namespace
    return namespace, (kind, str(meta.get("name") or ""))


def clock() -> float:
    return time.monotonic()
