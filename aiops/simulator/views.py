"""How stored objects are shown: in the kind's own shape, alone or as a list item."""

from aiops.simulator.events import as_autoscaler_v1, as_events_v1
from aiops.simulator.objects import Obj, timestamp
from aiops.simulator.resources import AUTOSCALER_V1, EVENT_V1, NODE, POD, Resource
from aiops.simulator.selectors import as_text
from aiops.simulator.world import World


def shown(resource: Resource, obj: Obj) -> Obj:
    """A stored object in the shape of the group and version it was asked for in."""
    if resource is EVENT_V1:
        return as_events_v1(obj)
    if resource is AUTOSCALER_V1:
        return as_autoscaler_v1(obj)
    return obj


def list_item(resource: Resource, obj: Obj) -> Obj:
    """As in a list, where the list names kind and version once and its items do not."""
    return {key: value for key, value in shown(resource, obj).items() if key not in ("kind", "apiVersion")}


def scale_of(obj: Obj) -> Obj:
    """The `scale` subresource of a workload."""
    metadata = obj["metadata"]
    fields = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = obj["spec"].get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in fields},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": as_text(obj["spec"].get("selector")),
        },
    }


def pod_metrics(world: World, pod: Obj) -> Obj:
    """What the metrics API says about a running pod."""
    containers = []
    for container in pod["spec"]["containers"]:
        cores, memory = _usage(world, pod, container)
        usage = {"cpu": f"{int(cores * 1e9)}n", "memory": f"{int(memory) // 1024}Ki"}
        containers.append({"name": container["name"], "usage": usage})
    return {
        "kind": "PodMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": _metrics_metadata(pod),
        "timestamp": timestamp(),
        "window": "15s",
        "containers": containers,
    }


def node_metrics(world: World, node: Obj) -> Obj:
    """What the metrics API says about a node: the sum of its pods and what the system itself takes."""
    name = node["metadata"]["name"]
    cores, memory = 0.1, 600.0 * 2**20
    for pod in world.store.iterate(POD):
        if pod["spec"].get("nodeName") == name and pod.get("status", {}).get("phase") == "Running":
            for container in pod["spec"]["containers"]:
                more_cores, more_memory = _usage(world, pod, container)
                cores, memory = cores + more_cores, memory + more_memory
    return {
        "kind": "NodeMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": _metrics_metadata(node),
        "timestamp": timestamp(),
        "window": "20s",
        "usage": {"cpu": f"{int(cores * 1e9)}n", "memory": f"{int(memory) // 1024}Ki"},
    }


def measured(world: World, resource: Resource, namespace: str) -> list[Obj]:
    """The objects of a metrics list."""
    if resource.plural == "nodes":
        return [node_metrics(world, node) for node in world.store.all(NODE)]
    running = (p for p in world.store.all(POD, namespace) if p.get("status", {}).get("phase") == "Running")
    return [pod_metrics(world, pod) for pod in running]


def _usage(world: World, pod: Obj, container: Obj) -> tuple[float, float]:
    return world.images.usage(pod, container)


def _metrics_metadata(obj: Obj) -> Obj:
    metadata = {"name": obj["metadata"]["name"], "creationTimestamp": timestamp()}
    if "namespace" in obj["metadata"]:
        metadata["namespace"] = obj["metadata"]["namespace"]
    return metadata | {"labels": obj["metadata"].get("labels") or {}}
