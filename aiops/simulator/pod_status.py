"""`status` of a pod, composed from what its containers do."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.simulator.defaults import qos_class
from aiops.simulator.objects import Obj, set_condition, timestamp

ORDER = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass
class ContainerRun:
    """One container's state as the kubelet knows it."""

    name: str
    spec: Obj
    state: Obj = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Obj = field(default_factory=dict)
    restarts: int = 0
    pulls: int = 0
    ready: bool = False
    container_id: str = ""
    image_pulled: bool = False

    @property
    def is_running(self) -> bool:
        return "running" in self.state

    @property
    def terminated(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.state.get("terminated")
        return found


def pod_status(pod: Obj, runs: Sequence[ContainerRun], *, started_at: str) -> Obj:
    old = pod.get("status", {})
    phase = _phase(pod, runs)
    node_number = _number(pod["spec"]["nodeName"])
    pod_ip = old.get("podIP") or f"10.244.{node_number % 256}.{_number(pod['metadata']['uid']) % 250 + 2}"
    host_ip = f"10.0.{node_number // 250}.{node_number % 250 + 10}"
    status: Obj = {"observedGeneration": pod["metadata"].get("generation", 1), "phase": phase}
    status["conditions"] = _conditions(pod, runs, phase)
    status |= {"hostIP": host_ip, "hostIPs": [{"ip": host_ip}]}
    if old.get("podIP") or not all(_is_creating(run) for run in runs):
        status |= {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
    status |= {"startTime": old.get("startTime", started_at)}
    status["containerStatuses"] = [_container_status(run) for run in runs]
    return status | {"qosClass": qos_class(pod["spec"])}


def _is_creating(run: ContainerRun) -> bool:
    return bool(run.state.get("waiting", {}).get("reason") == "ContainerCreating")


def _phase(pod: Obj, runs: Sequence[ContainerRun]) -> str:
    if pod["spec"]["restartPolicy"] != "Always":
        codes = [run.terminated["exitCode"] for run in runs if run.terminated is not None]
        if len(codes) == len(runs) and not any(codes):
            return "Succeeded"
        if len(codes) == len(runs) and pod["spec"]["restartPolicy"] == "Never":
            return "Failed"
    never_ran = all("waiting" in run.state and not run.last_state and not run.container_id for run in runs)
    return "Pending" if never_ran else "Running"


def _conditions(pod: Obj, runs: Sequence[ContainerRun], phase: str) -> list[Obj]:
    unready = [run.name for run in runs if not run.ready]
    why: Obj = {}
    if phase in ("Succeeded", "Failed"):
        why = {"reason": "PodCompleted" if phase == "Succeeded" else "PodFailed"}
    elif unready:
        why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    finished = phase in ("Succeeded", "Failed")
    conditions: list[Obj] = pod.get("status", {}).get("conditions") or []
    for kind, holds, details in (
        ("PodReadyToStartContainers", not finished, {}),
        ("Initialized", True, {}),
        ("Ready", not unready and not finished, why),
        ("ContainersReady", not unready and not finished, why),
        ("PodScheduled", True, {}),
    ):
        conditions = set_condition(conditions, _condition(pod, kind, holds, details))
    return sorted(conditions, key=lambda c: ORDER.index(c["type"]) if c["type"] in ORDER else len(ORDER))


def _condition(pod: Obj, kind: str, holds: bool, details: Obj) -> Obj:
    return {
        "type": kind,
        "observedGeneration": pod["metadata"].get("generation", 1),
        "status": "True" if holds else "False",
        "lastProbeTime": None,
        "lastTransitionTime": timestamp(),
    } | details


def _container_status(run: ContainerRun) -> Obj:
    image = run.spec["image"]
    resources: dict[str, Any] = run.spec.get("resources") or {}
    status: Obj = {
        "name": run.name,
        "state": run.state,
        "lastState": run.last_state,
        "ready": run.ready,
        "restartCount": run.restarts,
        "image": image,
        "imageID": f"{image.rpartition(':')[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"
        if run.image_pulled
        else "",
    }
    if run.container_id:
        status["containerID"] = run.container_id
    status["started"] = run.is_running
    if resources.get("requests"):
        status["allocatedResources"] = resources["requests"]
    return status | {"resources": resources}


def _number(name: str) -> int:
    """The number at the end of a node's name, or a stable one made from the whole name."""
    digits = "".join(c for c in name.rpartition("-")[2] if c.isdigit())
    return int(digits[:6]) if digits else int(hashlib.sha256(name.encode()).hexdigest()[:4], 16)
