"""One look at a whole cluster: what is wrong, with whom, and which symptom follows from which cause.

Signals are gathered per top controller, condition and container, so a rollout of fifty pods is one observation. Memory
stays bounded by the findings: objects are examined page by page and forgotten.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from incidents.detectors import Context, detect
from incidents.detectors.base import Signal
from incidents.detectors.fields import MAX_TEXT, Obj
from incidents.detectors.ownership import owner_of, workload_of
from incidents.detectors.severity import cause_of, weighed
from incidents.detectors.thresholds import DEFAULT, Thresholds
from incidents.detectors.view import ClusterView, ResourceRef

MAX_NAMES = 5
_RANK = {"low": 1, "medium": 2, "high": 3, "critical": 4}
# what a lost node does to its pods
_NODE_SYMPTOMS = frozenset(
    {"pod_not_ready", "readiness_probe_failing", "pod_unknown", "pod_stuck_terminating", "pod_evicted"}
)
_SHORTAGES = frozenset(
    {
        "replicas_unavailable",
        "daemonset_unavailable",
        "deployment_unavailable",
        "daemonset_not_scheduled",
        "service_no_endpoints",
    }
)
_EVENTS = frozenset({"oom_killed"})
_METRICS_API = ResourceRef("APIService", "", "v1beta1.metrics.k8s.io")


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing wrong with one workload. `parent` is the object whose own fault explains it, if that is known."""

    owner: ResourceRef
    signal: Signal
    parent: ResourceRef | None = None


@dataclass(slots=True)
class _Group:
    """The same condition on several objects of one owner."""

    worst: Signal
    first: datetime | None
    count: int = 0
    names: list[str] = field(default_factory=list)
    nodes: set[str] = field(default_factory=set)

    def take(self, signal: Signal) -> None:
        self.count += 1
        if len(self.names) < MAX_NAMES and signal.resource.name not in self.names:
            self.names.append(signal.resource.name)
        self.nodes.add(str(signal.evidence.get("node", "")))
        self._date(signal)
        if _RANK[signal.severity] > _RANK[self.worst.severity]:
            self.worst = signal

    def _date(self, signal: Signal) -> None:
        """A state counts from its first moment; of an event that stays visible, the newest is the news."""
        at = signal.event_time
        if at and (self.first is None or (at > self.first if signal.condition in _EVENTS else at < self.first)):
            self.first = at

    def summary(self) -> Signal:
        if self.worst.resource.kind != "Pod":
            return replace(self.worst, event_time=self.first)
        evidence = {**self.worst.evidence, "pods": self.count, "podNames": ", ".join(self.names)}
        message = self.worst.message
        if self.count > 1:
            others = f" and {self.count - len(self.names)} more" if self.count > len(self.names) else ""
            suffix = f" ({self.count} pods: {', '.join(self.names)}{others})"
            message = f"{message[: max(0, MAX_TEXT - len(suffix))]}{suffix}"[:MAX_TEXT]
        return replace(self.worst, event_time=self.first, message=message, evidence=evidence)


class Scanner:
    """Collects the observations of one look.

    Give everything but pods to `learn` first, then each page of pods to `learn` and `examine`, then the other objects to
    `examine`, and ask for `observations` at the end; `scan` does so for objects at hand.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._groups: dict[tuple[ResourceRef, str, str], _Group] = {}

    def learn(self, objects: Iterable[Obj]) -> None:
        """Take the objects into the view without judging them."""
        for obj in objects:
            self.context.related.add(obj)

    def examine(self, objects: Iterable[Obj]) -> int:
        """Judge the objects; returns how many there were."""
        count = 0
        for obj in objects:
            count += 1
            finding = detect(obj, self.context)
            if finding.signals:
                self._gather(self._blamed(obj, finding.signals), finding.signals)
        return count

    def _blamed(self, obj: Obj, signals: Sequence[Signal]) -> ResourceRef:
        """The workload to blame: its owner, or what stands behind a Service for which nothing answers."""
        view = self.context.related
        owner = owner_of(obj, view)
        if any(signal.condition == "service_no_endpoints" for signal in signals):
            controller = view.controller_behind(owner)
            return workload_of(controller, view) if controller else owner
        return owner

    def _gather(self, owner: ResourceRef, signals: Sequence[Signal]) -> None:
        for signal in signals:
            key = (owner, signal.condition, signal.discriminator)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group(signal, signal.event_time)
            group.take(signal)

    def observations(self) -> list[Observation]:
        """What was found, each with its weight and its parent, the heaviest first."""
        sharing: dict[tuple[str, str], set[ResourceRef]] = defaultdict(set)
        for (owner, condition, _), group in self._groups.items():
            sharing[condition, cause_of(group.worst)].add(owner)
        found = []
        for (owner, condition, _), group in self._groups.items():
            cause = cause_of(group.worst)
            pods = group.count if group.worst.resource.kind == "Pod" else 0
            shared = len(sharing[condition, cause]) if cause else 0
            signal = weighed(group.summary(), owner, pods=pods, sharing=shared, view=self.context.related)
            found.append(Observation(owner, signal, self._parent(owner, group)))
        return sorted(found, key=lambda one: (-one.signal.weight, one.owner, one.signal.condition))

    def _parent(self, owner: ResourceRef, group: _Group) -> ResourceRef | None:
        condition = group.worst.condition
        if condition in _NODE_SYMPTOMS:
            return self._lost_node(group)
        if condition in _SHORTAGES:
            return self._node_behind_shortage(owner)
        if condition == "pod_unschedulable":
            claim = str(group.worst.evidence.get("claim", ""))
            ref = ResourceRef("PersistentVolumeClaim", owner.namespace, claim)
            return ref if claim and (ref, "pvc_pending", "") in self._groups else None
        if condition == "hpa_metrics_unavailable" and (_METRICS_API, "apiservice_unavailable", "") in self._groups:
            return _METRICS_API
        return None

    def _lost_node(self, group: _Group) -> ResourceRef | None:
        """The node, when every pod of the group sits on nodes that do not report."""
        states = self.context.related.nodes
        if not group.nodes or any(name not in states or states[name].ready == "True" for name in group.nodes):
            return None
        return ResourceRef("Node", "", min(group.nodes))

    def _node_behind_shortage(self, owner: ResourceRef) -> ResourceRef | None:
        """Replicas are missing while some of the owner's pods sit on a node that does not report."""
        view = self.context.related
        tally = view.pods_of(owner)
        nodes = tally.unready_nodes if tally else ()
        lost = [name for name in nodes if name in view.nodes and view.nodes[name].ready != "True"]
        return ResourceRef("Node", "", min(lost)) if lost else None


def scan(
    objects: Sequence[Obj],
    *,
    now: datetime,
    history: Mapping[str, Sequence[tuple[datetime, int]]] | None = None,
    unchanged_since: Mapping[str, datetime] | None = None,
    thresholds: Thresholds = DEFAULT,
) -> list[Observation]:
    """Look at objects of any kinds together: all of them are context for each."""
    context = Context(
        now=now,
        related=ClusterView.of(objects),
        history=history or {},
        unchanged_since=unchanged_since or {},
        thresholds=thresholds,
    )
    scanner = Scanner(context)
    scanner.examine(objects)
    return scanner.observations()
