from aiops.simulator.controllers.base import MAX_BURST, Controller, drop_zeros
from aiops.simulator.deletion import delete
from aiops.simulator.objects import Obj, is_active, is_ready, is_terminating
from aiops.simulator.resources import POD, REPLICA_SET

SOURCE = "replicaset-controller"


class ReplicaSetController(Controller):
    """Keeps as many pods as `spec.replicas` says and counts the ready ones."""

    kind = REPLICA_SET.kind

    def reconcile(self, namespace: str, name: str) -> None:
        replica_set = self.store.get(REPLICA_SET, namespace, name)
        if replica_set is None:
            return
        pods = self.store.children(replica_set, POD)
        active = [p for p in pods if is_active(p)]
        missing = replica_set["spec"]["replicas"] - len(active)
        for _ in range(min(missing, MAX_BURST)):
            pod = self.create_pod(replica_set, replica_set["spec"]["template"])
            self.event(replica_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", SOURCE)
        for pod in least_useful(active)[: min(max(-missing, 0), MAX_BURST)]:
            delete(self.store, POD, pod)
            self.event(replica_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}", SOURCE)
        self._report(replica_set)
        if abs(missing) > MAX_BURST:
            self.later(0, self.kind, namespace, name)

    def _report(self, replica_set: Obj) -> None:
        pods = self.store.children(replica_set, POD)
        active = [p for p in pods if is_active(p)]
        ready = sum(map(is_ready, active))
        status = {
            "replicas": len(active),
            "fullyLabeledReplicas": len(active),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "terminatingReplicas": sum(map(is_terminating, pods)),
            "observedGeneration": replica_set["metadata"]["generation"],
        }
        optional = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
        self.set_status(REPLICA_SET, replica_set, drop_zeros(status, *optional))


def least_useful(pods: list[Obj]) -> list[Obj]:
    """Which pods go first when there are too many: unscheduled, then not ready, then the newest."""
    newest_first = sorted(pods, key=lambda p: int(p["metadata"]["resourceVersion"]), reverse=True)
    return sorted(newest_first, key=lambda p: (bool(p["spec"].get("nodeName")), is_ready(p)))
