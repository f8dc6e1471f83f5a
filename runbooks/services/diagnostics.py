"""Answers the read-only `kubectl` steps by API calls of ours. Output is bounded and redacted; nothing here changes anything."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from aiops import quantities
from aiops.clients.errors import NotFound
from aiops.clients.kubernetes import KubernetesClient
from aiops.redaction import redact
from runbooks import kubectl, readable
from runbooks.actions import ActionRefused, Target
from runbooks.actions.base import read
from runbooks.actions.selectors import is_finished, is_ready, pods_of
from runbooks.kubectl import CommandError, Diagnostic, Reference, Verb

MOST_ROWS = 200  # objects shown of a list
MOST_EVENTS = 20
LONGEST_OUTPUT = 64_000  # characters
LOG_BYTES = 65_536
LONGEST_CELL = 120
ZERO = Decimal(0)


def run(*, client: KubernetesClient, command: str, target: Target) -> str:
    """The answer to a read-only command about `target`, for people.

    Raises `CommandError` when the command only makes sense otherwise, `ActionRefused` when the target has no pod that
    `$POD` could stand for, and the errors of the client.
    """
    parsed = kubectl.parse(command)
    if not isinstance(parsed, Diagnostic):
        raise CommandError("The command changes something; it is no diagnostic")
    question = _resolved(client, parsed, target)
    text = redact(ANSWERS[question.verb](client, question))
    if len(text) <= LONGEST_OUTPUT:
        return text
    # the last lines of a log tell most, of everything else the first
    return f"…\n{text[-LONGEST_OUTPUT:]}" if question.verb == Verb.LOGS else f"{text[:LONGEST_OUTPUT]}\n…"


# --- what the command is about -------------------------------------------------------------------------------------------


def _resolved(client: KubernetesClient, question: Diagnostic, target: Target) -> Diagnostic:
    """The same question with its placeholders filled in and its namespace set."""
    used = _placeholders(question)
    others, home = {}, target.namespace or "default"
    if used & {"POD", "CONTAINER"}:
        pod = sickest_pod(client, target)
        home = pod["metadata"]["namespace"]  # the pods of a node live anywhere
        others = {"POD": pod["metadata"]["name"], "CONTAINER": pod["spec"]["containers"][0]["name"]}
    values = kubectl.values_for(kind=target.kind, name=target.name, namespace=target.namespace, **others)

    def fill(text: str) -> str:
        return kubectl.substitute(text, values)

    reference = question.reference
    kind = fill(reference.kind)
    namespace = "" if kind in kubectl.CLUSTER_WIDE else fill(reference.namespace) or home
    return Diagnostic(
        question.verb,
        Reference(kind, fill(reference.name), namespace),
        selector=fill(question.selector),
        field_selector=fill(question.field_selector),
        output=question.output,
        container=fill(question.container),
        previous=question.previous,
        tail=question.tail,
        per_container=question.per_container,
    )


def _placeholders(question: Diagnostic) -> set[str]:
    reference = question.reference
    texts = (
        *(reference.kind, reference.name, reference.namespace),
        *(question.selector, question.field_selector, question.container),
    )
    return set().union(*map(kubectl.placeholders, texts))


def sickest_pod(client: KubernetesClient, target: Target) -> dict[str, Any]:
    """The pod of the target that tells most: not ready before ready, then most restarts. Raises `ActionRefused`."""
    pods = pods_of(client, read(client, target))
    if not pods:
        raise ActionRefused(f"{target} has no pods")
    return max(pods, key=_sickness)


def _sickness(pod: Mapping[str, Any]) -> tuple[bool, bool, int, str]:
    failed = (pod.get("status") or {}).get("phase") == "Failed"
    unready = not is_ready(pod) and not is_finished(pod)
    return failed, unready, _restarts(pod), str(pod["metadata"]["name"])


# --- answers -------------------------------------------------------------------------------------------------------------


def _get(client: KubernetesClient, question: Diagnostic) -> str:
    found = _found(client, question)
    if question.output in {"yaml", "json"}:
        return "---\n".join(readable.whole(obj) for obj in found)
    if question.output == "name":
        return "\n".join(f"{obj['kind'].lower()}/{obj['metadata']['name']}" for obj in found)
    return _table(question.reference.kind, found)


def _describe(client: KubernetesClient, question: Diagnostic) -> str:
    parts = []
    for obj in _found(client, question)[:MOST_EVENTS]:
        metadata = obj["metadata"]
        events = client.events(obj["kind"], metadata["name"], metadata.get("namespace"), limit=MOST_EVENTS)
        # what happened comes first: a long specification may be cut off where the output is kept
        parts.append(f"Events:\n{_event_lines(events)}\n\n{readable.whole(obj)}")
    return "\n---\n".join(parts)


def _logs(client: KubernetesClient, question: Diagnostic) -> str:
    reference = question.reference
    name = reference.name
    if reference.kind != "Pod":
        name = sickest_pod(client, Target(reference.kind, name, reference.namespace))["metadata"]["name"]
    return client.logs(
        name,
        reference.namespace,
        container=question.container or None,
        previous=question.previous,
        tail_lines=question.tail,
        limit_bytes=LOG_BYTES,
    )


def _top(client: KubernetesClient, question: Diagnostic) -> str:
    reference = question.reference
    kind = f"{reference.kind}Metrics"
    try:
        if reference.name:
            found = [client.get(kind, reference.name, reference.namespace or None)]
        else:
            listing = client.list(kind, reference.namespace or None, label_selector=question.selector or None)
            found = list(islice(listing, MOST_ROWS))
    except NotFound:
        return "No metrics: the cluster has none for it, or no metrics server"
    rows = [row for obj in found for row in _usage(obj, per_container=question.per_container)]
    header = ("POD", "CONTAINER", "CPU", "MEMORY") if reference.kind == "Pod" else ("NODE", "", "CPU", "MEMORY")
    return _columns([header, *rows])


def _rollout_status(client: KubernetesClient, question: Diagnostic) -> str:
    reference = question.reference
    obj = client.get(reference.kind, reference.name, reference.namespace)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    lines = [
        f"{reference.kind.lower()}/{reference.name}: generation {obj['metadata'].get('generation')}, "
        f"observed {status.get('observedGeneration')}"
    ]
    wanted = spec.get("replicas", status.get("desiredNumberScheduled"))
    for label, *members in ROLLOUT_COUNTS:
        count = next((status[member] for member in members if member in status), 0)
        lines.append(f"{label}: {count} of {wanted}")
    lines += [
        f"{item.get('type')}={item.get('status')} {item.get('reason', '')}: {item.get('message', '')}"
        for item in status.get("conditions") or []
    ]
    return "\n".join(lines)


ROLLOUT_COUNTS = (
    ("updated", "updatedReplicas", "updatedNumberScheduled"),
    ("ready", "readyReplicas", "numberReady"),
    ("available", "availableReplicas", "numberAvailable"),
)
ANSWERS: dict[Verb, Callable[[KubernetesClient, Diagnostic], str]] = {
    Verb.GET: _get,
    Verb.DESCRIBE: _describe,
    Verb.LOGS: _logs,
    Verb.TOP: _top,
    Verb.ROLLOUT_STATUS: _rollout_status,
}


# --- parts ---------------------------------------------------------------------------------------------------------------


def _found(client: KubernetesClient, question: Diagnostic) -> list[dict[str, Any]]:
    reference = question.reference
    if reference.name:
        return [client.get(reference.kind, reference.name, reference.namespace or None)]
    listing = client.list(
        reference.kind,
        reference.namespace or None,
        label_selector=question.selector or None,
        field_selector=question.field_selector or None,
    )
    return list(islice(listing, MOST_ROWS))


def _event_lines(events: Iterable[Mapping[str, Any]]) -> str:
    lines = [
        f"  {event.get('lastTimestamp') or event.get('eventTime') or '-'} {event.get('type')} {event.get('reason')} "
        f"(x{event.get('count') or 1}) {event.get('message')}"
        for event in events
    ]
    return "\n".join(lines) or "  none"


def _table(kind: str, found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return f"No {kind} found"
    columns = TABLES.get(kind, {"STATUS": _condition})
    rows = [
        ("NAME", *columns),
        *((obj["metadata"]["name"], *(str(show(obj)) for show in columns.values())) for obj in found),
    ]
    return _columns(rows) + (f"\n… only the first {MOST_ROWS} are shown" if len(found) == MOST_ROWS else "")


def _columns(rows: Sequence[Sequence[str]]) -> str:
    cut = [[cell[:LONGEST_CELL] for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cut
    )


def _usage(obj: Mapping[str, Any], *, per_container: bool) -> Iterator[tuple[str, str, str, str]]:
    measured = [obj] if "usage" in obj else obj.get("containers") or []
    rows = [(str(item.get("name") or ""), _amount(item, "cpu"), _amount(item, "memory")) for item in measured]
    if not per_container:
        rows = [("", sum((cpu for _, cpu, _ in rows), ZERO), sum((memory for *_, memory in rows), ZERO))]
    for container, cpu, memory in rows:
        yield obj["metadata"]["name"], container, quantities.cpu(cpu), quantities.memory(memory)


def _amount(measured: Mapping[str, Any], resource: str) -> Decimal:
    try:
        return quantities.parse(str((measured.get("usage") or {}).get(resource, "0")))
    except ValueError:  # a metrics server that answers nonsense
        return ZERO


def _restarts(pod: Mapping[str, Any]) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return sum(int(status.get("restartCount") or 0) for status in statuses)


def _pod_status(pod: Mapping[str, Any]) -> str:
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return str(waiting["reason"])
    return str(status.get("reason") or status.get("phase") or "Unknown")


def _ready_containers(pod: Mapping[str, Any]) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return f"{sum(bool(status.get('ready')) for status in statuses)}/{len(pod['spec'].get('containers') or [])}"


def _ready_replicas(obj: Mapping[str, Any]) -> str:
    status = obj.get("status") or {}
    wanted = (obj.get("spec") or {}).get("replicas", status.get("desiredNumberScheduled", 0))
    return f"{status.get('readyReplicas', status.get('numberReady', 0)) or 0}/{wanted}"


def _condition(obj: Mapping[str, Any]) -> str:
    """The phase, else the conditions that hold."""
    status = obj.get("status") or {}
    conditions = [str(item["type"]) for item in status.get("conditions") or [] if item.get("status") == "True"]
    return str(status.get("phase") or ",".join(conditions) or "-")


def _schedulable(node: Mapping[str, Any]) -> str:
    return "SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else "yes"


Column = Callable[[Mapping[str, Any]], Any]
REPLICAS: dict[str, Column] = {"READY": _ready_replicas, "STATUS": _condition}
TABLES: dict[str, dict[str, Column]] = {
    "Pod": {
        "READY": _ready_containers,
        "STATUS": _pod_status,
        "RESTARTS": _restarts,
        "NODE": lambda pod: (pod.get("spec") or {}).get("nodeName") or "-",
    },
    "Node": {"STATUS": _condition, "SCHEDULABLE": _schedulable},
    "Event": {
        "TYPE": lambda event: event.get("type"),
        "REASON": lambda event: event.get("reason"),
        "MESSAGE": lambda event: event.get("message"),
    },
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"), REPLICAS),
}
