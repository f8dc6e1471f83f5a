"""Deletion as the API server and the garbage collector do it together."""

import datetime as dt

from aiops.simulator.objects import Obj, clone, is_finished, is_terminating
from aiops.simulator.resources import BY_KIND, NAMESPACE, POD, RESOURCES, Resource
from aiops.simulator.store import Store

BACKGROUND, FOREGROUND, ORPHAN = "Background", "Foreground", "Orphan"


def delete(
    store: Store, resource: Resource, obj: Obj, *, propagation: str = BACKGROUND, grace: int | None = None
) -> Obj | None:
    """Delete an object and, unless orphaned, what it owns. Returns the object if it goes on living for a while, like a pod."""
    if resource is POD:
        return _delete_pod(store, obj, grace)
    store.remove(resource, obj)
    if resource is NAMESPACE:
        _empty(store, obj["metadata"]["name"])
    for storage, (namespace, name) in store.all_children(obj["metadata"]["uid"]):
        kind = _BY_STORAGE[storage]
        child = store.get(kind, namespace, name)
        if child is None:
            continue
        if propagation == ORPHAN:
            _disown(store, kind, child, obj["metadata"]["uid"])
        else:
            delete(store, kind, child, propagation=propagation, grace=grace)
    return None


def _delete_pod(store: Store, pod: Obj, grace: int | None) -> Obj | None:
    if grace is None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    if grace <= 0 or is_finished(pod) or not pod["spec"].get("nodeName"):
        store.remove(POD, pod)
        return None
    if is_terminating(pod):
        return pod
    leaving = clone(pod)
    deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=grace)
    leaving["metadata"]["deletionTimestamp"] = deadline.strftime("%Y-%m-%dT%H:%M:%SZ")
    leaving["metadata"]["deletionGracePeriodSeconds"] = grace
    return store.update(POD, leaving)


def _disown(store: Store, resource: Resource, child: Obj, uid: str) -> None:
    freed = clone(child)
    references = [r for r in freed["metadata"]["ownerReferences"] if r["uid"] != uid]
    freed["metadata"]["ownerReferences"] = references
    if not references:
        del freed["metadata"]["ownerReferences"]
    store.update(resource, freed)


def _empty(store: Store, namespace: str) -> None:
    for resource in RESOURCES:
        if resource.namespaced and not resource.stored_as:
            for obj in store.all(resource, namespace):
                if store.get(resource, namespace, obj["metadata"]["name"]) is not None:
                    delete(store, resource, obj, grace=0)


_BY_STORAGE = {resource.storage: resource for resource in BY_KIND.values()}
