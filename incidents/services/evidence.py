"""Gathers what an analysis rests on: from our own tables, and from the cluster through a client.

Everything is bounded: number of objects, bytes of logs, and the time of all requests together. What cannot be had is named
as a gap; the first request that finds the cluster away ends the gathering, since the others would wait for nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from time import monotonic
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from aiops.clients.errors import ClientError, ClientRefused, ClientUnavailable, NotFound
from aiops.clients.kubernetes import KubernetesClient
from aiops.redaction import redact
from aiops.statements import Shapes, Slot, Statement
from federation import services as federation
from incidents.analysis import reading
from incidents.analysis.actions import Attempted
from incidents.analysis.context import ROLLOUT_WINDOW, Change, Context, Event, Fault, Log, Neighbor, Node, Pod
from incidents.detectors import fields
from incidents.detectors.fields import Obj
from incidents.models import Anomaly, Incident, TimelineEvent

T = TypeVar("T")

BUDGET = 20.0  # seconds for all requests of one analysis
MAX_PODS = 500  # looked at, of one workload
SHOWN_PODS = 5
LOGGED_PODS = 3
LOG_LINES = 50
LOG_BYTES = 8_192
MAX_EVENTS = 15
MAX_REVISIONS = 5
MAX_CONFIG_MAPS = 5
MAX_LISTED = 500  # ReplicaSets, Services, … of a namespace
MAX_NODES = 2
MAX_FAULTS = 50
MAX_NEIGHBORS = 10
NEIGHBOR_WINDOW = timedelta(minutes=15)
ACTED = (TimelineEvent.Type.REMEDIATION_ACTION, TimelineEvent.Type.REMEDIATION_FAILED)
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod", "Service"})
CONTROLLER_REVISIONS = frozenset({"StatefulSet", "DaemonSet"})

NEWEST_FAULTS = Statement(
    lambda: Anomaly.objects.filter(incident=Slot("incident")).order_by("-last_seen_at", "-pk")[:MAX_FAULTS]
)
NEIGHBORS = Shapes(MAX_FAULTS + 1)  # by the number of nodes


def gather(*, incident: Incident, ask_cluster: bool = True) -> Context:
    """The facts about `incident`; with `ask_cluster` false only those in our own tables."""
    known = _own_facts(incident)
    if incident.cluster is None:
        return replace(known, gaps=("the incident belongs to no registered cluster",))
    if not ask_cluster:
        return replace(known, gaps=("the cluster was not asked, earlier tries did not come to an end",))
    try:
        client = federation.connect(incident.cluster)
    except ClientError as error:
        return replace(known, gaps=(f"the cluster cannot be reached ({error.message})",))
    survey = _Survey(client, known)
    survey.run()
    return survey.context


# --- our own tables --------------------------------------------------------------------------------------------------


def _own_facts(incident: Incident) -> Context:
    anomalies: list[Anomaly] = NEWEST_FAULTS.all(incident=incident.pk)
    return Context(
        kind=incident.resource_kind,
        name=incident.resource_name,
        namespace=incident.namespace,
        started_at=incident.started_at,
        faults=tuple(_fault(anomaly) for anomaly in sorted(anomalies, key=lambda row: (row.first_seen_at, row.pk))),
        neighbors=tuple(_neighbors(incident, anomalies)),
        attempted=tuple(_attempted(incident)),
        attempt=incident.remediation_attempts + 1,
    )


def _fault(anomaly: Anomaly) -> Fault:
    return Fault(
        signal_type=anomaly.signal_type,
        condition=anomaly.condition,
        reason=anomaly.reason,
        description=redact(anomaly.description),
        object_kind=anomaly.object_kind or anomaly.resource_kind,
        object_name=anomaly.object_name or anomaly.resource_name,
        since=anomaly.first_seen_at,
        firing=anomaly.cleared_at is None,
        evidence=anomaly.evidence if isinstance(anomaly.evidence, dict) else {},
    )


def _neighbors(incident: Incident, anomalies: Iterable[Anomaly]) -> Iterator[Neighbor]:
    """Open incidents of the same cluster that began at about the same time, in the namespace or on the same node."""
    nodes = sorted({str(row.evidence.get("node")) for row in anomalies if isinstance(row.evidence, dict)} - {"None"})
    statement = NEIGHBORS.statement(len(nodes), lambda: _near([Slot(f"node{number}") for number in range(len(nodes))]))
    rows = statement.all(
        incident=incident.pk,
        cluster=incident.cluster_name,
        namespace=incident.namespace,
        since=incident.started_at - NEIGHBOR_WINDOW,
        until=incident.started_at + NEIGHBOR_WINDOW,
        **{f"node{number}": name for number, name in enumerate(nodes)},
    )
    for row in rows:
        resource = f"{row['resource_kind']}/{row['resource_name']}"
        shares = "node" if row["resource_kind"] == "Node" else "namespace"
        yield Neighbor(row["name"], resource, row["signal_type"], row["started_at"], shares)


def _near(nodes: list[Slot]) -> QuerySet[Incident, Any]:
    shares = Q(namespace=Slot("namespace")) & ~Q(resource_kind="Node")
    for node in nodes:
        shares |= Q(resource_kind="Node", resource_name=node)
    rows = Incident.objects.open().filter(
        shares, cluster_name=Slot("cluster"), started_at__gte=Slot("since"), started_at__lte=Slot("until")
    )
    rows = rows.exclude(pk=Slot("incident")).order_by("started_at", "pk")[:MAX_NEIGHBORS]
    return rows.values("name", "resource_kind", "resource_name", "signal_type", "started_at")


def _attempted(incident: Incident) -> Iterator[Attempted]:
    """What earlier attempts did. An incident that is analysed again was helped by none of it."""
    if not incident.remediation_attempts:
        return
    events = TimelineEvent.objects.filter(incident=incident, type__in=ACTED).order_by("at", "pk")
    for details in events.values_list("details", flat=True)[:100]:
        action, params = details.get("action"), details.get("params")
        if isinstance(action, str):
            given = params if isinstance(params, dict) else {}
            yield Attempted(action, tuple(sorted((str(name), str(value)) for name, value in given.items())))


# --- the cluster -----------------------------------------------------------------------------------------------------


class _Over(Exception):
    """The cluster is away, or the time is used up: what we have has to do."""


@dataclass(slots=True)
class _Survey:
    """One look around an incident's workload. `context` grows with every answer."""

    client: KubernetesClient
    context: Context
    until: float = field(default_factory=lambda: monotonic() + BUDGET)

    def run(self) -> None:
        try:
            if self.context.kind == "Node":
                self._node(self.context.name)
                self._events([("Node", self.context.name, "")])
                self._pods_on_node()
            elif self.context.kind in WORKLOADS:
                self._workload()
            else:
                self._events([(self.context.kind, self.context.name, self.context.namespace)])
        except _Over as over:
            self._gap(str(over))

    def _workload(self) -> None:
        context = self.context
        found = self._ask(context.resource, self.client.get, context.kind, context.name, context.namespace)
        if found is None:
            return
        self.context = replace(self.context, workload=reading.workload(found))
        pods = self._pods(found)
        self._events([(context.kind, context.name, context.namespace), *self._sick()])
        self._logs()
        self._revisions(found)
        self._config_maps(found)
        self._surroundings(found, pods)
        for name in list(dict.fromkeys(pod.node for pod in self.context.pods if not pod.ready and pod.node))[
            :MAX_NODES
        ]:
            self._node(name)

    # each of the following asks one question; an answer that fails is a gap and nothing else

    def _ask(self, what: str, question: Callable[..., T], *arguments: str | None) -> T | None:
        if monotonic() > self.until:
            raise _Over(f"{what} and what follows, the time was used up")
        try:
            return question(*arguments)
        except NotFound:
            self._gap(f"{what} does not exist")
        except ClientRefused as error:
            self._gap(f"{what} ({error.message})")
        except ClientUnavailable as error:
            raise _Over(f"{what} and what follows, the cluster does not answer ({error.message})") from error
        return None

    def _gap(self, text: str) -> None:
        self.context = replace(self.context, gaps=(*self.context.gaps, redact(text)[:300]))

    def _list(self, what: str, kind: str, *, most: int = MAX_LISTED, selector: str | None = None) -> list[Obj]:
        """Objects of the incident's namespace."""

        def listed() -> list[Obj]:
            found = self.client.list(kind, self.context.namespace or None, label_selector=selector)
            return list(islice(found, most))

        return self._ask(what, listed) or []

    def _pods(self, workload: Obj) -> list[Obj]:
        found = self._pods_of(workload)
        alive = [obj for obj in found if fields.status(obj).get("phase") != "Succeeded"]
        ordered = sorted(map(reading.pod, alive), key=reading.badness)
        self.context = replace(
            self.context,
            pods=tuple(ordered[:SHOWN_PODS]),
            pod_count=len(ordered),
            unready_count=sum(not pod.ready for pod in ordered),
        )
        return found

    def _pods_of(self, workload: Obj) -> list[Obj]:
        kind, name = self.context.kind, self.context.name
        if kind == "Pod":
            return [workload]
        selector = reading.selector_text(workload)
        if kind == "Service":
            wanted = fields.mapping(fields.spec(workload).get("selector"))
            selector = ",".join(f"{key}={value}" for key, value in wanted.items())
        elif kind == "CronJob":
            jobs = [job for job in self._list("its jobs", "Job") if _owned_by(job, kind, name)]
            newest = max(jobs, key=lambda job: str(fields.metadata(job).get("creationTimestamp")), default=None)
            selector = reading.selector_text(newest) if newest else ""
        return self._list("its pods", "Pod", most=MAX_PODS, selector=selector) if selector else []

    def _sick(self) -> list[tuple[str, str, str]]:
        return [("Pod", pod.name, self.context.namespace) for pod in self.context.pods if not pod.ready][:LOGGED_PODS]

    def _events(self, objects: list[tuple[str, str, str]]) -> None:
        found: list[Event] = []
        for kind, name, namespace in objects:
            listed = self._ask(f"events of {kind}/{name}", self.client.events, kind, name, namespace)
            found += [event for event in map(reading.warning, listed or []) if event is not None]
        ordered = sorted(found, key=lambda event: event.at or self.context.started_at, reverse=True)
        self.context = replace(self.context, events=tuple(ordered[:MAX_EVENTS]))

    def _logs(self) -> None:
        """Of up to three sick pods; a workload without one still has words to say (a service that answers badly)."""
        sick = [pod for pod in self.context.pods if not pod.ready] or list(self.context.pods[:1])
        found = [log for pod in sick[:LOGGED_PODS] for log in self._logs_of(pod)]
        self.context = replace(self.context, logs=tuple(found))

    def _logs_of(self, pod: Pod) -> Iterator[Log]:
        for run in [run for run in pod.runs if not run.ready][:1] or list(pod.runs[:1]):
            # the run before a restart holds the reason; a container that never ran has no lines at all
            for previous in (True, False) if run.restarts else (False,):
                lines = self._log_lines(pod.name, run.name, previous)
                if lines:
                    yield Log(pod.name, run.name, previous, lines)

    def _log_lines(self, pod: str, container: str, previous: bool) -> tuple[str, ...]:
        if monotonic() > self.until:
            raise _Over("logs and what follows, the time was used up")
        try:
            text = self.client.logs(
                pod,
                self.context.namespace,
                container=container,
                previous=previous,
                tail_lines=LOG_LINES,
                limit_bytes=LOG_BYTES,
            )
        except ClientRefused:
            return ()  # a container that waits for its image has no log: nothing is missing
        except ClientUnavailable as error:
            raise _Over(f"logs and what follows, the cluster does not answer ({error.message})") from error
        return tuple(line for line in redact(text).splitlines()[-LOG_LINES:] if line.strip())

    def _revisions(self, workload: Obj) -> None:
        uid = fields.metadata(workload).get("uid")
        kind = workload.get("kind")
        selector = reading.selector_text(workload) or None
        if kind == "Deployment":
            found = self._list("its revisions", "ReplicaSet", selector=selector)
            read = reading.revision_of_replica_set
        elif kind in CONTROLLER_REVISIONS:
            found = self._list("its revisions", "ControllerRevision", selector=selector)
            read = reading.revision_of_controller
        else:
            return
        owned = [obj for obj in found if fields.controller_of(obj).get("uid") == uid]
        revisions = sorted(map(read, owned), key=lambda revision: -revision.number)
        self.context = replace(self.context, revisions=tuple(revisions[:MAX_REVISIONS]))

    def _config_maps(self, workload: Obj) -> None:
        started = self.context.started_at
        changes = []
        for name in reading.config_maps(reading.pod_template(workload))[:MAX_CONFIG_MAPS]:
            found = self._ask(
                f"ConfigMap {name}", lambda n=name: self.client.get("ConfigMap", n, self.context.namespace)
            )
            at = reading.changed_at(found) if found else None
            if at is not None and started - ROLLOUT_WINDOW <= at <= started:
                changes.append(Change(f"ConfigMap {name}", at))
        self.context = replace(self.context, changes=tuple(changes))

    def _surroundings(self, workload: Obj, pods: list[Obj]) -> None:
        labels = fields.labels(reading.pod_template(workload)) or (fields.labels(pods[0]) if pods else {})
        services = [obj for obj in self._list("services", "Service") if reading.selects(_selector(obj), labels)]
        scalers = [obj for obj in self._list("autoscalers", "HorizontalPodAutoscaler") if self._scales(obj)]
        self.context = replace(
            self.context,
            services=tuple(str(fields.metadata(obj).get("name")) for obj in services),
            scaler=reading.scaler(scalers[0]) if scalers else None,
        )

    def _scales(self, scaler: Obj) -> bool:
        target = fields.mapping(fields.spec(scaler).get("scaleTargetRef"))
        return target.get("kind") == self.context.kind and target.get("name") == self.context.name

    def _node(self, name: str) -> None:
        found = self._ask(f"node {name}", self.client.get, "Node", name)
        node: Node | None = reading.node(found) if found else None
        if node is not None:
            self.context = replace(self.context, nodes=(*self.context.nodes, node))

    def _pods_on_node(self) -> None:
        """How many pods the node carries: whom its loss touches."""

        def listed() -> list[Obj]:
            pods = self.client.list("Pod", None, field_selector=f"spec.nodeName={self.context.name}")
            return list(islice(pods, MAX_PODS))

        pods = self._ask("its pods", listed)
        self.context = replace(self.context, pod_count=len(pods or ()))


def _selector(service: Obj) -> Any:
    return fields.spec(service).get("selector")


def _owned_by(obj: Obj, kind: str, name: str) -> bool:
    owner = fields.controller_of(obj)
    return owner.get("kind") == kind and owner.get("name") == name
