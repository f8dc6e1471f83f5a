"""Small Kubernetes objects, healthy unless told otherwise. Times are offsets before NOON."""

from datetime import UTC, datetime, timedelta
from typing import Any

from incidents.detectors import ClusterView, Context, Finding, detect

NOON = datetime(2027, 4, 12, 12, 0, tzinfo=UTC)

Json = dict[str, Any]


def ago(**span: float) -> str:
    """`ago(minutes=5)`: that long before NOON, as the API writes it."""
    return (NOON - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def look(obj: Json, *others: Json, **context: Any) -> Finding:
    """The verdict on `obj` at noon in a cluster of it and `others`."""
    view = ClusterView.of([obj, *others])
    return detect(obj, Context(now=NOON, related=view, **context))


def conditions_in(finding: Finding) -> list[str]:
    return [signal.condition for signal in finding.signals]


def make_object(kind: str, name: str = "checkout", *, namespace: str = "shop", **members: Any) -> Json:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{kind}-{name}",
        "creationTimestamp": ago(days=1),
        **members.pop("metadata", {}),
    }
    return {"kind": kind, "metadata": metadata, **members}


def owned_by(kind: str, name: str) -> list[Json]:
    return [{"kind": kind, "name": name, "uid": f"uid-{kind}-{name}", "controller": True}]


def condition(kind: str, status: str = "True", reason: str = "", message: str = "", since: str | None = None) -> Json:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or ago(hours=2),
    }


def container_status(name: str = "web", **members: Any) -> Json:
    return {
        "name": name,
        "image": "registry.example/web:1",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": ago(hours=2)}},
        "lastState": {},
    } | members


def waiting(reason: str, message: str = "", **members: Any) -> Json:
    return container_status(ready=False, state={"waiting": {"reason": reason, "message": message}}, **members)


def ended(reason: str, code: int, finished: str | None = None, message: str = "") -> Json:
    return {
        "terminated": {"reason": reason, "exitCode": code, "finishedAt": finished or ago(minutes=1), "message": message}
    }


def make_pod(name: str = "checkout-1", *statuses: Json, ready: bool | None = None, **members: Any) -> Json:
    containers = list(statuses) or [container_status()]
    is_ready = all(one["ready"] for one in containers) if ready is None else ready
    status = {
        "phase": "Running",
        "startTime": ago(hours=2),
        "conditions": [
            condition("PodScheduled"),
            condition("Ready", "True" if is_ready else "False", "" if is_ready else "ContainersNotReady"),
        ],
        "containerStatuses": containers,
        **members.pop("status", {}),
    }
    spec = {
        "nodeName": "node-1",
        "containers": [{"name": one.get("name")} for one in containers],
        **members.pop("spec", {}),
    }
    return make_object("Pod", name, spec=spec, status=status, **members)


def make_event(about: Json, reason: str, message: str = "", *, at: str | None = None, **members: Any) -> Json:
    metadata = about["metadata"]
    involved = {
        "kind": about["kind"],
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{reason}", "namespace": metadata.get("namespace")},
        "involvedObject": involved,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": 1,
        "lastTimestamp": at or ago(minutes=1),
    } | members


def make_deployment(*, wanted: int = 3, available: int = 3, **members: Any) -> Json:
    status = {
        "replicas": wanted,
        "updatedReplicas": wanted,
        "readyReplicas": available,
        "availableReplicas": available,
        "observedGeneration": 2,
        "conditions": [condition("Available"), condition("Progressing", reason="NewReplicaSetAvailable")],
        **members.pop("status", {}),
    }
    spec = {"replicas": wanted, **members.pop("spec", {})}
    metadata = {"generation": 2, **members.pop("metadata", {})}
    return make_object("Deployment", metadata=metadata, spec=spec, status=status, **members)


def make_replica_set(
    name: str = "checkout-abc", *, wanted: int = 3, available: int = 3, owner: str = "checkout"
) -> Json:
    return make_object(
        "ReplicaSet",
        name,
        metadata={"ownerReferences": owned_by("Deployment", owner)} if owner else {},
        spec={"replicas": wanted},
        status={"replicas": wanted, "availableReplicas": available, "readyReplicas": available},
    )


def make_job(name: str = "import", *conditions: Json, **members: Any) -> Json:
    status = {"startTime": ago(minutes=10), "conditions": list(conditions), **members.pop("status", {})}
    return make_object("Job", name, spec={"backoffLimit": 6, **members.pop("spec", {})}, status=status, **members)


def make_cron_job(schedule: str = "0 * * * *", *, spec: Json | None = None, **status: Any) -> Json:
    return make_object("CronJob", "nightly", spec={"schedule": schedule, **(spec or {})}, status=status)


def make_node(name: str = "node-1", *conditions: Json, **members: Any) -> Json:
    healthy = [condition("Ready", reason="KubeletReady"), condition("MemoryPressure", "False")]
    status = {"conditions": list(conditions) or healthy, **members.pop("status", {})}
    return make_object("Node", name, namespace="", status=status, **members)


def make_claim(phase: str = "Bound", **members: Any) -> Json:
    spec = {"storageClassName": "fast", **members.pop("spec", {})}
    return make_object(
        "PersistentVolumeClaim", "data", spec=spec, status={"phase": phase, **members.pop("status", {})}, **members
    )


def make_autoscaler(*conditions: Json, low: int = 1, high: int = 5, current: int = 2, **members: Any) -> Json:
    return make_object(
        "HorizontalPodAutoscaler",
        spec={"minReplicas": low, "maxReplicas": high, "scaleTargetRef": {"kind": "Deployment", "name": "checkout"}},
        status={"currentReplicas": current, "desiredReplicas": current, "conditions": list(conditions)},
        **members,
    )
