"""The safety envelope: may this change be made, now, by the platform? Pure.

Judged for every action, in planning and again immediately before it is carried out, also after an approval:

* automation level: off and observe change nothing; suggest only what a person started; approve only what a person approved
* tier of the cluster: as many approvals as it asks for, by severity and for changes of nodes (`federation/tiers.py`)
* kill switch, everywhere or of the cluster
* protected namespaces, and the annotation `aiops.io/remediation: disabled` on the workload or its namespace
* replicas: at least 1 unless it is containment, at most twice as many as now and 50, never above an autoscaler's maximum
* resources: at most twice of now and 8 GiB or 4 cores, not below half of now, no more than the largest node offers
* disruption: no budget that is used up, at most a quarter of the pods (one is always allowed), never the last ready pod
* nodes: one at a time, at most a tenth of them cordoned by us, no control plane, not the last one that takes pods
* rate: 3 plans per resource and 10 per namespace in an hour, and 3 changes of nodes per cluster that nobody approved
* an action set that failed on this incident is not tried again

An empty answer means yes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase

from aiops import quantities
from federation.models import AUTOMATION_RANK, Automation
from federation.tiers import Consent
from runbooks.actions import Effect, Target

OPT_OUT = "aiops.io/remediation"
MOST_MEMORY = quantities.parse("8Gi")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`final` refusals hold for whatever else would be tried; the others only for this action."""

    rule: str
    reason: str
    final: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Limits:
    protected_namespaces: tuple[str, ...] = ()  # names or shell patterns such as `kube-*`
    most_replicas: int = 50
    growth: int = 2  # times of now, replicas and resources
    most_memory: Decimal = MOST_MEMORY
    most_cpu: Decimal = Decimal(4)
    pods_share: Decimal = Decimal("0.25")
    nodes_share: Decimal = Decimal("0.10")
    plans_per_resource: int = 3  # in an hour
    plans_per_namespace: int = 10  # in an hour
    node_plans: int = 3  # in a cluster in an hour, without a person's consent


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    ready: bool = True
    schedulable: bool = True
    control_plane: bool = False
    cordoned_by_us: bool = False
    allocatable: Mapping[str, Decimal] = field(default_factory=dict)  # memory, cpu

    @property
    def takes_pods(self) -> bool:
        return self.ready and self.schedulable and not self.control_plane


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget that selects the workload's pods."""

    name: str
    allowed: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at the moment of judging. What an action does not concern may stay empty."""

    automation: str
    target: Target
    started_by_person: bool = False
    approvers: int = 0  # people who agreed to exactly these actions
    consent: Consent = field(default_factory=Consent)
    stopped: tuple[str, ...] = ()  # reasons of the switches in force
    opted_out: tuple[str, ...] = ()  # objects with the annotation
    ready_pods: frozenset[str] = frozenset()
    pods: int = 0
    most_autoscaled: int | None = None  # maxReplicas of the autoscaler of the target
    budgets: tuple[Budget, ...] = ()
    nodes: tuple[Node, ...] = ()
    plans_of_resource: int = 0  # started in the last hour, this one not counted
    plans_of_namespace: int = 0
    node_plans: int = 0  # of the cluster, started in the last hour, this one not counted
    failed_before: bool = False


Guard = Callable[[Effect, Facts, Limits], Iterator[Refusal]]


def refusals(effect: Effect, facts: Facts, limits: Limits) -> list[Refusal]:
    """Every guard that says no, the ones that hold for everything first."""
    found = [refusal for guard in GUARDS for refusal in guard(effect, facts, limits)]
    return sorted(found, key=lambda refusal: not refusal.final)


def _automation(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    level = AUTOMATION_RANK.get(facts.automation, 0)  # an unknown level is the lowest
    if level < AUTOMATION_RANK[Automation.SUGGEST]:
        yield Refusal("automation", f"the automation level of the cluster is {facts.automation}", final=True)
    elif level < AUTOMATION_RANK[Automation.APPROVE] and not facts.started_by_person:
        yield Refusal("automation", f"at level {facts.automation} a person starts a plan", final=True)
    elif level < AUTOMATION_RANK[Automation.AUTO] and not facts.approvers:
        yield Refusal("automation", f"at level {facts.automation} a person approves a plan", final=True)


def _tier(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    if facts.approvers < facts.consent.approvers:
        yield Refusal("tier", f"{facts.consent}; {facts.approvers} given", final=True)


def _kill_switch(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    for reason in facts.stopped:
        yield Refusal("kill-switch", reason, final=True)


def _protected_namespace(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    namespace = facts.target.namespace
    if namespace and any(fnmatchcase(namespace, pattern) for pattern in limits.protected_namespaces):
        yield Refusal("protected-namespace", f"namespace {namespace} is protected", final=True)


def _opt_out(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    for where in facts.opted_out:
        yield Refusal("opt-out", f"{where} carries the annotation {OPT_OUT}: disabled", final=True)


def _replicas(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    if effect.autoscaled is not None:
        now, wanted = effect.autoscaled
        if wanted > (most := _most(now, limits)):
            yield Refusal("replicas", f"a maximum of {wanted} is more than {most}")
    if effect.replicas is None:
        return
    now, wanted = effect.replicas
    if wanted == 0 and not effect.containment:
        yield Refusal("replicas", "scaling to 0 is containment and has to say so")
    if wanted > (most := _most(now, limits)):
        growth = f"{limits.growth} times of {now}, at most {limits.most_replicas}"
        yield Refusal("replicas", f"{wanted} replicas are more than {most} ({growth})")
    if facts.most_autoscaled is not None and wanted > facts.most_autoscaled:
        yield Refusal("replicas", f"{wanted} replicas are above the autoscaler's maximum of {facts.most_autoscaled}")


def _most(now: int, limits: Limits) -> int:
    """Scaling down from a number above the ceiling is fine."""
    return max(now, min(limits.most_replicas, max(1, now) * limits.growth))


def _resources(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    most = {"memory": limits.most_memory, "cpu": limits.most_cpu}
    render = {"memory": quantities.memory, "cpu": quantities.cpu}
    for change in effect.resources:
        what = f"{change.resource} {change.bound} of {change.container}"
        wanted, show = change.wanted, render[change.resource]
        if wanted > most[change.resource]:
            yield Refusal("resources", f"{what}: {show(wanted)} is above the ceiling of {show(most[change.resource])}")
        if change.current and wanted > change.current * limits.growth:
            yield Refusal(
                "resources", f"{what}: {show(wanted)} is more than {limits.growth} times {show(change.current)}"
            )
        if change.current and wanted * limits.growth < change.current:
            yield Refusal("resources", f"{what}: {show(wanted)} is less than half of {show(change.current)}")
        offered = [node.allocatable[change.resource] for node in facts.nodes if change.resource in node.allocatable]
        if offered and wanted > max(offered):
            yield Refusal("resources", f"{what}: no node offers {show(wanted)}, the largest has {show(max(offered))}")


def _disruption(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    removed = effect.removed_pods
    if not removed:
        return
    for budget in facts.budgets:
        # a pod that is not ready costs the budget nothing
        if budget.allowed < len(facts.ready_pods.intersection(removed)):
            yield Refusal("disruption", f"PodDisruptionBudget {budget.name} allows {budget.allowed} disruptions now")
    if len(removed) > max(1, int(facts.pods * limits.pods_share)):
        yield Refusal("disruption", f"{len(removed)} of {facts.pods} pods are more than a quarter")
    if facts.ready_pods and facts.ready_pods <= set(removed):
        yield Refusal("disruption", "no ready pod would be left")


def _nodes(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    if not effect.cordons:
        return
    node = next((node for node in facts.nodes if node.name == effect.cordons), None)
    if node is None:
        yield Refusal("nodes", f"node {effect.cordons} is not known")
        return
    if node.control_plane:
        yield Refusal("nodes", f"node {node.name} belongs to the control plane")
    others = [other for other in facts.nodes if other.name != node.name]
    if not any(other.takes_pods for other in others):
        yield Refusal("nodes", f"no node besides {node.name} takes pods")
    cordoned = sum(other.cordoned_by_us for other in others)
    most = max(1, int(len(facts.nodes) * limits.nodes_share))
    if cordoned + 1 > most:
        yield Refusal("nodes", f"{cordoned} of {len(facts.nodes)} nodes are cordoned by the platform already")


def _rate(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    if facts.plans_of_resource >= limits.plans_per_resource:
        yield Refusal("rate", f"{facts.plans_of_resource} plans for {facts.target} in the last hour", final=True)
    if facts.plans_of_namespace >= limits.plans_per_namespace:
        yield Refusal("rate", f"{facts.plans_of_namespace} plans in the namespace in the last hour", final=True)
    if acts_on_node(effect, facts.target) and facts.node_plans >= limits.node_plans and not facts.approvers:
        yield Refusal("rate", f"{facts.node_plans} plans changed nodes of the cluster in the last hour", final=True)


def acts_on_node(effect: Effect, target: Target) -> bool:
    return bool(effect.cordons) or target.kind == "Node"


def _repetition(effect: Effect, facts: Facts, limits: Limits) -> Iterator[Refusal]:
    if facts.failed_before:
        yield Refusal("repetition", "the same actions have failed on this incident")


GUARDS: Sequence[Guard] = (
    _automation,
    _tier,
    _kill_switch,
    _protected_namespace,
    _opt_out,
    _replicas,
    _resources,
    _disruption,
    _nodes,
    _rate,
    _repetition,
)


# what tells that a controller outside the cluster owns an object and will put a change back
GITOPS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}


def managed_by(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """The tool that will revert a direct change, or write over it; empty when there is none."""
    marks = labels.keys() | annotations.keys()
    for mark, tool in GITOPS.items():
        if mark in marks:
            return tool
    return "Helm" if labels.get("app.kubernetes.io/managed-by") == "Helm" else ""
