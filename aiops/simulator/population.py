"""Large clusters in one go: objects stored as if they had settled long ago, so no controller has anything to do."""

from aiops.simulator import workloads
from aiops.simulator.cluster import CRASHING, Cluster
from aiops.simulator.controllers.deployments import HASH, REVISION
from aiops.simulator.defaults import apply_defaults, template_hash
from aiops.simulator.objects import Obj, clone, owner_reference, timestamp
from aiops.simulator.pod_status import ContainerRun, pod_status
from aiops.simulator.resources import DEPLOYMENT, NODE, POD, REPLICA_SET

PODS_PER_NODE = 110


def populate(
    cluster: Cluster, *, deployments: int, pods: int, nodes: int = 0, namespaces: int = 1, sick: int = 0
) -> None:
    """Add deployments with their pods shared out evenly over namespaces and nodes; the first `sick` pods crash-loop.

    `nodes` are added to those already there. Names start with `bulk-`. Kubelets take the pods over only when they are changed.
    """
    manager, store = cluster.manager, cluster.store
    was_paused, manager.is_paused = manager.is_paused, True
    try:
        for number in range(nodes):
            store.create(NODE, workloads.node(f"bulk-node-{number}", number + 100, pool="bulk"))
        for number in range(namespaces):
            cluster.apply(workloads.namespace(f"bulk-{number}"))
        hosts = [node["metadata"]["name"] for node in store.iterate(NODE)]
        made = 0
        for number in range(deployments):
            count = pods // deployments + (number < pods % deployments)
            broken = max(0, min(count, sick - made))
            first = Settled(cluster, number, f"bulk-{number % namespaces}", count, broken)
            first.create(hosts, made)
            made += count
    finally:
        manager.is_paused = was_paused


class Settled:
    """One deployment, its ReplicaSet and its pods as they are when nothing changes any more."""

    def __init__(self, cluster: Cluster, number: int, namespace: str, pods: int, sick: int) -> None:
        self.cluster, self.store = cluster, cluster.store
        self.name, self.namespace, self.pods, self.sick = f"bulk-{number:05}", namespace, pods, sick
        self.image = f"{workloads.REGISTRY}/bulk:{'broken' if sick else '1.0.0'}"

    def create(self, hosts: list[str], serial: int) -> None:
        if self.sick:
            self.cluster.images.describe(self.image, CRASHING)
        owner = self._replica_set(self._deployment())
        ready, broken = self._pod(owner, 0, is_sick=False), self._pod(owner, 0, is_sick=True)
        for position in range(self.pods):
            pod = broken if position < self.sick else ready
            host = hosts[(serial + position) % len(hosts)]
            self.store.create(POD, pod | {"spec": pod["spec"] | {"nodeName": host}})

    def _deployment(self) -> Obj:
        manifest = workloads.deployment(self.namespace, self.name, self.image, replicas=self.pods)
        made = apply_defaults(DEPLOYMENT, manifest)
        made["metadata"]["annotations"] = {REVISION: "1"}
        now, suffix = timestamp(), template_hash(made["spec"]["template"])
        times = {"lastUpdateTime": now, "lastTransitionTime": now}
        healthy = self.pods - self.sick
        enough = healthy >= self.pods - self.pods // 4
        available = {"type": "Available", "status": str(enough)} | times
        available |= {"reason": f"MinimumReplicas{'Available' if enough else 'Unavailable'}"}
        available["message"] = f"Deployment {'has' if enough else 'does not have'} minimum availability."
        progressing = {"type": "Progressing", "status": "True"} | times
        text = f'ReplicaSet "{self.name}-{suffix}" has successfully progressed.'
        progressing |= {"reason": "NewReplicaSetAvailable", "message": text}
        counts = {"readyReplicas": healthy, "availableReplicas": healthy, "unavailableReplicas": self.sick}
        made["status"] = {"observedGeneration": 1, "replicas": self.pods, "updatedReplicas": self.pods}
        made["status"] |= {key: value for key, value in counts.items() if value}
        made["status"] |= {"terminatingReplicas": 0, "conditions": [available, progressing]}
        return self.store.create(DEPLOYMENT, made)

    def _replica_set(self, deployment: Obj) -> Obj:
        suffix = template_hash(deployment["spec"]["template"])
        template = clone(deployment["spec"]["template"])
        labels = template["metadata"]["labels"] | {HASH: suffix}
        template["metadata"]["labels"] = labels
        healthy = self.pods - self.sick
        status = {"replicas": self.pods, "fullyLabeledReplicas": self.pods}
        status |= {"readyReplicas": healthy, "availableReplicas": healthy} if healthy else {}
        status |= {"terminatingReplicas": 0, "observedGeneration": 1}
        most = self.pods - (-self.pods // 4)
        annotations = {
            "deployment.kubernetes.io/desired-replicas": str(self.pods),
            "deployment.kubernetes.io/max-replicas": str(most),
            REVISION: "1",
        }
        metadata = {
            "name": f"{self.name}-{suffix}",
            "namespace": self.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)],
        }
        spec = {"replicas": self.pods, "selector": {"matchLabels": labels}, "template": template}
        return self.store.create(REPLICA_SET, {"metadata": metadata, "spec": spec, "status": status})

    def _pod(self, owner: Obj, number: int, *, is_sick: bool) -> Obj:
        template = clone(owner["spec"]["template"])
        template["spec"]["nodeName"] = f"node-{number}"
        metadata = {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": self.namespace,
            "uid": "",
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner_reference(owner)],
        }
        pod = apply_defaults(POD, {"metadata": metadata, "spec": template["spec"], "status": {}})
        runs = [_settled_run(container, is_sick=is_sick) for container in pod["spec"]["containers"]]
        return pod | {"status": pod_status(pod, runs, started_at=timestamp())}


def _settled_run(container: Obj, *, is_sick: bool) -> ContainerRun:
    now = timestamp()
    run = ContainerRun(container["name"], container, image_pulled=True, container_id="containerd://" + "0" * 64)
    if not is_sick:
        run.ready, run.state = True, {"running": {"startedAt": now}}
        return run
    run.restarts = 6
    ended = {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now, "containerID": run.container_id}
    run.last_state = {"terminated": ended}
    text = f"back-off 5m0s restarting failed container={run.name}"
    run.state = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
    return run
