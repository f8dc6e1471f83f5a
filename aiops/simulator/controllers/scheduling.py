"""Which node a pod runs on: enough room, no cordon, no untolerated taint; of those the least loaded."""

from collections import Counter
from collections.abc import Callable

from aiops.simulator.controllers.base import Controller, Later
from aiops.simulator.objects import (
    Obj,
    clone,
    is_finished,
    is_terminating,
    quantity,
    requests_of,
    set_condition,
    timestamp,
)
from aiops.simulator.resources import CLAIM, NODE, POD
from aiops.simulator.store import Change
from aiops.simulator.world import World

SOURCE = "default-scheduler"
Usage = list[float]  # cores, bytes, pods


class Scheduler(Controller):
    kind = POD.kind

    def __init__(self, world: World, later: Later) -> None:
        super().__init__(world, later)
        self._usage: dict[str, Usage] = {}
        self._pending: dict[tuple[str, str], None] = {}

    def account(self, change: Change) -> None:
        """Keep the books: what the pods on each node have asked for."""
        before = change.before if change.before is not None and occupies(change.before) else None
        after = change.after if change.type != "DELETED" and occupies(change.after) else None
        if before is not None and after is not None and before["spec"] is after["spec"]:
            return
        for pod, sign in ((before, -1), (after, 1)):
            if pod is not None:
                usage = self._usage.setdefault(pod["spec"]["nodeName"], [0.0, 0.0, 0.0])
                cores, memory = requests_of(pod["spec"])
                for position, amount in enumerate((cores, memory, 1.0)):
                    usage[position] += sign * amount

    def retry_pending(self, enqueue: Callable[[str, str, str], None]) -> None:
        """Something became free: look at every pod that waits."""
        for namespace, name in self._pending:
            enqueue(POD.kind, namespace, name)

    def reconcile(self, namespace: str, name: str) -> None:
        pod = self.store.get(POD, namespace, name)
        if pod is None or pod["spec"].get("nodeName") or is_terminating(pod):
            self._pending.pop((namespace, name), None)
            return
        refusals = self._claim_refusals(pod)
        fitting: list[tuple[float, str]] = []
        nodes = 0
        for node in self.store.iterate(NODE):
            nodes += 1
            refusal = self._refusal(pod, node)
            if refusal:
                refusals[refusal] += 1
            else:
                fitting.append((self._load(node), node["metadata"]["name"]))
        if fitting and not self._claim_refusals(pod):
            self._pending.pop((namespace, name), None)
            self._bind(pod, min(fitting)[1])
        else:
            self._pending[namespace, name] = None
            self._mark_unschedulable(pod, nodes, refusals)

    def _claim_refusals(self, pod: Obj) -> "Counter[str]":
        refusals: Counter[str] = Counter()
        for volume in pod["spec"].get("volumes") or ():
            claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if not claim_name:
                continue
            claim = self.store.get(CLAIM, pod["metadata"]["namespace"], claim_name)
            if claim is None:
                refusals[f'persistentvolumeclaim "{claim_name}" not found'] = 1
            elif claim["status"].get("phase") != "Bound":
                refusals["pod has unbound immediate PersistentVolumeClaims"] = 1
        return refusals

    def _refusal(self, pod: Obj, node: Obj) -> str:
        """Why this node cannot take the pod; empty when it can."""
        spec = pod["spec"]
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        for taint in node["spec"].get("taints") or ():
            if taint["effect"] in ("NoSchedule", "NoExecute") and not tolerates(spec, taint):
                return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
        if not (spec.get("nodeSelector") or {}).items() <= (node["metadata"].get("labels") or {}).items():
            return "node(s) didn't match Pod's node affinity/selector"
        room, used = node["status"]["allocatable"], self._usage.get(node["metadata"]["name"], [0.0, 0.0, 0.0])
        cores, memory = requests_of(spec)
        if used[0] + cores > quantity(room["cpu"]):
            return "Insufficient cpu"
        if used[1] + memory > quantity(room["memory"]):
            return "Insufficient memory"
        return "Too many pods" if used[2] + 1 > quantity(room["pods"]) else ""

    def _load(self, node: Obj) -> float:
        used, room = self._usage.get(node["metadata"]["name"], [0.0, 0.0, 0.0]), node["status"]["allocatable"]
        return used[0] / quantity(room["cpu"]) + used[1] / quantity(room["memory"]) + used[2] / quantity(room["pods"])

    def _bind(self, pod: Obj, node: str) -> None:
        bound = clone(pod)
        bound["spec"]["nodeName"] = node
        scheduled = {
            "type": "PodScheduled",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(),
        }
        conditions = bound["status"].get("conditions") or []
        bound["status"]["conditions"] = set_condition(conditions, scheduled)
        metadata = pod["metadata"]
        self.event(
            pod, "Scheduled", f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}", SOURCE
        )
        self.store.update(POD, bound, keeps_generation=True)

    def _mark_unschedulable(self, pod: Obj, nodes: int, refusals: "Counter[str]") -> None:
        reasons = ", ".join(reason if "Claim" in reason or "claim" in reason else f"{n} {reason}"
                            for reason, n in sorted(refusals.items()))  # fmt: skip
        message = (
            f"0/{nodes} nodes are available: {reasons or 'no nodes available to schedule pods'}. "
            f"preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling."
        )
        failed = {
            "type": "PodScheduled",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(),
            "reason": "Unschedulable",
            "message": message,
        }
        updated = clone(pod)
        updated["status"]["conditions"] = set_condition(updated["status"].get("conditions") or [], failed)
        self.event(pod, "FailedScheduling", message, SOURCE, kind="Warning")
        self.store.update(POD, updated)


def occupies(pod: Obj) -> bool:
    return bool(pod["spec"].get("nodeName")) and not is_finished(pod)


def tolerates(pod_spec: Obj, taint: Obj) -> bool:
    return any(
        tolerance.get("effect") in (None, "", taint["effect"])
        and (
            (tolerance.get("operator") == "Exists" and tolerance.get("key") in (None, "", taint["key"]))
            or (tolerance.get("key") == taint["key"] and tolerance.get("value", "") == taint.get("value", ""))
        )
        for tolerance in pod_spec.get("tolerations") or ()
    )
