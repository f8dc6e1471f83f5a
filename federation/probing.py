"""One health check of one cluster through its API. Touches no database, so many run side by side in threads."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from aiops import quantities
from aiops.clients.errors import ClientError, ClientRefused, ClientUnavailable
from aiops.clients.kubernetes import KubernetesClient

CLASSES = {401: "auth", 403: "forbidden", 429: "quota"}
METRICS = "metrics-server"
# API group -> what a cluster can do that serves it
CAPABILITIES = {
    "argoproj.io": "argo-cd",
    "autoscaling.k8s.io": "vpa",
    "cert-manager.io": "cert-manager",
    "gateway.networking.k8s.io": "gateway-api",
    "helm.toolkit.fluxcd.io": "flux",
    "karpenter.sh": "karpenter",
    "keda.sh": "keda",
    "kustomize.toolkit.fluxcd.io": "flux",
    "monitoring.coreos.com": "prometheus",
    "networking.istio.io": "istio",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """What the nodes offer and use: millicores and bytes. None: not known, which is not zero."""

    cpu_millis: int | None = None
    memory_bytes: int | None = None


@dataclass(slots=True)
class Probe:
    """What a check found. `figures` are columns of the cluster, present only as far as they could be read."""

    at: datetime
    latency_ms: int | None = None
    error: ClientError | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def error_class(self) -> str:
        return classify(self.error) if self.error else ""


def classify(error: ClientError) -> str:
    """The kind of failure in one word: dns, connect, tls, timeout, auth, forbidden, quota, garbage, address, server."""
    if error.status is not None:
        return CLASSES.get(error.status, "server")
    return (error.reason or ("refused" if isinstance(error, ClientRefused) else "connect"))[:16]


def has_answered(error: ClientError) -> bool:
    """Whether something at the other end spoke, though not as it should."""
    return error.status is not None or error.reason == "garbage" or not isinstance(error, ClientUnavailable)


def probe(client: KubernetesClient, *, at: datetime, in_detail: bool) -> Probe:
    """Ask whether the API server is ready; `in_detail` also for version, nodes, counts and usage. Never raises."""
    found = Probe(at=at)
    began = time.monotonic()
    try:
        client.ping()
        found.latency_ms = int((time.monotonic() - began) * 1000)
        if in_detail:
            # /readyz may be open to all; only an answer to our credentials shows that they are still good
            found.figures["kubernetes_version"] = str(client.version().get("gitVersion") or "").removeprefix("v")[:64]
            found.figures |= _node_figures(client) | _counts(client)
            found.figures |= _capabilities(client, found.figures)
    except ClientError as error:
        found.error = error
    return found


def _node_figures(client: KubernetesClient) -> dict[str, Any]:
    offers: list[Mapping[str, Any]] = []
    ready = 0
    try:
        # a node is up to a hundred kilobytes once decoded: only what counts is kept of thousands
        for node in client.list("Node"):
            offers.append(_offer(node))
            ready += is_ready(node)
    except ClientRefused as error:
        if error.status == 401:
            raise
        return {}
    total = totals(offers)
    figures: dict[str, Any] = {
        "node_count": len(offers),
        "nodes_ready": ready,
        "cpu_capacity_millis": total.cpu_millis,
        "memory_capacity_bytes": total.memory_bytes,
        "pod_capacity": _sum(offers, "pods", 1),
    }
    return figures | _usage(client)


def _offer(node: Mapping[str, Any]) -> Mapping[str, Any]:
    allocatable = mapping(mapping(node.get("status")).get("allocatable"))
    return {name: allocatable.get(name) for name in ("cpu", "memory", "pods")}


def _usage(client: KubernetesClient) -> dict[str, Any]:
    """By the metrics API. Where there is none, or it is broken, usage is unknown."""
    try:
        used = totals([mapping(item.get("usage")) for item in client.list("NodeMetrics")])
    except (ClientRefused, ClientUnavailable):
        return {"cpu_used_millis": None, "memory_used_bytes": None}
    return {"cpu_used_millis": used.cpu_millis, "memory_used_bytes": used.memory_bytes}


def _capabilities(client: KubernetesClient, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What was found there. What cannot be asked at the moment stays as it is known."""
    try:
        groups = client.groups()
    except ClientError:
        return {}
    found = {CAPABILITIES[group] for group in groups & CAPABILITIES.keys()}
    if figures.get("cpu_used_millis") is not None:
        found.add(METRICS)
    return {"capabilities": sorted(found)}


def _counts(client: KubernetesClient) -> dict[str, Any]:
    figures = {}
    for kind, column in (("Namespace", "namespace_count"), ("Pod", "pod_count")):
        try:
            figures[column] = client.count(kind)
        except ClientRefused:
            continue
    return figures


def totals(amounts: list[Mapping[str, Any]]) -> Totals:
    """The sums of `cpu` and `memory` over all nodes; None when no node says, or one says something that is no quantity."""
    return Totals(_sum(amounts, "cpu", 1000), _sum(amounts, "memory", 1))


def _sum(amounts: list[Mapping[str, Any]], name: str, scale: int) -> int | None:
    if not amounts:
        return None
    total = Decimal(0)
    for amount in amounts:
        try:
            total += quantities.parse(str(amount.get(name)))
        except ValueError:
            return None
    value = int(total * scale)
    return value if 0 <= value < 2**63 else None


def is_ready(node: Mapping[str, Any]) -> bool:
    conditions = mapping(node.get("status")).get("conditions")
    return any(
        isinstance(one, dict) and one.get("type") == "Ready" and one.get("status") == "True"
        for one in (conditions if isinstance(conditions, list) else ())
    )


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
