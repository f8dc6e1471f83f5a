"""All objects of the cluster, one growing version number, and a bounded history for watches.

Stored objects are never changed in place: a change replaces the object. Lists, snapshots and watch events can therefore share them
without copying. Everything runs on one event loop, so there are no locks.
"""

import random
import uuid
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiops.simulator import problems
from aiops.simulator.defaults import label_job
from aiops.simulator.objects import Obj, random_suffix, timestamp
from aiops.simulator.resources import BY_API_KIND, Resource

Key = tuple[str, str]  # namespace ("" for cluster-scoped kinds), name

HISTORY = 2048  # changes per kind a watch can catch up with
MAX_SNAPSHOTS = 64  # lists that are being paged through at the same time


@dataclass(frozen=True)
class Change:
    """What happened to one object. `before` is None for a new object; for a deleted one `after` is its last state."""

    type: str  # ADDED, MODIFIED, DELETED
    resource: str  # storage name of the kind
    version: int
    before: Obj | None
    after: Obj


class Table:
    """The objects of one kind, in key order."""

    def __init__(self) -> None:
        self.objects: dict[Key, Obj] = {}
        self.keys: list[Key] = []
        self.history: deque[Change] = deque(maxlen=HISTORY)
        self.forgotten = 0  # the newest version that fell out of the history


class Store:
    def __init__(self, names: random.Random) -> None:
        self.version = 1
        self.names = names
        self._tables: dict[str, Table] = {}
        self._children: dict[str, dict[tuple[str, Key], None]] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._snapshots: OrderedDict[tuple[str, ...], list[Obj]] = OrderedDict()

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` synchronously after every change."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[Change], None]) -> None:
        self._listeners.remove(listener)

    def table(self, storage: str) -> Table:
        found = self._tables.get(storage)
        if found is None:
            found = self._tables[storage] = Table()
        return found

    def get(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        return self.table(resource.storage).objects.get((namespace if resource.namespaced else "", name))

    def fetch(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Like `get`, but raises a 404 problem."""
        found = self.get(resource, namespace, name)
        if found is None:
            raise problems.not_found(resource, name)
        return found

    def iterate(self, resource: Resource, namespace: str = "") -> Iterator[Obj]:
        """The objects in key order, all namespaces when none is given. Not safe against changes while iterating."""
        table = self.table(resource.storage)
        if not (namespace and resource.namespaced):
            return (table.objects[key] for key in table.keys)
        start, end = bisect_left(table.keys, (namespace, "")), bisect_left(table.keys, (namespace + "\0", ""))
        return (table.objects[key] for key in table.keys[start:end])

    def all(self, resource: Resource, namespace: str = "") -> list[Obj]:
        return list(self.iterate(resource, namespace))

    def children(self, owner: Obj, resource: Resource) -> list[Obj]:
        """Objects of one kind that name `owner` in their owner references."""
        wanted, objects = resource.storage, self.table(resource.storage).objects
        known = self._children.get(owner["metadata"]["uid"], {})
        return [objects[key] for storage, key in known if storage == wanted]

    def all_children(self, uid: str) -> list[tuple[str, Key]]:
        return list(self._children.get(uid, ()))

    def create(self, resource: Resource, obj: Obj) -> Obj:
        """Store a new object under its name, or a generated one. Raises AlreadyExists as a 409 problem.

        Like `update`, it keeps the object itself.
        """
        stored = self.prepare_new(resource, obj)
        key = self._key(stored)
        table = self.table(resource.storage)
        self.version += 1
        stored["metadata"]["resourceVersion"] = str(self.version)
        table.objects[key] = stored
        insort(table.keys, key)
        self._index(resource.storage, key, stored)
        self._record(Change("ADDED", resource.storage, self.version, None, stored))
        return stored

    def prepare_new(self, resource: Resource, obj: Obj) -> Obj:
        """The object as `create` would store it, without a version: for creations and their dry runs."""
        metadata = dict(obj["metadata"])
        stored = obj | {"metadata": metadata}
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + random_suffix(self.names)
        if self.get(resource, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise problems.already_exists(resource, metadata["name"])
        metadata["uid"] = str(uuid.uuid4())
        if resource.has_generation:
            metadata["generation"] = 1
        metadata["creationTimestamp"] = timestamp()
        if resource.kind == "Job":
            label_job(stored)
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        return head | {k: v for k, v in stored.items() if k not in head}

    def update(self, resource: Resource, obj: Obj, *, keeps_generation: bool = False) -> Obj:
        """Replace an object; the generation grows when the spec differs, unless a controller finishes what was asked.

        The store keeps the object itself, and old and new versions share what they have in common; so the caller may not
        change any part of it afterwards. Storing an equal object changes nothing.
        """
        key = self._key(obj)
        table = self.table(resource.storage)
        before = table.objects[key]
        if _same(before, obj):
            return before
        self.version += 1
        metadata = obj["metadata"] | {"resourceVersion": str(self.version)}
        if resource.has_generation and not keeps_generation and before.get("spec") != obj.get("spec"):
            metadata["generation"] = before["metadata"].get("generation", 1) + 1
        after = obj | {"metadata": metadata}
        table.objects[key] = after
        if before["metadata"].get("ownerReferences") != after["metadata"].get("ownerReferences"):
            self._unindex(resource.storage, key, before)
            self._index(resource.storage, key, after)
        self._record(Change("MODIFIED", resource.storage, self.version, before, after))
        return after

    def remove(self, resource: Resource, obj: Obj) -> None:
        """Take an object out. Does nothing when it is already gone."""
        key = self._key(obj)
        table = self.table(resource.storage)
        before = table.objects.get(key)
        if before is None or before["metadata"]["uid"] != obj["metadata"]["uid"]:
            return
        del table.objects[key]
        del table.keys[bisect_left(table.keys, key)]
        self._unindex(resource.storage, key, before)
        self.version += 1
        after = before | {"metadata": before["metadata"] | {"resourceVersion": str(self.version)}}
        self._record(Change("DELETED", resource.storage, self.version, before, after))

    def keep_snapshot(self, identity: tuple[str, ...], objects: list[Obj]) -> None:
        """Remember a list that was not delivered completely, so its next pages show the same moment."""
        self._snapshots[identity] = objects
        self._snapshots.move_to_end(identity)
        while len(self._snapshots) > MAX_SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def snapshot(self, identity: tuple[str, ...], start: Key) -> tuple[list[Obj], int] | None:
        """A remembered list and the position of the first object after `start`; None when it was forgotten."""
        objects = self._snapshots.get(identity)
        if objects is None:
            return None
        self._snapshots.move_to_end(identity)
        return objects, bisect_right(objects, start, key=self._key)

    def expire(self) -> None:
        """Make every `continue` token and every version before now too old, as a compaction does."""
        self._snapshots.clear()
        for table in self._tables.values():
            table.history.clear()
            table.forgotten = self.version

    def changes_since(self, storage: str, version: int) -> list[Change] | None:
        """Changes of one kind after `version`, oldest first; None when some of them are forgotten."""
        table = self.table(storage)
        if version < table.forgotten:
            return None
        missed: list[Change] = []
        for change in reversed(table.history):
            if change.version <= version:
                break
            missed.append(change)
        missed.reverse()
        return missed

    def _record(self, change: Change) -> None:
        table = self.table(change.resource)
        if len(table.history) == HISTORY:
            table.forgotten = table.history[0].version
        table.history.append(change)
        for listener in tuple(self._listeners):
            listener(change)

    @staticmethod
    def _key(obj: Obj) -> Key:
        return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]

    def _index(self, storage: str, key: Key, obj: Obj) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            self._children.setdefault(reference["uid"], {})[storage, key] = None

    def _unindex(self, storage: str, key: Key, obj: Obj) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            known = self._children.get(reference["uid"])
            if known is not None:
                known.pop((storage, key), None)
                if not known:
                    del self._children[reference["uid"]]


def resource_of(obj: Obj) -> Resource:
    return BY_API_KIND[obj["apiVersion"], obj["kind"]]


def _same(before: Obj, after: Obj) -> bool:
    ignored = {"resourceVersion", "generation"}
    if {k: v for k, v in before.items() if k != "metadata"} != {k: v for k, v in after.items() if k != "metadata"}:
        return False
    old, new = before["metadata"], after["metadata"]
    return {k: v for k, v in old.items() if k not in ignored} == {k: v for k, v in new.items() if k not in ignored}
