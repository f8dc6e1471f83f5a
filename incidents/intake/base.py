"""What the origins have in common: the alert they yield, strict checks of foreign members, severity and resource by labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from aiops.api.formats import parse_time
from aiops.errors import Invalid
from incidents.intake import names
from incidents.observations import digest
from incidents.states import Severity, Source

MAX_ALERTS = 10_000
MAX_LABELS = 128
MAX_TEXT = 4_096
MAX_NAME = 253
FIRING, RESOLVED = "firing", "resolved"
FIRST_YEAR = 1970  # Alertmanager sends the year 1 for "not yet"; nothing that runs now began before Unix time

SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "p1": Severity.CRITICAL,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "p2": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "p3": Severity.MEDIUM,
    "info": Severity.LOW,
    "low": Severity.LOW,
    "p4": Severity.LOW,
    "p5": Severity.LOW,
}
# label -> kind, the most telling first
RESOURCES = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "job_name": "Job",
    "node": "Node",
    "pod": "Pod",
    "service": "Service",
}
METRICS_JOB = "kube-state-metrics"  # the scrape job, not a Job that failed


class Resource(NamedTuple):
    kind: str
    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, whoever sent it. `identity` is the sender's own, `cluster` the name that the alert gives."""

    index: int
    firing: bool
    signal_type: str
    identity: str
    resource: Resource
    description: str
    severity: Severity | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    cluster: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An alert that is not stored."""

    index: int
    reason: str


class Reading(NamedTuple):
    """What a document says."""

    alerts: list[Alert]
    rejected: list[Rejected]


@dataclass(frozen=True, slots=True)
class Intake:
    """An origin. `read` raises `Invalid` with `fields` when the document is not of its shape; one bad alert does not."""

    origin: str
    source: Source
    read: Callable[[Any], Reading]


class Malformed(Exception):
    """A member of one alert is not what it has to be."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"{member}: {reason}")
        self.member = member
        self.reason = reason


def refuse(member: str, reason: str) -> Invalid:
    return Invalid("The document is not of the expected shape", fields={member: [reason]})


def read_all(items: list[Any], read_one: Callable[[int, Any], Alert]) -> Reading:
    """Read every alert; the bad ones are set aside with the reason. Raises `Invalid` when there are too many."""
    if len(items) > MAX_ALERTS:
        raise refuse("alerts", f"At most {MAX_ALERTS} alerts at once.")
    alerts, rejected = [], []
    for index, item in enumerate(items):
        try:
            alerts.append(read_one(index, item))
        except Malformed as error:
            rejected.append(Rejected(index, str(error)))
    return Reading(alerts, rejected)


# --- members ---------------------------------------------------------------------------------------------------------


def text(document: Mapping[str, Any], member: str, longest: int = MAX_TEXT) -> str:
    """A text, trimmed and cut; "" when absent or null."""
    value = document.get(member)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(member, "Must be a string.")
    return value.strip()[:longest]


def moment(document: Mapping[str, Any], member: str) -> datetime | None:
    """A time; None when absent, null, empty or before Unix time."""
    value = document.get(member)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Malformed(member, "Must be a string.")
    try:
        found = parse_time(value.strip())
    except ValueError as error:
        raise Malformed(member, "Must be an RFC 3339 time.") from error
    return None if found.year < FIRST_YEAR else found


def texts(document: Mapping[str, Any], member: str) -> dict[str, str]:
    """An object from string to string; {} when absent or null."""
    value = document.get(member)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise Malformed(member, "Must be an object of strings.")
    if len(value) > MAX_LABELS:
        raise Malformed(member, f"At most {MAX_LABELS} members.")
    return {key[:MAX_NAME]: item[:MAX_TEXT] for key, item in value.items()}


def status(document: Mapping[str, Any], member: str, default: str = "") -> bool:
    """Whether it is firing."""
    value = document.get(member)
    if value is None:
        value = default
    if value not in (FIRING, RESOLVED):
        raise Malformed(member, f"Must be {FIRING} or {RESOLVED}.")
    return bool(value == FIRING)


# --- meaning ---------------------------------------------------------------------------------------------------------


def severity(*words: str) -> Severity | None:
    """Of the first word that says something (X2.2)."""
    return next((known for word in words if (known := SEVERITIES.get(word.strip().lower()))), None)


def resource_of(labels: Mapping[str, str], signal_type: str, otherwise: str) -> Resource:
    """The thing the labels speak of (X2.2); `otherwise` names the service when no label does.

    A label `exported_…` is what the exporter saw, the plain one beside it then describes the exporter itself.
    """
    namespace = label(labels, "namespace")
    for name, kind in RESOURCES.items():
        value = label(labels, name)
        if value:
            return Resource(kind, value, "" if kind == "Node" else namespace or "default")
    job = label(labels, "job")
    if signal_type == "job_failed" and job and job != METRICS_JOB:
        return Resource("Job", job, namespace or "default")
    return Resource("Service", job or otherwise[:MAX_NAME] or "unknown", namespace or "default")


def label(labels: Mapping[str, str], name: str) -> str:
    return (labels.get(f"exported_{name}") or labels.get(name) or "").strip()[:MAX_NAME]


def identity_of(labels: Mapping[str, str], *more: str) -> str:
    """The identity of an alert that brings none: its label set, never the annotations, whose values change."""
    return digest(*more, *(part for name in sorted(labels) for part in (name, labels[name])))


def described(*parts: str, otherwise: str) -> str:
    """A sentence from what the sender wrote, without repeating it."""
    found = list(dict.fromkeys(part for part in parts if part))
    return ": ".join(found) or otherwise


def from_labels(
    index: int,
    item: Mapping[str, Any],
    *,
    firing: bool,
    evidence: Mapping[str, Any],
) -> Alert:
    """An alert whose labels say everything, as Prometheus and Grafana send it."""
    labels, annotations = texts(item, "labels"), texts(item, "annotations")
    if not isinstance(item.get("labels"), dict):
        raise Malformed("labels", "Must be an object of strings.")
    name = labels.get("alertname", "").strip()
    signal_type = names.signal_type(name)
    facts = {"alertname": name, "annotations": annotations, "generatorURL": text(item, "generatorURL")} | dict(evidence)
    detail = annotations.get("description") or annotations.get("message") or ""
    return Alert(
        index=index,
        firing=firing,
        signal_type=signal_type,
        identity=text(item, "fingerprint", MAX_NAME) or identity_of(labels),
        resource=resource_of(labels, signal_type, otherwise=name),
        description=described(annotations.get("summary", "").strip(), detail.strip(), otherwise=name or signal_type),
        severity=severity(labels.get("severity", ""), labels.get("priority", "")),
        starts_at=moment(item, "startsAt"),
        ends_at=moment(item, "endsAt"),
        cluster=label(labels, "cluster"),
        labels=labels,
        evidence={fact: value for fact, value in facts.items() if value},
    )


def envelope(document: Any) -> tuple[list[Any], str]:
    """Alerts and status of a group, in the envelope that Alertmanager and Grafana share. Raises `Invalid`."""
    if not isinstance(document, dict):
        raise refuse("alerts", "The document must be an object with a list of alerts.")
    if not isinstance(document.get("alerts"), list):
        raise refuse("alerts", "Must be a list.")
    group = document.get("status")
    if group is not None and group not in (FIRING, RESOLVED):
        raise refuse("status", f"Must be {FIRING} or {RESOLVED}.")
    return document["alerts"], group or ""
