from decimal import Decimal
from typing import Any

import pytest

from aiops import quantities
from runbooks.actions import Effect, Target
from runbooks.actions.base import ResourceChange
from runbooks.policy import Budget, Facts, Limits, Node, managed_by, refusals

CHECKOUT = Target("Deployment", "checkout", "shop")
LIMITS = Limits(protected_namespaces=("kube-*", "argocd"))


def rules(effect: Effect, **facts: Any) -> list[str]:
    values: dict[str, Any] = {"automation": "auto", "target": CHECKOUT} | facts
    return [refusal.rule for refusal in refusals(effect, Facts(**values), LIMITS)]


def memory(wanted: str, current: str | None = "1Gi") -> Effect:
    before = quantities.parse(current) if current else None
    return Effect(resources=(ResourceChange("web", "memory", "limits", before, quantities.parse(wanted)),))


def node(number: int, **facts: Any) -> Node:
    return Node(f"node-{number}", **facts)


def test_an_ordinary_change_is_allowed():
    assert rules(Effect(restarts_pods=True)) == []


@pytest.mark.parametrize(
    ("level", "by_person", "approved", "allowed"),
    [
        ("off", True, True, False),
        ("observe", True, True, False),
        ("suggest", False, True, False),
        ("suggest", True, False, False),
        ("suggest", True, True, True),
        ("approve", False, False, False),
        ("approve", False, True, True),
        ("auto", False, False, True),
        ("nonsense", True, True, False),
    ],
)
def test_automation_level(level, by_person, approved, allowed):
    found = rules(Effect(), automation=level, started_by_person=by_person, approvers=int(approved))

    assert found == ([] if allowed else ["automation"])


def test_kill_switch():
    assert rules(Effect(), stopped=("automation is stopped everywhere",)) == ["kill-switch"]


@pytest.mark.parametrize(("namespace", "allowed"), [("kube-system", False), ("argocd", False), ("shop", True)])
def test_protected_namespaces_are_names_or_patterns(namespace, allowed):
    assert (rules(Effect(), target=Target("Deployment", "x", namespace)) == []) is allowed


def test_opt_out():
    assert rules(Effect(), opted_out=("Namespace/shop",)) == ["opt-out"]


@pytest.mark.parametrize(
    ("now", "wanted", "allowed"),
    [
        (3, 6, True),
        (3, 7, False),
        (40, 51, False),
        (40, 50, True),
        (60, 55, True),
        (0, 2, True),
        (3, 0, False),
        (3, 1, True),
    ],
)
def test_replicas(now, wanted, allowed):
    assert rules(Effect(replicas=(now, wanted))) == ([] if allowed else ["replicas"])


def test_containment_may_scale_to_zero():
    assert rules(Effect(replicas=(3, 0), containment=True)) == []


def test_replicas_stay_below_the_maximum_of_the_autoscaler():
    assert rules(Effect(replicas=(3, 6)), most_autoscaled=5) == ["replicas"]


@pytest.mark.parametrize(
    ("current", "wanted", "allowed"),
    [
        ("1Gi", "2Gi", True),
        ("1Gi", "2049Mi", False),
        ("6Gi", "9Gi", False),
        (None, "1Gi", True),
        ("1Gi", "500Mi", False),
    ],
)
def test_resources(current, wanted, allowed):
    assert rules(memory(wanted, current)) == ([] if allowed else ["resources"])


def test_resources_must_fit_on_a_node():
    small = node(1, allocatable={"memory": quantities.parse("1536Mi"), "cpu": Decimal(2)})

    assert rules(memory("2Gi"), nodes=(small,)) == ["resources"]
    assert rules(memory("1536Mi"), nodes=(small,)) == []


def test_a_budget_that_is_used_up_forbids_the_eviction_of_a_ready_pod():
    facts = {"pods": 4, "ready_pods": frozenset({"a", "b"}), "budgets": (Budget("web", 0),)}

    assert rules(Effect(removed_pods=("a",)), **facts) == ["disruption"]
    assert rules(Effect(removed_pods=("sick",)), **facts) == []


def test_never_the_last_ready_pod():
    assert rules(Effect(removed_pods=("a",)), pods=4, ready_pods=frozenset({"a"})) == ["disruption"]


def test_at_most_a_quarter_of_the_pods():
    ready = frozenset("abcdefgh")

    assert rules(Effect(removed_pods=("a", "b")), pods=8, ready_pods=ready) == []
    assert rules(Effect(removed_pods=("a", "b", "c")), pods=8, ready_pods=ready) == ["disruption"]


class TestNodes:
    def test_one_of_three_may_be_cordoned(self):
        assert rules(Effect(cordons="node-1"), nodes=tuple(map(node, range(3)))) == []

    def test_one_at_a_time(self):
        nodes = (node(1), node(2, schedulable=False, cordoned_by_us=True), node(3))

        assert rules(Effect(cordons="node-1"), nodes=nodes) == ["nodes"]

    def test_what_people_cordoned_does_not_count(self):
        nodes = (node(1), node(2, schedulable=False), node(3))

        assert rules(Effect(cordons="node-1"), nodes=nodes) == []

    def test_no_control_plane(self):
        assert rules(Effect(cordons="node-1"), nodes=(node(1, control_plane=True), node(2))) == ["nodes"]

    def test_not_the_last_one_that_takes_pods(self):
        nodes = (node(1), node(2, ready=False), node(3, control_plane=True))

        assert rules(Effect(cordons="node-1"), nodes=nodes) == ["nodes"]

    def test_an_unknown_node(self):
        assert rules(Effect(cordons="node-9"), nodes=(node(1),)) == ["nodes"]


@pytest.mark.parametrize("facts", [{"plans_of_resource": 3}, {"plans_of_namespace": 10}])
def test_rate(facts):
    assert rules(Effect(), **facts) == ["rate"]


def test_what_failed_before_is_not_repeated():
    assert rules(Effect(), failed_before=True) == ["repetition"]


def test_refusals_that_hold_for_everything_come_first():
    found = refusals(Effect(replicas=(3, 9)), Facts(automation="auto", target=CHECKOUT, stopped=("stopped",)), LIMITS)

    assert [(refusal.rule, refusal.final) for refusal in found] == [("kill-switch", True), ("replicas", False)]


@pytest.mark.parametrize(
    ("labels", "annotations", "tool"),
    [
        ({}, {"argocd.argoproj.io/tracking-id": "x"}, "Argo CD"),
        ({"kustomize.toolkit.fluxcd.io/name": "x"}, {}, "Flux"),
        ({"app.kubernetes.io/managed-by": "Helm"}, {}, "Helm"),
        ({"app": "web"}, {}, ""),
    ],
)
def test_knows_what_manages_an_object(labels, annotations, tool):
    assert managed_by(labels, annotations) == tool
