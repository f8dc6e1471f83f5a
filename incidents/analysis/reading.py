"""Raw Kubernetes objects → facts. Foreign JSON: what has the wrong type reads as if it were absent."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from aiops import quantities
from aiops.redaction import SECRET_NAME, redact
from incidents.analysis.context import Event, Node, Pod, Revision, Run, Scaler, Template, Workload
from incidents.detectors import fields
from incidents.detectors.fields import Obj, integer, mapping, objects, parse_time, text

MAX_ENV = 200
MAX_VALUE = 80
REVISION = "deployment.kubernetes.io/revision"
# label or annotation → the tool that keeps the object as its repository or release says
MANAGERS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def pod_template(obj: Obj) -> Obj:
    """The pod template of a workload of any kind; a Pod is its own."""
    if obj.get("kind") == "Pod":
        return obj
    spec = fields.spec(obj)
    if obj.get("kind") == "CronJob":
        spec = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    return mapping(spec.get("template"))


def templates(template: Obj) -> tuple[Template, ...]:
    return tuple(_template(item) for item in objects(fields.spec(template).get("containers")))


def _template(item: Obj) -> Template:
    resources = mapping(item.get("resources"))
    command = [part for member in ("command", "args") for part in _strings(item.get(member))]
    return Template(
        name=text(item.get("name")),
        image=text(item.get("image")),
        command=tuple(redact(part)[:MAX_VALUE] for part in command[:20]),
        limits=_amounts(resources.get("limits")),
        requests=_amounts(resources.get("requests")),
        env=dict(_variable(entry) for entry in list(objects(item.get("env")))[:MAX_ENV]),
    )


def _amounts(value: object) -> Mapping[str, Decimal]:
    amounts = {}
    for name, amount in mapping(value).items():
        try:
            amounts[name] = quantities.parse(str(amount))
        except ValueError:
            continue
    return amounts


def _variable(entry: Obj) -> tuple[str, str]:
    """Name and what may be shown of the value: where it comes from, or the redacted text."""
    name = text(entry.get("name"))
    source = mapping(entry.get("valueFrom"))
    for member, what in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        reference = mapping(source.get(member))
        if reference:
            return name, f"from {what} {text(reference.get('name'))}"
    value = text(entry.get("value"))
    return name, "[REDACTED]" if value and SECRET_NAME.search(name) else redact(value)[:MAX_VALUE]


def config_maps(template: Obj) -> list[str]:
    """Names of the ConfigMaps that a pod template reads, each once."""
    spec = fields.spec(template)
    names = [text(mapping(volume.get("configMap")).get("name")) for volume in objects(spec.get("volumes"))]
    for container in objects(spec.get("containers")):
        names += [text(mapping(item.get("configMapRef")).get("name")) for item in objects(container.get("envFrom"))]
        sources = [mapping(item.get("valueFrom")) for item in objects(container.get("env"))]
        names += [text(mapping(source.get("configMapKeyRef")).get("name")) for source in sources]
    return list(dict.fromkeys(name for name in names if name))


def changed_at(obj: Obj) -> datetime | None:
    """When an object was written last, as far as its managed fields tell; else when it was made."""
    entries = objects(fields.metadata(obj).get("managedFields"))
    return fields.latest(fields.created_at(obj), *(parse_time(entry.get("time")) for entry in entries))


def workload(obj: Obj) -> Workload:
    spec, status, meta = fields.spec(obj), fields.status(obj), fields.metadata(obj)
    daemon = obj.get("kind") == "DaemonSet"
    wanted = status.get("desiredNumberScheduled") if daemon else spec.get("replicas")
    ready = status.get("numberReady" if daemon else "readyReplicas")
    return Workload(
        kind=text(obj.get("kind")),
        name=text(meta.get("name")),
        namespace=text(meta.get("namespace")),
        replicas=wanted if isinstance(wanted, int) else None,
        ready=integer(ready) if isinstance(wanted, int) else None,
        paused=spec.get("paused") is True or spec.get("suspend") is True,
        conditions={
            text(item.get("type")): (text(item.get("status")), text(item.get("reason")), _short(item.get("message")))
            for item in objects(status.get("conditions"))
        },
        templates=templates(pod_template(obj)),
        deadline_seconds=integer(spec.get("activeDeadlineSeconds")) or None,
        managed_by=managed_by(obj),
    )


def managed_by(obj: Obj) -> str:
    """ "Argo CD (shop)" and the like; empty when nobody but people changes the object."""
    marks = {**fields.annotations(obj), **fields.labels(obj)}
    for name, tool in MANAGERS.items():
        if text(marks.get(name)):
            return f"{tool} ({text(marks[name]).partition(':')[0][:63]})"
    return ""


def pod(obj: Obj) -> Pod:
    spec, status, meta = fields.spec(obj), fields.status(obj), fields.metadata(obj)
    conditions = {text(item.get("type")): item for item in objects(status.get("conditions"))}
    scheduled = conditions.get("PodScheduled", {})
    names = ("initContainerStatuses", "containerStatuses")
    return Pod(
        name=text(meta.get("name")),
        phase=text(status.get("phase")),
        reason=text(status.get("reason")),
        node=text(spec.get("nodeName")),
        ready=mapping(conditions.get("Ready")).get("status") == "True",
        deleting=fields.is_deleting(obj),
        finalizers=tuple(_strings(meta.get("finalizers"))[:10]),
        unschedulable=_short(scheduled.get("message")) if scheduled.get("status") == "False" else "",
        runs=tuple(_run(item) for name in names for item in objects(status.get(name))),
    )


def _run(item: Obj) -> Run:
    state, last = mapping(item.get("state")), mapping(item.get("lastState"))
    waiting = mapping(state.get("waiting"))
    ended = mapping(state.get("terminated")) or mapping(last.get("terminated"))
    exit_code = ended.get("exitCode")
    return Run(
        name=text(item.get("name")),
        ready=item.get("ready") is True,
        restarts=integer(item.get("restartCount")),
        waiting=text(waiting.get("reason")),
        message=_short(waiting.get("message") or ended.get("message")),
        ended=text(ended.get("reason")),
        exit_code=exit_code if isinstance(exit_code, int) else None,
    )


def badness(one: Pod) -> tuple[bool, bool, int, str]:
    """Sorts pods: those that fail first, then those that wait, then by restarts."""
    failing = any(run.waiting or run.ended for run in one.runs if not run.ready)
    return one.ready or one.phase == "Succeeded", not failing, -one.restarts, one.name


def revision_of_replica_set(obj: Obj) -> Revision:
    number = text(fields.annotations(obj).get(REVISION))
    return Revision(
        number=int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0,
        created_at=fields.created_at(obj),
        templates=templates(pod_template(obj)),
        ready=integer(fields.status(obj).get("readyReplicas")),
    )


def revision_of_controller(obj: Obj) -> Revision:
    """A ControllerRevision keeps the template as a patch under `data`."""
    data = mapping(obj.get("data"))
    return Revision(
        number=integer(obj.get("revision")),
        created_at=fields.created_at(obj),
        templates=templates(mapping(fields.spec(data).get("template"))),
    )


def node(obj: Obj) -> Node:
    conditions = {text(item.get("type")): item for item in objects(fields.status(obj).get("conditions"))}
    ready = mapping(conditions.get("Ready"))
    return Node(
        name=text(fields.metadata(obj).get("name")),
        ready=text(ready.get("status")),
        cordoned=fields.spec(obj).get("unschedulable") is True,
        pressures=tuple(name for name in PRESSURES if mapping(conditions.get(name)).get("status") == "True"),
        message=_short(ready.get("message")),
    )


def scaler(obj: Obj) -> Scaler:
    spec = fields.spec(obj)
    return Scaler(
        name=text(fields.metadata(obj).get("name")),
        low=integer(spec.get("minReplicas"), 1),
        high=integer(spec.get("maxReplicas")),
        current=integer(fields.status(obj).get("currentReplicas")),
    )


def warning(obj: Obj) -> Event | None:
    """The event if it is a warning, else None."""
    if obj.get("type") != "Warning":
        return None
    about, series = mapping(obj.get("involvedObject")), mapping(obj.get("series"))
    return Event(
        about=f"{text(about.get('kind'))}/{text(about.get('name'))}",
        reason=text(obj.get("reason")),
        message=_short(obj.get("message")),
        times=max(integer(obj.get("count"), 1), integer(series.get("count"))),
        at=fields.latest(*(parse_time(obj.get(name)) for name in ("lastTimestamp", "eventTime"))),
    )


def selects(selector: object, labels: Mapping[str, Any]) -> bool:
    """Whether a Service with this `spec.selector` sends to pods with `labels`; one without selector sends to none."""
    wanted = mapping(selector)
    return bool(wanted) and all(labels.get(name) == value for name, value in wanted.items())


def selector_text(obj: Obj) -> str:
    """The label selector of a workload in the form a list takes; empty when it has none that we could send."""
    selector = mapping(fields.spec(obj).get("selector"))
    parts = [f"{name}={value}" for name, value in mapping(selector.get("matchLabels")).items()]
    parts += list(_expressions(objects(selector.get("matchExpressions"))))
    return ",".join(parts)


def _expressions(items: Iterable[Obj]) -> Iterable[str]:
    for item in items:
        key, operator = text(item.get("key")), text(item.get("operator"))
        values = ",".join(_strings(item.get("values")))
        if operator in {"In", "NotIn"}:
            yield f"{key} {operator.lower()} ({values})"
        elif operator in {"Exists", "DoesNotExist"}:
            yield key if operator == "Exists" else f"!{key}"


def _strings(value: object) -> list[str]:
    return [item for item in value[: fields.MAX_ITEMS] if isinstance(item, str)] if isinstance(value, list) else []


def _short(value: object) -> str:
    return " ".join(redact(text(value)[:2_000]).split())[:500]
