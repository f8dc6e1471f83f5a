from aiops.simulator.controllers.base import Controller, drop_zeros
from aiops.simulator.deletion import delete
from aiops.simulator.objects import Obj, is_finished, is_ready, is_terminating
from aiops.simulator.resources import POD, STATEFUL_SET

SOURCE = "statefulset-controller"
HASH = "controller-revision-hash"


class StatefulSetController(Controller):
    """Pods with fixed names, one after the other; an update replaces them from the last to the first."""

    kind = STATEFUL_SET.kind

    def reconcile(self, namespace: str, name: str) -> None:
        owner = self.store.get(STATEFUL_SET, namespace, name)
        if owner is None:
            return
        revision = self.revision_of(owner)["metadata"]["name"]
        pods = {ordinal(p): p for p in self.store.children(owner, POD)}
        self._step(owner, pods, revision)
        self._report(self.store.fetch(STATEFUL_SET, namespace, name), revision)

    def _step(self, owner: Obj, pods: dict[int, Obj], revision: str) -> None:
        wanted = owner["spec"]["replicas"]
        is_ordered = owner["spec"]["podManagementPolicy"] == "OrderedReady"
        for number in range(wanted):
            pod = pods.get(number)
            if pod is None:
                self._create(owner, number, revision)
            elif is_finished(pod) and not is_terminating(pod):
                delete(self.store, POD, pod, grace=0)
            if is_ordered and (pod is None or not is_ready(pod) or is_terminating(pod)):
                break
        else:
            self._update(pods, wanted, revision)
        for number in sorted((n for n in pods if n >= wanted), reverse=True):
            if not is_terminating(pods[number]):
                self._delete(owner, pods[number])
            if is_ordered:
                break
        self._replace_broken(owner, pods, revision)

    def _update(self, pods: dict[int, Obj], wanted: int, revision: str) -> None:
        """Everybody is ready: replace the last pod that still runs the old template."""
        for number in reversed(range(wanted)):
            if number in pods and pods[number]["metadata"]["labels"].get(HASH) != revision:
                delete(self.store, POD, pods[number])
                return

    def _replace_broken(self, owner: Obj, pods: dict[int, Obj], revision: str) -> None:
        """A pod of an old template that is not ready would block its own repair for ever; the update takes it first.

        Kubernetes wants a person to delete such a pod; the simulated cluster is kinder, so that a changed template cures.
        """
        for pod in pods.values():
            if pod["metadata"]["labels"].get(HASH) != revision and not is_ready(pod) and not is_terminating(pod):
                delete(self.store, POD, pod)
                return

    def _create(self, owner: Obj, number: int, revision: str) -> None:
        name = f"{owner['metadata']['name']}-{number}"
        labels = {
            "apps.kubernetes.io/pod-index": str(number),
            HASH: revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        template = owner["spec"]["template"]
        identity = {"hostname": name, "subdomain": owner["spec"].get("serviceName", "")}
        template = template | {"spec": template["spec"] | identity}
        self.create_pod(owner, template, name=name, labels=labels)
        text = f"Create Pod {name} in StatefulSet {owner['metadata']['name']} successful"
        self.event(owner, "SuccessfulCreate", text, SOURCE)

    def _delete(self, owner: Obj, pod: Obj) -> None:
        delete(self.store, POD, pod)
        text = f"Delete Pod {pod['metadata']['name']} in StatefulSet {owner['metadata']['name']} successful"
        self.event(owner, "SuccessfulDelete", text, SOURCE)

    def _report(self, owner: Obj, revision: str) -> None:
        pods = [p for p in self.store.children(owner, POD) if not is_terminating(p)]
        updated = [p for p in pods if p["metadata"]["labels"].get(HASH) == revision]
        ready = sum(map(is_ready, pods))
        old = owner.get("status", {})
        is_updated = len(updated) == len(pods) == owner["spec"]["replicas"] and ready == len(pods)
        current = revision if is_updated else old.get("currentRevision", revision)
        status = {
            "observedGeneration": owner["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "currentReplicas": sum(p["metadata"]["labels"].get(HASH) == current for p in pods),
            "updatedReplicas": len(updated),
            "currentRevision": current,
            "updateRevision": revision,
            "collisionCount": 0,
            "availableReplicas": ready,
        }
        self.set_status(STATEFUL_SET, owner, drop_zeros(status, "readyReplicas", "currentReplicas", "updatedReplicas"))


def ordinal(pod: Obj) -> int:
    digits = pod["metadata"]["name"].rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1
