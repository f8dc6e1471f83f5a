from collections.abc import Callable

from aiops.simulator.defaults import apply_defaults, template_hash
from aiops.simulator.objects import Obj, clone, owner_reference
from aiops.simulator.resources import POD, REVISION, Resource
from aiops.simulator.world import World

Later = Callable[[float, str, str, str], None]

MAX_BURST = 500  # pods created or deleted for one owner in one go


class Controller:
    """Brings the surroundings of one kind in line with its spec. `reconcile` may be called at any time, any number of times."""

    kind: str

    def __init__(self, world: World, later: Later) -> None:
        self.world = world
        self.store = world.store
        self.later = later

    def reconcile(self, namespace: str, name: str) -> None:
        raise NotImplementedError

    def event(self, about: Obj, reason: str, message: str, source: str, kind: str = "Normal") -> None:
        self.world.recorder.record(about, reason=reason, message=message, source=source, kind=kind)

    def set_status(self, resource: Resource, obj: Obj, status: Obj) -> None:
        """Store a new status; members that are 0 in the API's optional counts are left out by the caller."""
        if obj.get("status") != status:
            self.store.update(resource, obj | {"status": status})

    def create_pod(
        self, owner: Obj, template: Obj, *, name: str = "", labels: Obj | None = None, node: str = ""
    ) -> Obj:
        """A pod of an owner, under a generated name unless one is given."""
        made = clone(template)
        old = made.get("metadata") or {}
        metadata: Obj = {"name": name} if name else {}
        metadata["generateName"] = f"{owner['metadata']['name']}-"
        metadata["namespace"] = owner["metadata"]["namespace"]
        metadata["labels"] = (old.get("labels") or {}) | (labels or {})
        if old.get("annotations"):
            metadata["annotations"] = old["annotations"]
        metadata["ownerReferences"] = [owner_reference(owner)]
        if node:
            made["spec"]["nodeName"] = node
        return self.store.create(POD, apply_defaults(POD, {"metadata": metadata, "spec": made["spec"]}))

    def revision_of(self, owner: Obj) -> Obj:
        """The ControllerRevision of the owner's present template, made when it is new; an old one used again becomes the newest."""
        template = owner["spec"]["template"]
        name = f"{owner['metadata']['name']}-{template_hash(template)}"
        known = self.store.children(owner, REVISION)
        newest = max((r["revision"] for r in known), default=0)
        found = next((r for r in known if r["metadata"]["name"] == name), None)
        if found is None:
            metadata = {
                "name": name,
                "namespace": owner["metadata"]["namespace"],
                "labels": (template.get("metadata", {}).get("labels") or {})
                | {"controller.kubernetes.io/hash": name.rpartition("-")[2]},
                "ownerReferences": [owner_reference(owner)],
            }
            data = {"spec": {"template": template | {"$patch": "replace"}}}
            return self.store.create(REVISION, {"metadata": metadata, "data": data, "revision": newest + 1})
        if found["revision"] < newest:
            return self.store.update(REVISION, found | {"revision": newest + 1})
        return found


def drop_zeros(status: Obj, *optional: str) -> Obj:
    """The status without the optional counts that are zero, as the API shows it."""
    return {key: value for key, value in status.items() if value or key not in optional}


def share(value: int | str, total: int, *, round_up: bool) -> int:
    """An int-or-percentage of a total, as in `maxSurge` and `minAvailable`."""
    if isinstance(value, str) and value.endswith("%"):
        percent = int(value[:-1]) * total
        return -(-percent // 100) if round_up else percent // 100
    return int(value)
