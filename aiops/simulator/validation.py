"""Refusals of objects that a real API server would refuse, limited to what people and actions get wrong."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from aiops.simulator import problems
from aiops.simulator.objects import Obj, quantity
from aiops.simulator.resources import Resource
from aiops.simulator.selectors import matches_selector

Cause = tuple[str, str, str]  # reason, field, message

_NAME = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)

# Types of the fields that patches touch; anything else is stored as it came.
_NUMBER, _BOOL, _OBJECT, _LIST, _STRING = int, bool, dict, list, str
FIELD_TYPES: dict[str, dict[str, type]] = {
    "Deployment": {"replicas": _NUMBER, "paused": _BOOL, "selector": _OBJECT, "template": _OBJECT, "strategy": _OBJECT,
                   "revisionHistoryLimit": _NUMBER, "progressDeadlineSeconds": _NUMBER, "minReadySeconds": _NUMBER},
    "ReplicaSet": {"replicas": _NUMBER, "selector": _OBJECT, "template": _OBJECT, "minReadySeconds": _NUMBER},
    "StatefulSet": {"replicas": _NUMBER, "selector": _OBJECT, "template": _OBJECT, "serviceName": _STRING},
    "DaemonSet": {"selector": _OBJECT, "template": _OBJECT, "minReadySeconds": _NUMBER},
    "Job": {"parallelism": _NUMBER, "completions": _NUMBER, "backoffLimit": _NUMBER, "suspend": _BOOL,
            "template": _OBJECT, "selector": _OBJECT, "activeDeadlineSeconds": _NUMBER,
            "ttlSecondsAfterFinished": _NUMBER},
    "CronJob": {"schedule": _STRING, "suspend": _BOOL, "jobTemplate": _OBJECT},
    "Node": {"unschedulable": _BOOL, "taints": _LIST},
    "HorizontalPodAutoscaler": {"minReplicas": _NUMBER, "maxReplicas": _NUMBER, "scaleTargetRef": _OBJECT},
    "Pod": {"containers": _LIST, "nodeName": _STRING, "restartPolicy": _STRING},
}  # fmt: skip
_GO_TYPES: dict[type, str] = {
    int: "int32",
    bool: "bool",
    dict: "v1.LabelSelector",
    list: "[]v1.Container",
    str: "string",
}
_JSON_TYPES: dict[type, str] = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    dict: "object",
    list: "array",
}

NON_NEGATIVE = ("replicas", "parallelism", "completions", "backoffLimit", "progressDeadlineSeconds", "minReadySeconds",
                "revisionHistoryLimit", "ttlSecondsAfterFinished")  # fmt: skip


def check_types(resource: Resource, obj: Obj) -> str:
    """The decoder's complaint about the first field of a wrong type; empty when all fit."""
    for part in ("metadata", "spec", "status"):
        if part in obj and not isinstance(obj[part], dict):
            return _complaint(obj[part], f"{resource.kind}.{part}", f"v1.{resource.kind}{part.title()}")
    for part in ("labels", "annotations"):
        values = obj["metadata"].get(part) or {}
        wrong = [v for v in values.values() if not isinstance(v, str)] if isinstance(values, dict) else [values]
        if wrong:
            return _complaint(wrong[0], f"ObjectMeta.metadata.{part}", "string")
    spec = obj.get("spec") or {}
    for field, wanted in FIELD_TYPES.get(resource.kind, {}).items():
        value = spec.get(field)
        if value is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
            return _complaint(value, f"{resource.kind}Spec.spec.{field}", _GO_TYPES[wanted])
    return _check_containers(spec)


def _check_containers(spec: Obj) -> str:
    template = spec.get("template", {})
    pod_spec = template.get("spec", spec) if isinstance(template, dict) else spec
    for container in (pod_spec.get("containers") or ()) if isinstance(pod_spec, dict) else ():
        if not isinstance(container, dict):
            return _complaint(container, "PodSpec.containers", "v1.Container")
        for field, wanted in (("name", str), ("image", str), ("resources", dict)):
            if field in container and not isinstance(container[field], wanted):
                return _complaint(container[field], f"Container.containers.{field}", _GO_TYPES.get(wanted, "string"))
        for values in (container.get("resources") or {}).values():
            for amount in values.values() if isinstance(values, dict) else ():
                if complaint := _check_quantity(amount):
                    return complaint
    return ""


def _check_quantity(amount: Any) -> str:
    try:
        quantity(amount)
    except (ValueError, TypeError, AttributeError):
        return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    return ""


def _complaint(value: Any, where: str, go_type: str) -> str:
    return (
        f"json: cannot unmarshal {_JSON_TYPES.get(type(value), 'null')} into Go struct field {where} of type {go_type}"
    )


def validate(resource: Resource, obj: Obj, before: Obj | None) -> None:
    """Raise a 422 problem when the object breaks a rule of its kind; `before` is the object it replaces, if any."""
    complaint = check_types(resource, obj)
    if complaint:
        document = orjson.dumps(before or obj).decode()
        if before is not None:
            raise problems.undecodable(document, complaint)
        raise problems.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {complaint}'
        )
    causes = [
        *_metadata_causes(obj),
        *_number_causes(obj),
        *_pod_causes(resource, obj),
        *_selector_causes(resource, obj),
    ]
    if before is None:
        causes += _job_causes(resource, obj)
    else:
        causes += _immutable_causes(resource, obj, before)
    if causes:
        raise problems.invalid(resource, obj["metadata"].get("name", ""), causes)


def _metadata_causes(obj: Obj) -> Iterator[Cause]:
    metadata = obj["metadata"]
    name = metadata.get("name") or metadata.get("generateName", "").rstrip("-.")
    if not name:
        yield "FieldValueRequired", "metadata.name", "Required value: name or generateName is required"
    elif not _NAME.match(name):
        yield "FieldValueInvalid", "metadata.name", f'Invalid value: "{name}": {_NAME_RULE}'


def _number_causes(obj: Obj) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    for field in NON_NEGATIVE:
        value = spec.get(field)
        if isinstance(value, int) and value < 0:
            yield "FieldValueInvalid", f"spec.{field}", f"Invalid value: {value}: must be greater than or equal to 0"
    least, most = spec.get("minReplicas"), spec.get("maxReplicas")
    if isinstance(most, int) and most < 1:
        yield "FieldValueInvalid", "spec.maxReplicas", f"Invalid value: {most}: must be greater than 0"
    elif isinstance(least, int) and isinstance(most, int) and most < least:
        yield (
            "FieldValueInvalid",
            "spec.maxReplicas",
            f"Invalid value: {most}: must be greater than or equal to `minReplicas`",
        )


def _pod_causes(resource: Resource, obj: Obj) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if resource.kind == "Pod":
        yield from _container_causes(spec, "spec")
    elif resource.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"):
        yield from _container_causes(spec.get("template", {}).get("spec") or {}, "spec.template.spec")


def _container_causes(pod_spec: Obj, where: str) -> Iterator[Cause]:
    containers = pod_spec.get("containers") or []
    if not containers:
        yield "FieldValueRequired", f"{where}.containers", "Required value"
    for position, container in enumerate(containers):
        field = f"{where}.containers[{position}]"
        for needed in ("name", "image"):
            if not container.get(needed):
                yield "FieldValueRequired", f"{field}.{needed}", "Required value"
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for kind, limit in limits.items():
            asked = requests.get(kind)
            if asked is not None and quantity(asked) > quantity(limit):
                message = f'Invalid value: "{asked}": must be less than or equal to {kind} limit of {limit}'
                yield "FieldValueInvalid", f"{field}.resources.requests", message


def _selector_causes(resource: Resource, obj: Obj) -> Iterator[Cause]:
    if resource.kind not in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        return
    spec = obj.get("spec") or {}
    labels = spec.get("template", {}).get("metadata", {}).get("labels") or {}
    if not spec.get("selector"):
        yield "FieldValueRequired", "spec.selector", "Required value"
    elif not matches_selector(spec["selector"], labels):
        shown = ",".join(f'"{k}":"{v}"' for k, v in sorted(labels.items()))
        yield (
            "FieldValueInvalid",
            "spec.template.metadata.labels",
            f"Invalid value: {{{shown}}}: `selector` does not match template `labels`",
        )


def _job_causes(resource: Resource, obj: Obj) -> Iterator[Cause]:
    """A copied job still carries the selector and labels of the original's uid; the server wants to generate them."""
    spec = obj.get("spec") or {}
    if resource.kind != "Job" or spec.get("manualSelector"):
        return
    if spec.get("selector"):
        shown = orjson.dumps(spec["selector"]).decode()
        yield "FieldValueInvalid", "spec.selector", f"Invalid value: {shown}: `selector` not auto-generated"
    labels = spec.get("template", {}).get("metadata", {}).get("labels") or {}
    for label in ("controller-uid", "batch.kubernetes.io/controller-uid"):
        if label in labels:
            shown = orjson.dumps(labels).decode()
            yield (
                "FieldValueInvalid",
                "spec.template.metadata.labels",
                f"Invalid value: {shown}: must be the uid of the job in {label}",
            )


def _immutable_causes(resource: Resource, obj: Obj, before: Obj) -> Iterator[Cause]:
    fields = {
        "Deployment": ("selector",),
        "ReplicaSet": ("selector",),
        "DaemonSet": ("selector",),
        "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
        "Job": ("selector", "template", "completionMode"),
    }.get(resource.kind, ())
    was, now = before.get("spec") or {}, obj.get("spec") or {}
    for field in fields:
        if was.get(field) != now.get(field):
            shown = orjson.dumps(now.get(field)).decode()
            yield "FieldValueInvalid", f"spec.{field}", f"Invalid value: {shown}: field is immutable"
    if resource.kind == "Pod" and _frozen_pod(was) != _frozen_pod(now):
        yield (
            "FieldValueForbidden",
            "spec",
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
            "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        )


def _frozen_pod(spec: Obj) -> Obj:
    changeable = ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds")
    frozen = {name: value for name, value in spec.items() if name not in changeable}
    frozen["containers"] = [{k: v for k, v in c.items() if k != "image"} for c in spec.get("containers") or ()]
    return frozen
