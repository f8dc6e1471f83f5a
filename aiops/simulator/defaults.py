"""What the API server fills in when a manifest leaves it out."""

from collections.abc import Callable
from typing import Any

from aiops.simulator.objects import NAME_CHARACTERS, Obj, clone
from aiops.simulator.resources import Resource

TOLERATIONS: list[Obj] = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


def apply_defaults(resource: Resource, obj: Obj) -> Obj:
    """A copy with the defaults of its kind filled in. Parts of the wrong type are left for validation to refuse."""
    filled = clone(obj)
    fill = _FILLERS.get(resource.kind)
    if fill and isinstance(filled.get("spec"), dict):
        fill(filled)
    return filled


def template_hash(template: Obj) -> str:
    """The `pod-template-hash` of a template: FNV-1a over its canonical text, written in safe characters."""
    value = 0x811C9DC5
    for byte in repr(_canonical(template)).encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(NAME_CHARACTERS[ord(digit) % len(NAME_CHARACTERS)] for digit in str(value))


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _canonical(item)) for key, item in sorted(value.items())]
    return [_canonical(item) for item in value] if isinstance(value, list) else value


def label_job(job: Obj) -> None:
    """Tie a new job to its pods by its uid, in place: selector and labels, unless the manifest manages them itself."""
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector"):
        return
    uid, name = metadata["uid"], metadata["name"]
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    labels |= {"controller-uid": uid, "job-name": name}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = (template.get("labels") or {}) | labels
    metadata["labels"] = dict(template["labels"]) | (metadata.get("labels") or {})


def _container(container: Obj) -> None:
    container.setdefault("resources", {})
    limits, requests = container["resources"].get("limits"), container["resources"].get("requests")
    if isinstance(limits, dict):
        container["resources"]["requests"] = {**limits, **(requests or {})}
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        if isinstance(container.get(probe), dict):
            _probe(container[probe])
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    image = str(container.get("image", ""))
    latest = image.endswith(":latest") or ":" not in image.rpartition("/")[2]
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")


def _probe(probe: Obj) -> None:
    if isinstance(probe.get("httpGet"), dict):
        probe["httpGet"].setdefault("scheme", "HTTP")
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        probe.setdefault(field, value)


def _pod_spec(spec: Any) -> None:
    if not isinstance(spec, dict):
        return
    for group in ("containers", "initContainers"):
        containers = spec.get(group)
        for container in containers if isinstance(containers, list) else ():
            if isinstance(container, dict):
                _container(container)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")


def _template(spec: Obj) -> None:
    if isinstance(spec.get("template"), dict):
        spec["template"].setdefault("metadata", {})
        _pod_spec(spec["template"].get("spec"))


def _pod(obj: Obj) -> None:
    spec = obj["spec"]
    _pod_spec(spec)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("tolerations", clone({"t": TOLERATIONS})["t"])
    spec.setdefault("priority", 0)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    obj.setdefault("status", {"phase": "Pending", "qosClass": qos_class(spec)})


def _deployment(obj: Obj) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    _template(spec)
    strategy = spec.setdefault("strategy", {})
    if isinstance(strategy, dict) and strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    obj.setdefault("status", {})


def _replica_set(obj: Obj) -> None:
    obj["spec"].setdefault("replicas", 1)
    _template(obj["spec"])
    obj.setdefault("status", {"replicas": 0})


def _stateful_set(obj: Obj) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    _template(spec)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"})
    obj.setdefault("status", {"replicas": 0, "availableReplicas": 0})


def _daemon_set(obj: Obj) -> None:
    spec = obj["spec"]
    _template(spec)
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    spec.setdefault("revisionHistoryLimit", 10)
    generation = str(obj["metadata"].get("generation", 1))
    obj["metadata"].setdefault("annotations", {})["deprecated.daemonset.template.generation"] = generation
    counts = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    obj.setdefault("status", dict.fromkeys(counts, 0))


def _job(obj: Obj) -> None:
    spec = obj["spec"]
    for field, value in (("parallelism", 1), ("completions", 1), ("backoffLimit", 6), ("manualSelector", False)):
        spec.setdefault(field, value)
    _template(spec)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")
    obj.setdefault("status", {})


def _cron_job(obj: Obj) -> None:
    spec = obj["spec"]
    for field, value in (("concurrencyPolicy", "Allow"), ("suspend", False), ("successfulJobsHistoryLimit", 3),
                         ("failedJobsHistoryLimit", 1)):  # fmt: skip
        spec.setdefault(field, value)
    _template(spec.get("jobTemplate", {}).get("spec", {}))
    obj.setdefault("status", {})


def _claim(obj: Obj) -> None:
    obj["metadata"].setdefault("finalizers", ["kubernetes.io/pvc-protection"])
    obj["spec"].setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {"phase": "Pending"})


def _autoscaler(obj: Obj) -> None:
    obj["spec"].setdefault("minReplicas", 1)
    obj.setdefault("status", {"currentReplicas": 0, "desiredReplicas": 0, "currentMetrics": None})


def _service(obj: Obj) -> None:
    spec = obj["spec"]
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    for field, value in (("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster")):
        spec.setdefault(field, value)
    obj.setdefault("status", {"loadBalancer": {}})


def _namespace(obj: Obj) -> None:
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    obj["spec"].setdefault("finalizers", ["kubernetes"])
    obj.setdefault("status", {"phase": "Active"})


def qos_class(pod_spec: Obj) -> str:
    """The quality-of-service class that follows from requests and limits."""
    guaranteed, any_set = True, False
    for container in pod_spec.get("containers") or ():
        limits = container.get("resources", {}).get("limits") or {}
        requests = container.get("resources", {}).get("requests") or {}
        any_set = any_set or bool(limits or requests)
        for kind in ("cpu", "memory"):
            guaranteed = guaranteed and kind in limits and requests.get(kind) == limits[kind]
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


_FILLERS: dict[str, Callable[[Obj], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "PersistentVolumeClaim": _claim,
    "HorizontalPodAutoscaler": _autoscaler,
    "Service": _service,
    "Namespace": _namespace,
}
