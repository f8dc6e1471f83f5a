"""Takes samples of what is used: pods and nodes from the metrics API, volume claims from Prometheus.

Samples are added up as they come, per hour and day, so nothing has to be condensed later. What a cluster does not tell is
left out: no sample is not a sample of zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction

from aiops import quantities
from aiops.clients.errors import ClientError
from aiops.clients.kubernetes import KubernetesClient
from aiops.clients.prometheus import PrometheusClient
from analytics.models import Grain, Usage
from analytics.periods import HOUR, bucket_start, seconds_of
from federation import services as federation
from federation.models import Cluster
from incidents.detectors import ClusterView
from incidents.detectors.ownership import owner_of

logger = structlog.get_logger(__name__)

KEEP = {Grain.HOUR: 35 * 24, Grain.DAY: 400 * 24}  # hours
MOST_CLAIMS = 100  # of a cluster; each costs two questions to Prometheus
PRUNED = 20_000  # rows per call
NODE_POOL = "NodePool"
POOL_LABELS = (
    "karpenter.sh/nodepool", "cloud.google.com/gke-nodepool", "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool", "node.kubernetes.io/instance-type",
)  # fmt: skip
CLAIM = "PersistentVolumeClaim"
VOLUME = 'max(kubelet_volume_stats_{what}_bytes{{namespace="{namespace}",persistentvolumeclaim="{name}"}})'

Object = dict[str, Any]
Resource = tuple[str, str, str]  # namespace, kind, name


@dataclass(slots=True)
class Sample:
    """Millicores and bytes; a limit is None when a part of the resource has none."""

    cpu: int = 0
    memory: int = 0
    cpu_limit: int | None = 0
    memory_limit: int | None = 0

    def add(self, cpu: Decimal, memory: Decimal) -> None:
        self.cpu += int(cpu * 1000)
        self.memory += int(memory)

    def allow(self, cpu: Decimal | None, memory: Decimal | None) -> None:
        self.cpu_limit = None if cpu is None or self.cpu_limit is None else self.cpu_limit + int(cpu * 1000)
        self.memory_limit = None if memory is None or self.memory_limit is None else self.memory_limit + int(memory)


def sample(*, cluster: Cluster, at: datetime) -> int:
    """Look at the cluster once; returns the number of resources. What it refuses to tell is logged and left out."""
    found: dict[Resource, Sample] = {}
    try:
        client = federation.connect(cluster)
    except ClientError as error:
        logger.warning("usage_unknown", cluster=cluster.name, error=str(error)[:200])
        return 0
    for look in (workloads, node_pools, lambda client: _claims(client, cluster, at)):
        try:
            found |= look(client)
        except ClientError as error:  # who may not list pods may list nodes
            logger.warning("usage_unknown", cluster=cluster.name, error=str(error)[:200])
    store(cluster=cluster.name, samples=found, at=at)
    return len(found)


def workloads(client: KubernetesClient) -> dict[Resource, Sample]:
    """The running pods that the metrics API knows, added up by workload."""
    used = {_place(one): one for one in client.list("PodMetrics")}
    if not used:
        return {}
    found: dict[Resource, Sample] = defaultdict(Sample)
    pods = [pod for pod in client.list("Pod") if _place(pod) in used]
    view = ClusterView.of(pods)
    for pod in pods:
        owner = owner_of(pod, view)
        one = found[owner.namespace, owner.kind, owner.name]
        for container in used[_place(pod)].get("containers") or ():
            one.add(*_amounts(container.get("usage")))
        for container in (pod.get("spec") or {}).get("containers") or ():
            limits = (container.get("resources") or {}).get("limits") or {}
            one.allow(_amount(limits.get("cpu")), _amount(limits.get("memory")))
    return dict(found)


def node_pools(client: KubernetesClient) -> dict[Resource, Sample]:
    used = {_place(one): one for one in client.list("NodeMetrics")}
    found: dict[Resource, Sample] = defaultdict(Sample)
    for node in client.list("Node") if used else ():
        metrics = used.get(_place(node))
        if metrics is None:
            continue
        labels = (node.get("metadata") or {}).get("labels") or {}
        pool = next((str(labels[name]) for name in POOL_LABELS if labels.get(name)), "default")
        one = found["", NODE_POOL, pool]
        one.add(*_amounts(metrics.get("usage")))
        room = (node.get("status") or {}).get("allocatable") or {}
        one.allow(_amount(room.get("cpu")), _amount(room.get("memory")))
    return dict(found)


def _claims(client: KubernetesClient, cluster: Cluster, at: datetime) -> dict[Resource, Sample]:
    """The metrics API says nothing about volumes; kubelets tell Prometheus."""
    if not cluster.prometheus_url:
        return {}
    found: dict[Resource, Sample] = {}
    prometheus = PrometheusClient(cluster.prometheus_url)
    try:
        for number, claim in enumerate(client.list(CLAIM)):
            if number == MOST_CLAIMS:
                break
            namespace, name = _place(claim)
            used, room = (_value(prometheus, what, namespace, name, at) for what in ("used", "capacity"))
            if used is not None:
                found[namespace, CLAIM, name] = Sample(memory=int(used), cpu_limit=None, memory_limit=room)
    finally:
        prometheus.close()
    return found


def _value(prometheus: PrometheusClient, what: str, namespace: str, name: str, at: datetime) -> int | None:
    values = prometheus.query(VOLUME.format(what=what, namespace=namespace, name=name), at).finite
    return int(next(iter(values.values()))) if values else None


def _place(obj: Object) -> tuple[str, str]:
    metadata = obj.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _amounts(usage: Any) -> tuple[Decimal, Decimal]:
    usage = usage if isinstance(usage, dict) else {}
    return _amount(usage.get("cpu")) or Decimal(0), _amount(usage.get("memory")) or Decimal(0)


def _amount(text: Any) -> Decimal | None:
    try:
        return quantities.parse(str(text)) if text is not None else None
    except ValueError:
        return None


# --- storing -------------------------------------------------------------------------------------------------------------


@transaction.atomic
def store(*, cluster: str, samples: Mapping[Resource, Sample], at: datetime) -> None:
    """Add one sample of each resource to its hour and its day."""
    if not samples:
        return
    hour = seconds_of(at) // HOUR
    for grain in (Grain.HOUR, Grain.DAY):
        start = bucket_start(hour, grain)
        rows = Usage.objects.select_for_update().filter(grain=grain, start=start, cluster=cluster)
        known = {(row.namespace, row.kind, row.name): row for row in rows}
        fresh = [_row(cluster, grain, start, resource) for resource in samples if resource not in known]
        Usage.objects.bulk_create(
            [_added(row, samples[row.namespace, row.kind, row.name]) for row in fresh], ignore_conflicts=True
        )
        old = [_added(row, samples[resource]) for resource, row in known.items() if resource in samples]
        Usage.objects.bulk_update(old, ADDED, batch_size=500)


ADDED = ["samples", "cpu_sum", "cpu_max", "cpu_limit", "memory_sum", "memory_max", "memory_limit"]


def _row(cluster: str, grain: int, start: int, resource: Resource) -> Usage:
    namespace, kind, name = resource
    return Usage(grain=grain, start=start, cluster=cluster, namespace=namespace, kind=kind, name=name)


def _added(row: Usage, one: Sample) -> Usage:
    row.samples += 1
    row.cpu_sum += one.cpu
    row.cpu_max = max(row.cpu_max, one.cpu)
    row.memory_sum += one.memory
    row.memory_max = max(row.memory_max, one.memory)
    row.cpu_limit, row.memory_limit = one.cpu_limit or None, one.memory_limit or None
    return row


def prune(*, at: datetime) -> int:
    """Forget what is older than it is kept; a bounded number of rows per call."""
    hour = seconds_of(at) // HOUR
    return sum(_forget(grain, hour - kept) for grain, kept in KEEP.items())


def _forget(grain: int, before: int) -> int:
    old: Iterable[int] = Usage.objects.filter(grain=grain, start__lt=before).values_list("pk", flat=True)[:PRUNED]
    return Usage.objects.filter(pk__in=list(old)).delete()[0]
