"""What the rest of the cluster says about an object: small indices over many raw objects.

Only extracted facts are kept, never the objects, so a view over 50,000 pods stays small. A kind that was never added is
*unknown*: rules ask `knows(kind)` before they conclude that something does not exist.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from incidents.detectors import fields
from incidents.detectors.fields import Obj, integer, mapping, objects, parse_time, text

MAX_EVENTS_PER_OBJECT = 50
MAX_EVENTS = 50_000
MAX_CLAIMS_PER_POD = 64
MAX_UNREADY_PODS = 50_000
MAX_LEAVING_PODS = 5_000
# Normal events that excuse a state; all other evidence comes from warnings
_EXCUSING_EVENTS = frozenset({"TriggeredScaleUp", "Pulling", "Pulled", "WaitForFirstConsumer"})
_LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time"
_CORDONED = "node.kubernetes.io/unschedulable"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


class ResourceRef(NamedTuple):
    """Which object; `namespace` is '' for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Event(NamedTuple):
    """One event about an object; `at` is its last occurrence."""

    reason: str
    message: str
    times: int
    at: datetime | None
    is_warning: bool


class Owner(NamedTuple):
    """A controller link: the object, and the reference to what controls it in turn."""

    ref: ResourceRef
    parent: ResourceRef | None
    parent_uid: str


class NodeState(NamedTuple):
    ready: str  # status of the Ready condition: True, False, Unknown or ''
    since: datetime | None
    is_cordoned: bool
    cordoned_at: datetime | None = None


class JobState(NamedTuple):
    created_at: datetime | None
    failed: bool
    completed: bool


@dataclass(slots=True)
class PodTally:
    """Pods of one controller: how many, how many ready, since when the longest-waiting one is not, and where those are."""

    total: int = 0
    ready: int = 0
    unready_since: datetime | None = None
    unready_name: str = ""
    unready_nodes: frozenset[str] = frozenset()

    def merge(self, other: "PodTally") -> None:
        self.total += other.total
        self.ready += other.ready
        self.unready_nodes |= other.unready_nodes
        if other.unready_since and (self.unready_since is None or other.unready_since < self.unready_since):
            self.unready_since, self.unready_name = other.unready_since, other.unready_name


@dataclass(slots=True)
class Endpoints:
    ready: int = 0
    not_ready: int = 0
    changed_at: datetime | None = None
    unready_pod: str = ""  # one of the pods that are not ready


def read_event(raw: Obj) -> Event:
    """An event of core/v1 or events.k8s.io/v1: the same facts under two sets of names."""
    series = mapping(raw.get("series"))
    count = max(integer(raw.get("count")), integer(raw.get("deprecatedCount")), integer(series.get("count")), 1)
    at = fields.latest(
        *(parse_time(raw.get(key)) for key in ("lastTimestamp", "deprecatedLastTimestamp", "eventTime")),
        parse_time(series.get("lastObservedTime")),
    )
    return Event(
        reason=text(raw.get("reason")),
        message=(text(raw.get("message")) or text(raw.get("note")))[: fields.MAX_TEXT],
        times=count,
        at=at or parse_time(raw.get("firstTimestamp")) or fields.created_at(raw),
        is_warning=raw.get("type") == "Warning",
    )


def owner_reference(obj: Obj) -> tuple[ResourceRef | None, str]:
    """The controlling owner of an object and its uid; `(None, '')` when nobody owns it."""
    meta = fields.metadata(obj)
    if not meta.get("ownerReferences"):
        return None, ""
    owner = fields.controller_of(obj)
    kind, name = text(owner.get("kind")), text(owner.get("name"))
    if not kind or not name:
        return None, ""
    namespace = "" if kind == "Node" else text(meta.get("namespace"))
    return ResourceRef(kind, namespace, name), text(owner.get("uid"))


@dataclass(slots=True)
class ClusterView:
    """Indices over the objects given to `add`; every one may be empty."""

    kinds: set[str] = field(default_factory=set)
    names: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    owners: dict[ResourceRef, Owner] = field(default_factory=dict)
    owners_by_uid: dict[str, Owner] = field(default_factory=dict)
    events: dict[tuple[str, str, str], list[Event]] = field(default_factory=dict)
    events_by_uid: dict[str, list[Event]] = field(default_factory=dict)
    nodes: dict[str, NodeState] = field(default_factory=dict)
    node_pods: Counter[str] = field(default_factory=Counter)
    node_evictions: Counter[str] = field(default_factory=Counter)
    pods: dict[ResourceRef, PodTally] = field(default_factory=dict)
    unready_pods: dict[tuple[str, str], ResourceRef] = field(default_factory=dict)
    claims_in_use: set[tuple[str, str]] = field(default_factory=set)
    binding_modes: dict[str, str] = field(default_factory=dict)
    default_class: str = ""
    endpoints: dict[tuple[str, str], Endpoints] = field(default_factory=dict)
    jobs: dict[ResourceRef, JobState] = field(default_factory=dict)
    cron_jobs: dict[ResourceRef, list[JobState]] = field(default_factory=lambda: defaultdict(list))
    replicas: dict[ResourceRef, int] = field(default_factory=dict)
    namespace_labels: dict[str, Obj] = field(default_factory=dict)
    sums: dict[ResourceRef, PodTally] | None = None
    event_count: int = 0
    selectors: dict[str, list[Obj]] = field(default_factory=lambda: defaultdict(list))  # of Services, by namespace
    scaled: set[ResourceRef] = field(default_factory=set)  # what an autoscaler scales
    leaving: dict[str, list[tuple[Obj, str]]] = field(default_factory=lambda: defaultdict(list))  # labels and node
    leaving_count: int = 0
    missing: set[ResourceRef] = field(default_factory=set)  # asked for and not found

    @classmethod
    def of(cls, items: Iterable[Obj]) -> "ClusterView":
        """A view over the given objects."""
        view = cls()
        for item in items:
            view.add(item)
        return view

    def knows(self, kind: str) -> bool:
        """Whether objects of the kind were listed, so that absence means something."""
        return kind in self.kinds

    def listed(self, kind: str) -> None:
        """Record that `kind` was listed, also when the list was empty."""
        self.kinds.add(kind)

    def exists(self, kind: str, namespace: str, name: str) -> bool:
        return (namespace, name) in self.names.get(kind, ())

    def is_missing(self, ref: ResourceRef) -> bool:
        """Whether the object is known not to exist; False also when we cannot tell."""
        return ref in self.missing or (self.knows(ref.kind) and not self.exists(ref.kind, ref.namespace, ref.name))

    def add(self, obj: Obj) -> None:
        """Take over what other objects may ask about this one; give each object once, pods and endpoints are counted."""
        kind = text(obj.get("kind"))
        self.kinds.add(kind)
        self.sums = None
        if kind == "Pod":
            self._add_pod(obj)
            return
        if kind == "Event":
            self._add_event(obj)
            return
        meta = fields.metadata(obj)
        ref = ResourceRef(kind, text(meta.get("namespace")), text(meta.get("name")))
        self.names[kind].add((ref.namespace, ref.name))
        parent, parent_uid = owner_reference(obj)
        owner = Owner(ref, parent, parent_uid)
        self.owners[ref] = owner
        if uid := text(meta.get("uid")):
            self.owners_by_uid[uid] = owner
        adder = _ADDERS.get(kind)
        if adder:
            adder(self, obj, ref)

    @property
    def has_events(self) -> bool:
        return bool(self.events or self.events_by_uid)

    def pods_of(self, workload: ResourceRef) -> PodTally | None:
        """Pod counts of a workload; those of a Deployment are the sum over its ReplicaSets."""
        own = self.pods.get(workload)
        if own is not None or workload.kind != "Deployment":
            return own
        return self._deployment_pods().get(workload)

    def controller_behind(self, service: ResourceRef) -> ResourceRef | None:
        """What controls a pod that stands behind the service without being ready; None when no such pod is known."""
        entry = self.endpoints.get((service.namespace, service.name))
        return self.unready_pods.get((service.namespace, entry.unready_pod)) if entry else None

    def _deployment_pods(self) -> dict[ResourceRef, PodTally]:
        """Summed up on first use, after the last `add`; `add` forgets the sums again."""
        if self.sums is None:
            self.sums = {}
            for ref, tally in self.pods.items():
                link = self.owners.get(ref)
                if link is not None and link.parent is not None:
                    self.sums.setdefault(link.parent, PodTally()).merge(tally)
        return self.sums

    def events_about(self, obj: Obj) -> list[Event]:
        """Events by uid where known, else by kind, namespace and name."""
        if not self.has_events:
            return []
        meta = fields.metadata(obj)
        by_uid = self.events_by_uid.get(text(meta.get("uid")), ())
        key = (text(obj.get("kind")), text(meta.get("namespace")), text(meta.get("name")))
        return [*by_uid, *self.events.get(key, ())]

    def events_with(self, obj: Obj, reasons: frozenset[str]) -> Iterator[Event]:
        """Events about the object whose reason is one of `reasons`."""
        return (event for event in self.events_about(obj) if event.reason in reasons)

    def _add_event(self, raw: Obj) -> None:
        event = read_event(raw)
        if not event.is_warning and event.reason not in _EXCUSING_EVENTS:
            return
        about = mapping(raw.get("involvedObject")) or mapping(raw.get("regarding"))
        uid = text(about.get("uid"))
        kind = text(about.get("kind"))
        if uid and kind != "Node":  # events on nodes carry the node's name as uid
            bucket = self.events_by_uid.setdefault(uid, [])
        elif kind:
            namespace = "" if kind == "Node" else text(about.get("namespace"))
            bucket = self.events.setdefault((kind, namespace, text(about.get("name"))), [])
        else:
            return
        if len(bucket) < MAX_EVENTS_PER_OBJECT and self.event_count < MAX_EVENTS:
            bucket.append(event)
            self.event_count += 1

    def _add_pod(self, pod: Obj) -> None:
        spec, status = fields.spec(pod), fields.status(pod)
        namespace = text(fields.metadata(pod).get("namespace"))
        node = text(spec.get("nodeName"))
        phase = status.get("phase")
        if node and phase not in ("Succeeded", "Failed"):
            self.node_pods[node] += 1
            self._note_leaving(pod, namespace, node)
        if node and phase == "Failed" and status.get("reason") == "Evicted":
            self.node_evictions[node] += 1
        volumes = spec.get("volumes")
        if isinstance(volumes, list):
            for volume in volumes[:MAX_CLAIMS_PER_POD]:
                claim = volume.get("persistentVolumeClaim") if isinstance(volume, dict) else None
                if isinstance(claim, dict):
                    self.claims_in_use.add((namespace, text(claim.get("claimName"))))
        self._tally(pod, status)

    def _note_leaving(self, pod: Obj, namespace: str, node: str) -> None:
        """Pods on cordoned nodes are to leave; nodes have to be added before pods for this."""
        state = self.nodes.get(node)
        if state is not None and state.is_cordoned and self.leaving_count < MAX_LEAVING_PODS:
            self.leaving[namespace].append((fields.labels(pod), node))
            self.leaving_count += 1

    def _tally(self, pod: Obj, status: Obj) -> None:
        owner, _ = owner_reference(pod)
        if owner is None or status.get("phase") in ("Succeeded", "Failed"):
            return
        tally = self.pods.get(owner)
        if tally is None:
            tally = self.pods[owner] = PodTally()
        tally.total += 1
        for raw in objects(status.get("conditions")):
            if raw.get("type") == "Ready":
                if raw.get("status") == "True":
                    tally.ready += 1
                    return
                since = parse_time(raw.get("lastTransitionTime"))
                break
        else:
            since = fields.created_at(pod)
        name = text(fields.metadata(pod).get("name"))
        if node := text(fields.spec(pod).get("nodeName")):
            tally.unready_nodes |= {node}
        if len(self.unready_pods) < MAX_UNREADY_PODS:
            self.unready_pods[owner.namespace, name] = owner
        if tally.unready_since is None or (since is not None and since < tally.unready_since):
            tally.unready_since = since
            tally.unready_name = name

    def _add_node(self, node: Obj, ref: ResourceRef) -> None:
        ready = fields.conditions(node).get("Ready", fields.ABSENT)
        spec = fields.spec(node)
        stamps = (taint.get("timeAdded") for taint in objects(spec.get("taints")) if taint.get("key") == _CORDONED)
        is_cordoned = spec.get("unschedulable") is True
        self.nodes[ref.name] = NodeState(
            ready.status, ready.since, is_cordoned, parse_time(next(stamps, None)) if is_cordoned else None
        )

    def _add_job(self, job: Obj, ref: ResourceRef) -> None:
        conditions = fields.conditions(job)
        state = JobState(
            fields.created_at(job),
            conditions.get("Failed", fields.ABSENT).is_true,
            conditions.get("Complete", fields.ABSENT).is_true,
        )
        self.jobs[ref] = state
        parent = self.owners[ref].parent
        if parent is not None and parent.kind == "CronJob":
            self.cron_jobs[parent].append(state)

    def _add_storage_class(self, obj: Obj, ref: ResourceRef) -> None:
        self.binding_modes[ref.name] = text(obj.get("volumeBindingMode")) or "Immediate"
        if fields.annotations(obj).get(_DEFAULT_CLASS) == "true":
            self.default_class = ref.name

    def _add_endpoint_slice(self, obj: Obj, ref: ResourceRef) -> None:
        service = text(fields.labels(obj).get("kubernetes.io/service-name"))
        if not service:
            return
        entry = self.endpoints.setdefault((ref.namespace, service), Endpoints())
        for endpoint in objects(obj.get("endpoints")):
            # an absent `ready` means unknown, which the API says to read as ready
            is_ready = mapping(endpoint.get("conditions")).get("ready") is not False
            entry.ready += is_ready
            entry.not_ready += not is_ready
            if not is_ready:
                entry.unready_pod = text(mapping(endpoint.get("targetRef")).get("name"))
        entry.changed_at = fields.latest(entry.changed_at, parse_time(fields.annotations(obj).get(_LAST_CHANGE)))

    def _add_endpoints(self, obj: Obj, ref: ResourceRef) -> None:
        entry = Endpoints(changed_at=parse_time(fields.annotations(obj).get(_LAST_CHANGE)))
        for subset in objects(obj.get("subsets")):
            entry.ready += sum(1 for _ in objects(subset.get("addresses")))
            entry.not_ready += sum(1 for _ in objects(subset.get("notReadyAddresses")))
        if not self.knows("EndpointSlice"):  # slices are the complete record; do not count an address twice
            self.endpoints[ref.namespace, ref.name] = entry

    def _add_workload(self, obj: Obj, ref: ResourceRef) -> None:
        self.replicas[ref] = integer(fields.spec(obj).get("replicas"), 1)

    def _add_service(self, obj: Obj, ref: ResourceRef) -> None:
        spec = fields.spec(obj)
        if (selector := mapping(spec.get("selector"))) and spec.get("type") != "ExternalName":
            self.selectors[ref.namespace].append(selector)

    def _add_autoscaler(self, obj: Obj, ref: ResourceRef) -> None:
        target = mapping(fields.spec(obj).get("scaleTargetRef"))
        self.scaled.add(ResourceRef(text(target.get("kind")), ref.namespace, text(target.get("name"))))

    def _add_namespace(self, obj: Obj, ref: ResourceRef) -> None:
        self.namespace_labels[ref.name] = fields.labels(obj)


_ADDERS = {
    "Node": ClusterView._add_node,
    "Job": ClusterView._add_job,
    "StorageClass": ClusterView._add_storage_class,
    "EndpointSlice": ClusterView._add_endpoint_slice,
    "Endpoints": ClusterView._add_endpoints,
    "Deployment": ClusterView._add_workload,
    "ReplicaSet": ClusterView._add_workload,
    "StatefulSet": ClusterView._add_workload,
    "Namespace": ClusterView._add_namespace,
    "Service": ClusterView._add_service,
    "HorizontalPodAutoscaler": ClusterView._add_autoscaler,
}
