"""Whom an object belongs to: signals are keyed by the top controller, so a rollout of fifty pods is one incident."""

from incidents.detectors import fields
from incidents.detectors.fields import Obj, text
from incidents.detectors.view import ClusterView, ResourceRef, owner_reference

MAX_DEPTH = 8  # owner chains are three or four links long; a longer one is a cycle or nonsense
# climbing ends here although something may own these: people know the workload, not the operator's object behind it
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Node"})
_HASH_LABEL = "pod-template-hash"


def owner_of(obj: Obj, view: ClusterView) -> ResourceRef:
    """The workload to blame for the object: itself when nobody controls it.

    Pods climb over ReplicaSet to Deployment and over Job to CronJob; mirror pods belong to their Node. A ReplicaSet or
    Job that is not in the view is judged by its name.
    """
    meta = fields.metadata(obj)
    own = ResourceRef(text(obj.get("kind")), text(meta.get("namespace")), text(meta.get("name")))
    parent, uid = owner_reference(obj)
    if parent is None or own.kind in _WORKLOADS:
        return own
    return _climb(parent, uid, view, template_hash=text(fields.labels(obj).get(_HASH_LABEL)))


def workload_of(controller: ResourceRef, view: ClusterView) -> ResourceRef:
    """The workload at the top of what controls a pod."""
    return _climb(controller, "", view, template_hash="")


def _climb(ref: ResourceRef, uid: str, view: ClusterView, *, template_hash: str) -> ResourceRef:
    for _ in range(MAX_DEPTH):
        if ref.kind in _WORKLOADS:
            return ref
        link = view.owners_by_uid.get(uid) or view.owners.get(ref)
        if link is None:
            return _owner_by_name(ref, template_hash)
        if link.parent is None:
            return link.ref
        ref, uid = link.parent, link.parent_uid
    return ref


def _owner_by_name(ref: ResourceRef, template_hash: str) -> ResourceRef:
    """A Deployment names its ReplicaSets `name-hash` and writes the hash on their pods."""
    suffix = f"-{template_hash}"
    if ref.kind == "ReplicaSet" and template_hash and ref.name.endswith(suffix) and len(ref.name) > len(suffix):
        return ResourceRef("Deployment", ref.namespace, ref.name.removesuffix(suffix))
    return ref
