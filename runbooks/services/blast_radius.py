"""Whom a change may hurt: pods, the services in front of them, and what a person should know before saying yes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiops import quantities
from aiops.clients.errors import ClientError
from aiops.clients.kubernetes import KubernetesClient
from runbooks import policy
from runbooks.actions import ActionRefused, Change, Target
from runbooks.actions.base import listed, read
from runbooks.actions.selectors import is_finished, pods_of

LARGE_MEMORY = quantities.parse("4Gi")
# APR-6: affected pods above which the risk is …
LEVELS = ((10, "critical"), (5, "high"), (2, "medium"))


@dataclass(frozen=True, slots=True)
class BlastRadius:
    risk_level: str
    affected_pods: int
    affected_services: tuple[str, ...]
    warnings: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As the contract shows it (§6.2)."""
        return {
            "riskLevel": self.risk_level,
            "affectedPods": self.affected_pods,
            "affectedServices": list(self.affected_services),
            "warnings": list(self.warnings),
        }


def measure(*, client: KubernetesClient, target: Target, changes: Sequence[Change]) -> BlastRadius:
    """The radius of `changes` to `target`. Raises the errors of the client, and `ActionRefused` for an unknown kind."""
    workload = read(client, target)
    pods = [pod for pod in pods_of(client, workload) if not is_finished(pod)]
    wanted = (workload.get("spec") or {}).get("replicas")
    affected = len(pods) or int(wanted or 0)
    return BlastRadius(
        risk_level=level(affected),
        affected_pods=affected,
        affected_services=tuple(_services(client, workload, pods)),
        warnings=tuple(dict.fromkeys(warnings(workload, affected, changes))),
    )


def level(pods: int) -> str:
    """APR-6."""
    return next((name for above, name in LEVELS if pods > above), "low")


def _services(client: KubernetesClient, workload: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> list[str]:
    labels = [pod["metadata"].get("labels") or {} for pod in pods]
    template = ((workload.get("spec") or {}).get("template") or {}).get("metadata") or {}
    labels.append(template.get("labels") or {})
    namespaces = {pod["metadata"]["namespace"] for pod in pods} | {workload["metadata"].get("namespace", "")}
    names = []
    for namespace in sorted(namespaces - {""})[:50]:
        try:
            services = listed(client, "Service", namespace)
        except (ClientError, ActionRefused) as error:
            return [f"unknown: {error.message}"]
        names += [service["metadata"]["name"] for service in services if _selects(service, labels)]
    return sorted(set(names))


def _selects(service: Mapping[str, Any], labels: Iterable[Mapping[str, str]]) -> bool:
    selector = (service.get("spec") or {}).get("selector") or {}
    return bool(selector) and any(selector.items() <= found.items() for found in labels)


def warnings(workload: Mapping[str, Any], pods: int, changes: Sequence[Change]) -> Iterable[str]:
    """What each change does to people's expectations, in sentences."""
    metadata = workload["metadata"]
    tool = policy.managed_by(metadata.get("labels") or {}, metadata.get("annotations") or {})
    if tool:
        yield f"{tool} manages the object and may put the change back"
    for change in changes:
        effect = change.effect
        if effect.replicas:
            yield from _scale_warnings(*effect.replicas)
        if effect.restarts_pods:
            yield "The only pod is restarted" if pods <= 1 else "Rolling restart of all pods"
        if any(item.resource == "memory" and item.wanted > LARGE_MEMORY for item in effect.resources):
            yield "Memory above 4Gi"
        if effect.cordons:
            yield f"Node {effect.cordons} takes no new pods"
        if effect.removed_pods:
            yield f"{len(effect.removed_pods)} of {pods} pods are evicted"


def _scale_warnings(now: int, wanted: int) -> Iterable[str]:
    if wanted == 0:
        yield "The workload is silenced: nothing serves afterwards"
    elif wanted < now:
        yield f"Scales down from {now} to {wanted}"
    if wanted == 1 < now:
        yield "A single replica is left"
