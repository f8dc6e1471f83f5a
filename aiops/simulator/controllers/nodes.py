"""Node lifecycle: cordons, lost nodes, pressure, and what follows for the pods there."""

import asyncio

from aiops.simulator.controllers.base import Controller, Later
from aiops.simulator.deletion import delete
from aiops.simulator.objects import Obj, clone, is_terminating, set_condition, timestamp
from aiops.simulator.resources import NODE, POD
from aiops.simulator.world import World

SOURCE = "node-controller"
GRACE = 40.0  # cluster seconds without a heartbeat until a node counts as lost
HEARTBEAT = 300.0  # cluster seconds between status reports of a node to which nothing happens
EVICTION = 300.0  # default toleration of pods for a lost node
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
HEALTHY_REASONS = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("KubeletReady", "kubelet is posting ready status"),
}
PRESSURE_REASONS = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}
PRESSURE_TAINTS = {
    kind: f"node.kubernetes.io/{kind.removesuffix('Pressure').lower()}-pressure" for kind in PRESSURE_REASONS
}


class NodeController(Controller):
    kind = NODE.kind

    def __init__(self, world: World, later: Later) -> None:
        super().__init__(world, later)
        self._lost_since: dict[str, float] = {}
        self._heartbeat: asyncio.TimerHandle | None = None

    def reconcile(self, namespace: str, name: str) -> None:
        """Keep the taints in line with cordon, pressure and reachability; evict from nodes lost too long."""
        node = self.store.get(NODE, "", name)
        if node is None:
            return
        conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
        is_unreachable = conditions.get("Ready") == "Unknown"
        wanted = [(UNSCHEDULABLE, "NoSchedule")] if node["spec"].get("unschedulable") else []
        wanted += [(key, "NoSchedule") for kind, key in PRESSURE_TAINTS.items() if conditions.get(kind) == "True"]
        if is_unreachable:
            wanted += [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
        self._set_taints(node, wanted)
        if is_unreachable and name in self._lost_since:
            self._evict_overdue(name)

    def keep_beating(self) -> None:
        """Refresh the heartbeats of the reachable nodes, now and then for ever. Nodes made in bulk are left out: too many."""
        for node in self.store.all(NODE):
            name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
            if labels.get("pool") == "general" and not self.world.kubelet.is_lost(name):
                now = timestamp()
                conditions = [c | {"lastHeartbeatTime": now} for c in node["status"]["conditions"]]
                self.store.update(NODE, node | {"status": node["status"] | {"conditions": conditions}})
        self._heartbeat = self.world.clock.after(HEARTBEAT, self.keep_beating)

    def stop(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()

    def lose(self, name: str) -> None:
        """The machine stops answering. It counts as lost after the monitor's grace period."""
        self.store.fetch(NODE, "", name)
        self.world.kubelet.lost.add(name)
        self.world.clock.after(GRACE, self._declare_lost, name)

    def restore(self, name: str) -> None:
        """The machine is back: conditions as before, taints gone, pods report again."""
        self._lost_since.pop(name, None)
        node = clone(self.store.fetch(NODE, "", name))
        for kind, (reason, message) in HEALTHY_REASONS.items():
            status = str(kind == "Ready")
            node["status"]["conditions"] = set_condition(
                node["status"]["conditions"], node_condition(kind, status, reason, message)
            )
        self.store.update(NODE, node)
        self.event(node, "NodeReady", f"Node {name} status is now: NodeReady", "kubelet")
        self.world.kubelet.recover(name)

    def press(self, name: str, kind: str, *, is_high: bool = True) -> None:
        """Raise or lift one of MemoryPressure, DiskPressure and PIDPressure."""
        node = clone(self.store.fetch(NODE, "", name))
        reason, message = (PRESSURE_REASONS if is_high else HEALTHY_REASONS)[kind]
        changed = node_condition(kind, str(is_high), reason, message)
        node["status"]["conditions"] = set_condition(node["status"]["conditions"], changed)
        self.store.update(NODE, node)
        self.event(
            node,
            reason.removeprefix("Kubelet").replace("Has", "NodeHas"),
            f"Node {name} status is now: {reason}",
            "kubelet",
        )

    def _declare_lost(self, name: str) -> None:
        node = self.store.get(NODE, "", name)
        if node is None or not self.world.kubelet.is_lost(name):
            return
        self._lost_since[name] = self.world.clock.now()
        node = clone(node)
        for kind in HEALTHY_REASONS:
            changed = node_condition(kind, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
            old = next((c for c in node["status"]["conditions"] if c["type"] == kind), changed)
            changed["lastHeartbeatTime"] = old["lastHeartbeatTime"]
            node["status"]["conditions"] = set_condition(node["status"]["conditions"], changed)
        self.store.update(NODE, node)
        self.event(node, "NodeNotReady", f"Node {name} status is now: NodeNotReady", SOURCE)
        for pod in self._pods_on(name):
            self._mark_not_ready(pod)
        self.later(EVICTION + 1, self.kind, "", name)

    def _mark_not_ready(self, pod: Obj) -> None:
        updated = clone(pod)
        for found in updated["status"].get("conditions") or ():
            if found["type"] == "Ready" and found["status"] == "True":
                found |= {"status": "False", "lastTransitionTime": timestamp()}
        self.event(pod, "NodeNotReady", "Node is not ready", SOURCE, kind="Warning")
        self.store.update(POD, updated)

    def _evict_overdue(self, name: str) -> None:
        if self.world.clock.now() - self._lost_since[name] < EVICTION:
            return
        for pod in self._pods_on(name):
            tolerances = pod["spec"].get("tolerations") or ()
            stays = any(t.get("key") == UNREACHABLE and "tolerationSeconds" not in t for t in tolerances)
            if not stays and not is_terminating(pod):
                self.event(pod, "TaintManagerEviction", f"Marking for deletion Pod {pod['metadata']['namespace']}/"
                           f"{pod['metadata']['name']}", "taint-eviction-controller")  # fmt: skip
                delete(self.store, POD, pod)

    def _pods_on(self, node: str) -> list[Obj]:
        return [p for p in self.store.iterate(POD) if p["spec"].get("nodeName") == node]

    def _set_taints(self, node: Obj, wanted: list[tuple[str, str]]) -> None:
        old: list[Obj] = node["spec"].get("taints") or []
        ours = {UNREACHABLE, UNSCHEDULABLE, *PRESSURE_TAINTS.values()}
        kept = [t for t in old if t["key"] not in ours or (t["key"], t["effect"]) in wanted]
        present = {(t["key"], t["effect"]) for t in kept}
        added = [
            {"key": key, "effect": effect, "timeAdded": timestamp()}
            for key, effect in wanted
            if (key, effect) not in present
        ]
        taints = kept + added
        if taints != old:
            spec = {k: v for k, v in node["spec"].items() if k != "taints"} | ({"taints": taints} if taints else {})
            self.store.update(NODE, node | {"spec": spec})


def node_condition(kind: str, status: str, reason: str, message: str) -> Obj:
    now = timestamp()
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {"type": kind, "status": status} | times | {"reason": reason, "message": message}
