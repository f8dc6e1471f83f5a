from aiops.simulator.controllers.base import Controller, drop_zeros
from aiops.simulator.deletion import delete
from aiops.simulator.objects import Obj, clone, is_finished, is_ready, is_terminating
from aiops.simulator.resources import DAEMON_SET, NODE, POD

SOURCE = "daemonset-controller"
HASH = "controller-revision-hash"
TOLERATED = (("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
             ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule"))  # fmt: skip
ANNOTATION = "deprecated.daemonset.template.generation"


class DaemonSetController(Controller):
    """One pod on every node that the node selector allows; updates replace one unavailable pod at a time."""

    kind = DAEMON_SET.kind

    def reconcile(self, namespace: str, name: str) -> None:
        owner = self.store.get(DAEMON_SET, namespace, name)
        if owner is None:
            return
        revision = self.revision_of(owner)["metadata"]["name"].rpartition("-")[2]
        nodes = {n["metadata"]["name"]: n for n in self.store.iterate(NODE) if self._wants(owner, n)}
        pods = self.store.children(owner, POD)
        taken = {p["spec"].get("nodeName"): p for p in pods}
        for node in nodes:
            if node not in taken:
                self._create(owner, node, revision)
        for pod in pods:
            if pod["spec"].get("nodeName") not in nodes or (is_finished(pod) and not is_terminating(pod)):
                delete(self.store, POD, pod)
        self._update(pods, revision)
        self._report(self.store.fetch(DAEMON_SET, namespace, name), len(nodes), revision)

    def _wants(self, owner: Obj, node: Obj) -> bool:
        selector = owner["spec"]["template"]["spec"].get("nodeSelector") or {}
        return selector.items() <= (node["metadata"].get("labels") or {}).items()

    def _create(self, owner: Obj, node: str, revision: str) -> None:
        template = clone(owner["spec"]["template"])
        template["spec"]["affinity"] = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
                    ]
                }
            }
        }
        template["spec"]["tolerations"] = (template["spec"].get("tolerations") or []) + [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect} for key, effect in TOLERATED
        ]
        generation = owner["metadata"].get("annotations", {}).get(ANNOTATION, "1")
        pod = self.create_pod(
            owner, template, labels={HASH: revision, "pod-template-generation": generation}, node=node
        )
        self.event(owner, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", SOURCE)

    def _update(self, pods: list[Obj], revision: str) -> None:
        outdated = [p for p in pods if p["metadata"]["labels"].get(HASH) != revision and not is_terminating(p)]
        if not outdated or any(is_terminating(p) for p in pods):
            return
        broken = [p for p in outdated if not is_ready(p)]
        everybody_else_serves = all(is_ready(p) for p in pods)
        if broken or everybody_else_serves:
            delete(self.store, POD, (broken or outdated)[0])

    def _report(self, owner: Obj, desired: int, revision: str) -> None:
        pods = [p for p in self.store.children(owner, POD) if not is_terminating(p)]
        ready = sum(map(is_ready, pods))
        status = {
            "currentNumberScheduled": len(pods),
            "numberMisscheduled": 0,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": owner["metadata"]["generation"],
            "updatedNumberScheduled": sum(p["metadata"]["labels"].get(HASH) == revision for p in pods),
            "numberAvailable": ready,
            "numberUnavailable": desired - ready,
        }
        optional = ("updatedNumberScheduled", "numberAvailable", "numberUnavailable")
        self.set_status(DAEMON_SET, owner, drop_zeros(status, *optional))
