"""Readiness of a workload as its cluster says it. The past cannot be asked for: what was not looked at is a gap."""

from collections.abc import Mapping
from typing import Any

from aiops.clients.errors import ClientError, ClientRefused, ClientUnavailable, NotFound
from aiops.clients.kubernetes import KubernetesClient
from slos.models import SLO
from slos.slices import MINUTE, Slice
from slos.sources.base import Answer, Question, by_method

READY_SHARE = 0.9  # of the wanted replicas
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
HOLDS = 2 * MINUTE  # seconds for which one look speaks


def measure(client: KubernetesClient, question: Question) -> Answer:
    """Look once, now. Never raises for what the cluster does: the answer says so."""
    slo, recent = question.slo, question.recent
    answer = Answer(question)
    try:
        ready = is_ready(_workload(client, slo))
    except ClientUnavailable as error:
        answer.error, answer.is_away = error.message, True
        return answer
    except ClientError as error:
        answer.error = error.message
        return answer
    ends = [end for end in recent.ends() if end > recent.end - HOLDS]
    total = 0.0 if ready is None else float(question.grid.width)
    answer.recent = list(by_method(slo, [Slice(end, total if ready else 0.0, total) for end in ends], recent))
    return answer


def _workload(client: KubernetesClient, slo: SLO) -> dict[str, Any]:
    name = slo.resource_name or slo.service
    for kind in (slo.resource_kind,) if slo.resource_kind else WORKLOADS:
        try:
            return client.get(kind, name, None if kind == "Node" else slo.namespace)
        except NotFound:
            continue
    raise ClientRefused(f"no {slo.resource_kind or 'workload'} {slo.namespace}/{name} exists")


def is_ready(obj: Mapping[str, Any]) -> bool | None:
    """Whether enough of it is there to serve. None: nothing is wanted of it, so there is nothing to judge."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    if obj.get("kind") in ("Pod", "Node"):
        conditions = status.get("conditions") or []
        return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
    if obj.get("kind") == "DaemonSet":
        wanted, there = status.get("desiredNumberScheduled") or 0, status.get("numberAvailable") or 0
    else:
        replicas = spec.get("replicas")
        wanted = 1 if replicas is None else replicas
        there = status.get("availableReplicas") or 0
    return there >= READY_SHARE * wanted if wanted else None
