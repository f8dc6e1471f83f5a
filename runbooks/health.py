"""Is a workload well? Pure: raw objects in, a verdict out. A rollout that has not been seen by its controller is not well yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runbooks.actions.selectors import is_ready

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """`score` is the share of what should be there that is, between 0 and 1; `reason` says what is missing."""

    ok: bool
    reason: str
    score: float


def of(obj: Object, pods: Sequence[Object]) -> Health:
    """The health of `obj`; `pods` are those that it controls. Kinds without rules of their own are judged by their pods."""
    rule = RULES.get(str(obj["kind"]))
    return rule(obj, pods) if rule else _by_pods(pods)


def restarts(pods: Sequence[Object]) -> dict[str, int]:
    """Restarts so far, per pod uid."""
    counted = {}
    for pod in pods:
        status = pod.get("status") or {}
        statuses = [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]
        counted[str(pod["metadata"]["uid"])] = sum(int(item.get("restartCount") or 0) for item in statuses)
    return counted


def _numbers(status: Object, *names: str) -> list[int]:
    return [int(status.get(name) or 0) for name in names]


def _is_observed(obj: Object, status: Object) -> bool:
    return int(status.get("observedGeneration") or 0) >= int(obj["metadata"].get("generation") or 0)


def _judged(obj: Object, status: Object, wanted: int, counts: Mapping[str, int]) -> Health:
    """`counts`: what must reach `wanted`, by its name."""
    good = min(counts.values(), default=wanted)
    score = 1.0 if wanted == 0 else min(good, wanted) / wanted
    if not _is_observed(obj, status):
        return Health(False, "the controller has not seen the change yet", score)
    missing = [f"{count} of {wanted} {name}" for name, count in counts.items() if count < wanted]
    return Health(not missing, ", ".join(missing) or f"{wanted} of {wanted} ready", score)


def _deployment(obj: Object, pods: Sequence[Object]) -> Health:
    status, wanted = obj.get("status") or {}, int(obj["spec"].get("replicas", 1))
    total, updated, ready, available = _numbers(
        status, "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"
    )
    verdict = _judged(obj, status, wanted, {"updated": updated, "ready": ready, "available": available})
    if verdict.ok and total > updated:
        return Health(False, f"{total - updated} old pods are not gone yet", verdict.score)
    return verdict


def _stateful_set(obj: Object, pods: Sequence[Object]) -> Health:
    status, wanted = obj.get("status") or {}, int(obj["spec"].get("replicas", 1))
    ready, updated = _numbers(status, "readyReplicas", "updatedReplicas")
    counts = {"ready": ready}
    strategy = obj["spec"].get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    if strategy.get("type") != "OnDelete" and not partition:
        counts["updated"] = updated
    return _judged(obj, status, wanted, counts)


def _daemon_set(obj: Object, pods: Sequence[Object]) -> Health:
    status = obj.get("status") or {}
    wanted, ready, available, updated = _numbers(
        status, "desiredNumberScheduled", "numberReady", "numberAvailable", "updatedNumberScheduled"
    )
    return _judged(obj, status, wanted, {"updated": updated, "ready": ready, "available": available})


def _job(obj: Object, pods: Sequence[Object]) -> Health:
    conditions = {item.get("type"): item.get("status") for item in (obj.get("status") or {}).get("conditions") or []}
    if conditions.get("Complete") == "True":
        return Health(True, "completed", 1.0)
    if conditions.get("Failed") == "True":
        return Health(False, "failed", 0.0)
    return Health(False, "still running", 0.5)


def _cron_job(obj: Object, pods: Sequence[Object]) -> Health:
    status = obj.get("status") or {}
    if obj["spec"].get("suspend") or status.get("lastSuccessfulTime") or status.get("active"):
        return Health(True, "suspended, running or has succeeded", 1.0)
    return Health(False, "has never succeeded", 0.0)


def _node(obj: Object, pods: Sequence[Object]) -> Health:
    conditions = {item.get("type"): item.get("status") for item in (obj.get("status") or {}).get("conditions") or []}
    if conditions.get("Ready") != "True":
        return Health(False, "not ready", 0.0)
    pressed = sorted(name for name, status in conditions.items() if status == "True" and name != "Ready")
    return Health(not pressed, ", ".join(pressed) or "ready", 0.5 if pressed else 1.0)


def _by_pods(pods: Sequence[Object]) -> Health:
    ready = sum(map(is_ready, pods))
    if not pods:
        return Health(False, "no pods", 0.0)
    return Health(ready == len(pods), f"{ready} of {len(pods)} pods ready", ready / len(pods))


RULES: dict[str, Callable[[Object, Sequence[Object]], Health]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "Node": _node,
}
