"""Gathers what the safety envelope judges (`runbooks/policy.py`), from the database and the cluster, and records the verdict.

It fails closed: whatever cannot be read raises, and then nothing is changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q

from aiops import quantities
from aiops.clients.errors import NotFound
from aiops.clients.kubernetes import KubernetesClient
from federation import tiers
from federation.models import Cluster
from federation.services import connectivity
from incidents.models import Incident
from incidents.services import timeline
from runbooks import policy
from runbooks.actions import NODE_ACTIONS, Change, Target
from runbooks.actions.base import PLAN, annotation, listed, read
from runbooks.actions.selectors import is_finished, is_ready, matches, pods_of
from runbooks.models import AutomationSwitch, RemediationPlan
from runbooks.policy import Budget, Facts, Limits, Node, Refusal
from runbooks.states import PlanState

HOUR = timedelta(hours=1)
ENOUGH = 1_000  # approvers, of whoever only wants to know what would be refused even then
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Who wants the change, on what. A dry run passes `started_by_person` and `approvers` as they would be then."""

    cluster: Cluster
    target: Target
    at: datetime
    started_by_person: bool = False
    approvers: int = 0  # people who agreed to it
    plan: RemediationPlan | None = None


def limits() -> Limits:
    """The limits in force; namespaces that the platform never touches come from the settings."""
    protected = {*settings.AIOPS_PROTECTED_NAMESPACES, settings.AIOPS_NAMESPACE}
    return Limits(protected_namespaces=tuple(sorted(protected)))


def refusals(*, client: KubernetesClient, change: Change, circumstances: Circumstances) -> list[Refusal]:
    """Why the change must not be made now; empty when it may. Raises the errors of the client."""
    facts = _add_cluster_facts(client, change, _database_facts(circumstances))
    return policy.refusals(change.effect, facts, limits())


def blanket_refusals(*, circumstances: Circumstances) -> list[Refusal]:
    """The refusals that need no look at the cluster: level, kill switch, namespace, rate, repetition."""
    change = Change(summary="", before={})
    return policy.refusals(change.effect, _database_facts(circumstances), limits())


def record(*, incident: Incident, refused: Sequence[Refusal], what: str, at: datetime) -> None:
    """Write the verdict beside the incident, so that people see why (in the caller's transaction)."""
    for refusal in refused:
        timeline.decide(
            incident=incident,
            at=at,
            stage="refuse",
            rule=refusal.rule,
            verdict="refused",
            reason=refusal.reason,
            inputs={"action": what},
        )
    if not refused:
        timeline.decide(
            incident=incident, at=at, stage="envelope", rule="all", verdict="allowed", inputs={"action": what}
        )


def stopped(cluster: Cluster) -> tuple[str, ...]:
    """The reasons of the kill switches that are thrown: everywhere or for this cluster."""
    rows = AutomationSwitch.objects.filter(Q(cluster=cluster) | Q(cluster=None), stopped=True)
    return tuple(
        f"automation is stopped {'everywhere' if row.cluster_id is None else f'in {cluster}'}"
        + (f": {row.reason}" if row.reason else "")
        for row in rows.order_by("pk")
    )


def _database_facts(circumstances: Circumstances) -> Facts:
    plan = circumstances.plan
    # read again: the level may have been lowered since the plan was loaded
    level, tier = Cluster.objects.values_list("automation", "tier").get(pk=circumstances.cluster.pk)
    facts = Facts(
        automation=tiers.automation(level, tier),
        target=circumstances.target,
        started_by_person=circumstances.started_by_person,
        approvers=circumstances.approvers,
        stopped=stopped(circumstances.cluster) + connectivity.frozen(at=circumstances.at),
    )
    if plan is None:
        return facts
    acts_on_node = on_node(plan)
    severity = Incident.objects.values_list("severity", flat=True).get(pk=plan.incident_id)
    recent = RemediationPlan.objects.filter(cluster=circumstances.cluster, started_at__gt=circumstances.at - HOUR)
    recent = recent.exclude(pk=plan.pk)
    failed = RemediationPlan.objects.filter(
        incident=plan.incident_id,
        actions_digest=plan.actions_digest,
        state__in=[PlanState.FAILED, PlanState.ROLLED_BACK],
        started_at__isnull=False,
    )
    return replace(
        facts,
        # as it is now: an incident may have become graver since somebody agreed
        consent=tiers.consent(tier, severity=severity, on_node=acts_on_node),
        node_plans=node_plans(plan, circumstances.at) if acts_on_node else 0,
        plans_of_resource=recent.filter(target_key=plan.target_key).count(),
        plans_of_namespace=recent.filter(namespace=plan.namespace).count(),
        # a person who starts it again has seen that it failed; and what a person stopped has not failed
        failed_before=not circumstances.started_by_person
        and failed.filter(cancel_requested_by="").exclude(pk=plan.pk).exists(),
    )


def on_node(plan: RemediationPlan) -> bool:
    """Whether it acts on a node, its own target or that of a workload."""
    return plan.target_kind == "Node" or plan.steps.filter(action_type__in=NODE_ACTIONS).exists()


def node_plans(plan: RemediationPlan, at: datetime) -> int:
    """How many other plans changed nodes of its cluster within the last hour."""
    recent = RemediationPlan.objects.filter(cluster=plan.cluster_id, started_at__gt=at - HOUR).exclude(pk=plan.pk)
    changes_nodes = Q(target_kind="Node") | Q(steps__action_type__in=NODE_ACTIONS)
    return recent.filter(changes_nodes).order_by().values("pk").distinct().count()


def _add_cluster_facts(client: KubernetesClient, change: Change, facts: Facts) -> Facts:
    """Only what the change concerns is read: the fewer questions, the fewer reasons to fail."""
    target, effect = facts.target, change.effect
    workload = change.before if change.before.get("kind") == target.kind else read(client, target)
    facts = replace(facts, opted_out=_opted_out(client, change.before, workload))
    if effect.removed_pods:
        pods = [pod for pod in pods_of(client, workload) if not is_finished(pod)]
        ready = frozenset(pod["metadata"]["name"] for pod in pods if is_ready(pod))
        facts = replace(facts, pods=len(pods), ready_pods=ready, budgets=_budgets(client, target.namespace, pods))
    if effect.replicas:
        autoscaler = autoscaler_of(client, target)
        facts = replace(facts, most_autoscaled=int(autoscaler["maxReplicas"]) if autoscaler else None)
    if effect.resources or effect.cordons:
        facts = replace(facts, nodes=tuple(_node(item) for item in listed(client, "Node", None)))
    return facts


def _opted_out(client: KubernetesClient, *objects: Mapping[str, Any]) -> tuple[str, ...]:
    namespaces = {obj["metadata"].get("namespace", "") for obj in objects} - {""}
    checked = list(objects)
    for name in sorted(namespaces):
        try:
            checked.append(read(client, Target("Namespace", name)))
        except NotFound:
            continue  # it is being deleted; the action will see for itself
    found = {
        f"{obj.get('kind', 'Object')}/{obj['metadata']['name']}"
        for obj in checked
        if annotation(obj, policy.OPT_OUT) == "disabled"
    }
    return tuple(sorted(found))


def _budgets(client: KubernetesClient, namespace: str, pods: Sequence[Mapping[str, Any]]) -> tuple[Budget, ...]:
    labels = [pod["metadata"].get("labels") or {} for pod in pods]
    return tuple(
        Budget(item["metadata"]["name"], int((item.get("status") or {}).get("disruptionsAllowed") or 0))
        for item in listed(client, "PodDisruptionBudget", namespace)
        if any(matches((item.get("spec") or {}).get("selector"), found) for found in labels)
    )


def autoscaler_of(client: KubernetesClient, target: Target) -> dict[str, Any] | None:
    """The specification of the HorizontalPodAutoscaler of the target. Raises the errors of the client."""
    if not target.namespace:
        return None
    for item in listed(client, "HorizontalPodAutoscaler", target.namespace):
        reference = item["spec"].get("scaleTargetRef") or {}
        if (reference.get("kind"), reference.get("name")) == (target.kind, target.name):
            spec: dict[str, Any] = item["spec"]
            return spec
    return None


def _node(obj: Mapping[str, Any]) -> Node:
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    labels = metadata.get("labels") or {}
    conditions = {item.get("type"): item.get("status") for item in status.get("conditions") or []}
    cordoned = bool(spec.get("unschedulable"))
    allocatable = status.get("allocatable") or {}
    return Node(
        name=metadata["name"],
        ready=conditions.get("Ready") == "True",
        schedulable=not cordoned,
        control_plane=any(role in labels for role in CONTROL_PLANE),
        cordoned_by_us=cordoned and bool(annotation(obj, PLAN)),
        allocatable={
            name: quantities.parse(str(allocatable[name])) for name in ("memory", "cpu") if name in allocatable
        },
    )
