"""Who owns the pods that alerts name. Asked of the cluster, but never waited for long: an alert is stored in any case."""

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from functools import cache
from itertools import islice
from typing import NamedTuple

import structlog

from aiops.clients.errors import ClientError, NotFound
from aiops.clients.kubernetes import KubernetesClient
from federation import services as federation
from federation.models import Cluster, Phase
from incidents.detectors.ownership import owner_of
from incidents.detectors.view import ClusterView

logger = structlog.get_logger(__name__)

PATIENCE = 2.0  # seconds for all clusters together
FEW = 3  # pods of a namespace that are asked for one by one; of more, the namespace is listed
MAX_PODS = 5_000  # of one namespace that are looked through
# what a Deployment's controller appends: a hash for the ReplicaSet and five characters for the pod, from a safe alphabet
GENERATED = re.compile(r"(?P<deployment>.+)-[bcdf-hj-np-tv-xz2456789]{6,10}-[bcdf-hj-np-tv-xz2456789]{5}")


class Pod(NamedTuple):
    cluster: str
    namespace: str
    name: str


class Owner(NamedTuple):
    kind: str
    name: str


def resolve(pods: Mapping[Pod, Cluster]) -> dict[Pod, Owner]:
    """The owners of the pods; where the cluster does not say in time, what the pod's name tells."""
    wanted: dict[tuple[int, str], set[str]] = defaultdict(set)
    for pod, cluster in pods.items():
        wanted[cluster.pk, pod.namespace].add(pod.name)
    clusters = {cluster.pk: cluster for cluster in pods.values()}
    deadline = time.monotonic() + PATIENCE
    answers = {
        place: _answer(future, deadline, clusters[place[0]], place[1])
        for place, future in _ask(clusters, wanted).items()
    }
    found = {}
    for pod, cluster in pods.items():
        owner = answers[cluster.pk, pod.namespace].get(pod.name) or by_name(pod.name)
        if owner is not None:
            found[pod] = owner
    return found


def by_name(pod: str) -> Owner | None:
    match = GENERATED.fullmatch(pod)
    return Owner("Deployment", match["deployment"]) if match else None


Answers = Mapping[str, Owner]


def _ask(
    clusters: Mapping[int, Cluster], wanted: Mapping[tuple[int, str], set[str]]
) -> dict[tuple[int, str], "Future[Answers] | None"]:
    asked: dict[tuple[int, str], Future[Answers] | None] = {}
    for (cluster_id, namespace), names in wanted.items():
        cluster = clusters[cluster_id]
        if cluster.phase in {Phase.DISCONNECTED, Phase.ERROR}:
            asked[cluster_id, namespace] = None
            continue
        try:
            client = federation.connect(cluster)
        except ClientError:
            asked[cluster_id, namespace] = None
            continue
        asked[cluster_id, namespace] = _pool().submit(_look, client, namespace, sorted(names))
    return asked


@cache
def _pool() -> ThreadPoolExecutor:
    """Few threads, started when the first alert about a pod comes; a cluster that hangs holds one for its time-out only."""
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="owners")


def _answer(future: "Future[Answers] | None", deadline: float, cluster: Cluster, namespace: str) -> Answers:
    if future is None:
        return {}
    try:
        return future.result(timeout=max(0.0, deadline - time.monotonic()))
    except (TooSlow, ClientError) as error:
        future.cancel()
        logger.info("owner_unknown", cluster=cluster.name, namespace=namespace, error=str(error) or "no answer in time")
        return {}


def _look(client: KubernetesClient, namespace: str, names: list[str]) -> Answers:
    view = ClusterView()
    pods = []
    if len(names) <= FEW:
        for name in names:
            try:
                pods.append(client.get("Pod", name, namespace))
            except NotFound:
                continue
    else:
        wanted = set(names)
        everything = islice(client.list("Pod", namespace), MAX_PODS)
        pods = [pod for pod in everything if pod.get("metadata", {}).get("name") in wanted]
    if any(_needs_parent(pod) for pod in pods):
        for kind in ("ReplicaSet", "Job"):
            for item in islice(client.list(kind, namespace), MAX_PODS):
                view.add(item)
    owners = {}
    for pod in pods:
        pod.setdefault("kind", "Pod")
        owner = owner_of(pod, view)
        owners[pod["metadata"]["name"]] = Owner(owner.kind, owner.name)
    return owners


def _needs_parent(pod: Mapping[str, object]) -> bool:
    metadata = pod.get("metadata")
    references = metadata.get("ownerReferences") if isinstance(metadata, dict) else None
    kinds = {reference.get("kind") for reference in references or () if isinstance(reference, dict)}
    return bool(kinds & {"ReplicaSet", "Job"})
