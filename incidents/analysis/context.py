"""What an analysis knows: facts read from the cluster, the incident's own anomalies, and what could not be found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from incidents.analysis.actions import Attempted

ROLLOUT_WINDOW = timedelta(minutes=30)  # a change this long before the trouble may be its cause
LAG = timedelta(minutes=15)  # a rollout that gets stuck is noticed only after its deadline


@dataclass(frozen=True, slots=True)
class Fault:
    """One anomaly of the incident, as correlation stored it."""

    signal_type: str
    condition: str
    reason: str
    description: str
    object_kind: str
    object_name: str
    since: datetime
    firing: bool = True
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """One container of a pod template. Amounts in bytes and cores; `env` maps names to shown (redacted) values."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    requests: Mapping[str, Decimal] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One container of one pod: how it is and how its last run ended."""

    name: str
    ready: bool = False
    restarts: int = 0
    waiting: str = ""
    message: str = ""
    ended: str = ""  # reason of the last termination
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    phase: str = ""
    reason: str = ""
    node: str = ""
    ready: bool = False
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    unschedulable: str = ""  # the scheduler's explanation
    runs: tuple[Run, ...] = ()

    @property
    def restarts(self) -> int:
        return sum(run.restarts for run in self.runs)


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines a container wrote, redacted; `previous`: before its last restart."""

    pod: str
    container: str
    previous: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    about: str  # Kind/name
    reason: str
    message: str
    times: int
    at: datetime | None

    def __str__(self) -> str:
        return f"{self.about}: {self.reason} {self.message}".strip()


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a workload's template, newest ones have the highest number."""

    number: int
    created_at: datetime | None
    templates: tuple[Template, ...]
    ready: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed shortly before: a ConfigMap that the pods read."""

    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Workload:
    """The thing people own. `conditions` maps type to (status, reason, message)."""

    kind: str
    name: str
    namespace: str = ""
    replicas: int | None = None
    ready: int | None = None
    paused: bool = False
    conditions: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    templates: tuple[Template, ...] = ()
    deadline_seconds: int | None = None  # of a Job
    managed_by: str = ""  # what reverts changes made past it: Argo CD, Flux, Helm


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    ready: str = ""  # True, False, Unknown
    cordoned: bool = False
    pressures: tuple[str, ...] = ()
    message: str = ""

    @property
    def healthy(self) -> bool:
        return self.ready == "True" and not self.pressures


@dataclass(frozen=True, slots=True)
class Scaler:
    """The HorizontalPodAutoscaler of the workload."""

    name: str
    low: int
    high: int
    current: int


@dataclass(frozen=True, slots=True)
class Neighbor:
    """Another open incident that may have the same cause."""

    name: str
    resource: str
    signal_type: str
    started_at: datetime
    shares: str  # namespace, node


@dataclass(frozen=True, slots=True)
class Context:
    """Everything an analysis rests on. What is None or empty was not found or not asked; `gaps` says what failed."""

    kind: str
    name: str
    namespace: str
    started_at: datetime
    faults: tuple[Fault, ...] = ()
    workload: Workload | None = None
    pods: tuple[Pod, ...] = ()  # unhealthy ones first; at most a few
    pod_count: int = 0
    unready_count: int = 0
    services: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()  # newest first
    changes: tuple[Change, ...] = ()
    events: tuple[Event, ...] = ()
    logs: tuple[Log, ...] = ()
    nodes: tuple[Node, ...] = ()
    scaler: Scaler | None = None
    neighbors: tuple[Neighbor, ...] = ()
    attempted: tuple[Attempted, ...] = ()  # what earlier attempts did, in vain
    attempt: int = 1
    gaps: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        return f"{self.kind}/{self.name}"

    def shows(self, *names: str) -> bool:
        """Whether an anomaly that has not cleared is of one of these signal types or conditions."""
        return any(fault.firing and (fault.signal_type in names or fault.condition in names) for fault in self.faults)

    def fault(self, *names: str) -> Fault | None:
        """The first such anomaly, firing ones before cleared ones."""
        found = [fault for fault in self.faults if fault.signal_type in names or fault.condition in names]
        return min(found, key=lambda fault: not fault.firing, default=None)

    @property
    def runs(self) -> list[tuple[Pod, Run]]:
        return [(pod, run) for pod in self.pods for run in pod.runs]

    @property
    def can_roll_back(self) -> bool:
        """There is an earlier revision, and the newest one really is the newer of the two.

        After a rollback the old template carries the newest number; going back to the "previous" one would bring the
        broken release again.
        """
        if len(self.revisions) < 2:
            return False
        newest, before = self.revisions[0].created_at, self.revisions[1].created_at
        return newest is None or before is None or newest >= before

    @property
    def rolled_out_at(self) -> datetime | None:
        """When the newest revision came, if that was shortly before the trouble began."""
        if not self.can_roll_back:
            return None
        at = self.revisions[0].created_at
        if at is None or not self.started_at - ROLLOUT_WINDOW <= at <= self.started_at + LAG:
            return None
        return at

    def container(self, name: str) -> Template | None:
        templates = self.workload.templates if self.workload else ()
        return next((template for template in templates if template.name == name), None)
