"""Manifests of the things that scenarios and tests put into a cluster."""

from aiops.simulator.controllers.nodes import HEALTHY_REASONS, node_condition
from aiops.simulator.objects import Obj

REGISTRY = "registry.example"


def namespace(name: str) -> Obj:
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}, "spec": {}}


def node(
    name: str, number: int, *, cpu: str = "8", memory: str = "32Gi", pods: str = "110", pool: str = "general"
) -> Obj:
    """A ready node."""
    room = {"cpu": cpu, "ephemeral-storage": "102609848Ki", "memory": memory, "pods": pods}
    network = f"10.{244 + number // 256}.{number % 256}.0/24"
    labels = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "pool": pool}
    conditions = [node_condition(kind, str(kind == "Ready"), *why) for kind, why in HEALTHY_REASONS.items()]
    addresses = [
        {"type": "InternalIP", "address": f"10.0.{number // 250}.{number % 250 + 10}"},
        {"type": "Hostname", "address": name},
    ]
    info = {
        "machineID": f"{number:032x}",
        "systemUUID": f"00000000-0000-4000-8000-{number:012x}",
        "bootID": f"10000000-0000-4000-8000-{number:012x}",
        "kernelVersion": "6.1.0",
        "osImage": "Simulated Linux",
        "containerRuntimeVersion": "containerd://2.1.4",
        "kubeletVersion": "v1.36.2",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
    status = {"capacity": room, "allocatable": room, "conditions": conditions, "addresses": addresses, "nodeInfo": info}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "spec": {"podCIDR": network, "podCIDRs": [network]},
        "status": status,
    }


def template(app: str, image: str, *, memory: str = "256Mi", request: str = "64Mi", probe: bool = True) -> Obj:
    container: Obj = {
        "name": "web",
        "image": image,
        "ports": [{"containerPort": 8080}],
        "resources": {"limits": {"cpu": "500m", "memory": memory}, "requests": {"cpu": "10m", "memory": request}},
    }
    if probe:
        container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": 8080}}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}}


def deployment(
    where: str, name: str, image: str, *, replicas: int = 3, memory: str = "256Mi", deadline: int = 600
) -> Obj:
    """A Deployment with one container `web`; `deadline` is its progressDeadlineSeconds."""
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": name, "namespace": where, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "progressDeadlineSeconds": deadline,
            "template": template(name, image, memory=memory),
        },
    }


def stateful_set(where: str, name: str, image: str, *, replicas: int = 2) -> Obj:
    return {
        "kind": "StatefulSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": name, "namespace": where, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, image),
        },
    }


def daemon_set(where: str, name: str, image: str) -> Obj:
    """A DaemonSet on the nodes of the general pool."""
    pods = template(name, image)
    pods["spec"]["nodeSelector"] = {"pool": "general"}
    return {
        "kind": "DaemonSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": name, "namespace": where, "labels": {"app": name}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": pods},
    }


def service(where: str, name: str) -> Obj:
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": where},
        "spec": {"selector": {"app": name}, "ports": [{"port": 8080}]},
    }


def job(where: str, name: str, image: str, *, backoff_limit: int = 1) -> Obj:
    pod = {"restartPolicy": "Never", "containers": [{"name": "job", "image": image}]}
    spec = {"backoffLimit": backoff_limit, "template": {"metadata": {}, "spec": pod}}
    metadata = {"name": name, "namespace": where}
    return {"kind": "Job", "apiVersion": "batch/v1", "metadata": metadata, "spec": spec}


def budget(where: str, name: str, *, min_available: int | str) -> Obj:
    """A PodDisruptionBudget for the pods labelled `app: name`."""
    return {
        "kind": "PodDisruptionBudget",
        "apiVersion": "policy/v1",
        "metadata": {"name": name, "namespace": where},
        "spec": {"minAvailable": min_available, "selector": {"matchLabels": {"app": name}}},
    }


def claim(where: str, name: str, *, storage_class: str) -> Obj:
    """A PersistentVolumeClaim; the simulated cluster knows the storage class `standard`."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
    }
    metadata = {"name": name, "namespace": where}
    return {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": metadata, "spec": spec}


def autoscaler(where: str, name: str, *, most: int, utilization: int = 0) -> Obj:
    """An autoscaler of the Deployment of the same name, whose pods are simulated to use so many percent of their CPU."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
    }
    annotations = {"aiops.simulator/utilization": str(utilization)}
    return {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "metadata": {"name": name, "namespace": where, "annotations": annotations},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": most,
            "metrics": [metric],
        },
    }


def storage_class(name: str) -> Obj:
    head = {"kind": "StorageClass", "apiVersion": "storage.k8s.io/v1", "metadata": {"name": name}}
    return head | {
        "provisioner": "simulated.example/volumes",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }
