import json

import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import (
    Json,
    ago,
    condition,
    conditions_in,
    look,
    make_autoscaler,
    make_deployment,
    make_object,
)

ABLE = condition("AbleToScale", reason="ReadyForNewScale")
MAXED = condition("ScalingLimited", reason="TooManyReplicas")


class TestMaxedOut:
    def test_fires_at_the_maximum(self):
        signal = look(make_autoscaler(ABLE, MAXED, high=5, current=5)).signals[0]

        assert (signal.signal_type, signal.evidence["maxReplicas"]) == ("hpa_maxed", 5)

    @pytest.mark.parametrize(
        "autoscaler",
        [
            make_autoscaler(ABLE, condition("ScalingLimited", "False", "DesiredWithinRange"), high=5, current=5),
            make_autoscaler(ABLE, condition("ScalingLimited", reason="TooFewReplicas"), low=2, high=5, current=2),
            make_autoscaler(ABLE, MAXED, low=5, high=5, current=5),
            make_autoscaler(ABLE, MAXED, high=5, current=4),
            make_autoscaler(
                ABLE, condition("ScalingLimited", reason="TooManyReplicas", since=ago(minutes=5)), high=5, current=5
            ),
        ],
        ids=["content", "at-rest", "fixed-size", "below", "young"],
    )
    def test_is_held_back(self, autoscaler):
        assert look(autoscaler).verdict is Verdict.HEALTHY


class TestScaling:
    @pytest.mark.parametrize("reason", ["FailedGetScale", "FailedUpdateScale"])
    def test_fires_when_the_target_cannot_be_scaled(self, reason):
        assert conditions_in(look(make_autoscaler(condition("AbleToScale", "False", reason)))) == [
            "hpa_unable_to_scale"
        ]

    def test_fires_without_metrics_after_ten_minutes(self):
        inactive = condition("ScalingActive", "False", "FailedGetResourceMetric")

        assert conditions_in(look(make_autoscaler(ABLE, inactive))) == ["hpa_metrics_unavailable"]

    def test_metrics_may_lag_a_deployment(self):
        inactive = condition("ScalingActive", "False", "FailedGetResourceMetric", since=ago(minutes=9))

        assert look(make_autoscaler(ABLE, inactive)).verdict is Verdict.PROGRESSING

    def test_a_target_at_zero_is_fine(self):
        inactive = condition("ScalingActive", "False", "ScalingDisabled")

        assert look(make_autoscaler(ABLE, inactive)).verdict is Verdict.HEALTHY

    def test_reads_the_annotation_of_the_first_version(self):
        written = json.dumps([condition("ScalingActive", "False", "InvalidSelector")])
        annotation = {"annotations": {"autoscaling.alpha.kubernetes.io/conditions": written}}

        assert conditions_in(look(make_autoscaler(metadata=annotation))) == ["hpa_unable_to_scale"]

    def test_no_condition_yet_is_progressing(self):
        assert look(make_autoscaler()).verdict is Verdict.PROGRESSING

    def test_a_missing_target_fires_only_where_the_kind_was_listed(self):
        other = make_deployment()
        other["metadata"]["name"] = "other"

        assert look(make_autoscaler(ABLE)).signals == ()
        assert conditions_in(look(make_autoscaler(ABLE), other)) == ["hpa_target_missing"]


class TestBudget:
    def make_budget(self, *conditions, **counts):
        counts = {"expectedPods": 3, "currentHealthy": 3, "desiredHealthy": 2} | counts
        return make_object("PodDisruptionBudget", spec={}, status={"conditions": list(conditions), **counts})

    def test_enough_healthy_pods_is_healthy(self):
        assert look(self.make_budget()).verdict is Verdict.HEALTHY

    def test_allowing_no_disruption_is_legitimate(self):
        blocked = condition("DisruptionAllowed", "False", "InsufficientPods")

        assert look(self.make_budget(blocked, currentHealthy=2)).verdict is Verdict.HEALTHY

    def test_too_few_healthy_pods_fire(self):
        assert conditions_in(look(self.make_budget(currentHealthy=1))) == ["pdb_insufficient_healthy"]

    def test_a_budget_that_cannot_be_computed_fires(self):
        failed = condition("DisruptionAllowed", "False", "SyncFailed")

        assert conditions_in(look(self.make_budget(failed))) == ["pdb_sync_failed"]

    def test_no_status_is_progressing(self):
        assert look(make_object("PodDisruptionBudget", spec={})).verdict is Verdict.PROGRESSING


class TestDrain:
    def cordoned(self, *, since: str) -> Json:
        taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": since}
        return make_object("Node", "node-1", namespace="", spec={"unschedulable": True, "taints": [taint]})

    def budget(self, *, allowed: int = 0, selector: object = None) -> Json:
        status = {"disruptionsAllowed": allowed, "expectedPods": 1, "currentHealthy": 1, "desiredHealthy": 1}
        selector = {"matchLabels": {"app": "checkout"}} if selector is None else selector
        return make_object("PodDisruptionBudget", spec={"selector": selector}, status=status)

    def pod(self, node: str = "node-1") -> Json:
        return make_object(
            "Pod", metadata={"labels": {"app": "checkout"}}, spec={"nodeName": node}, status={"phase": "Running"}
        )

    def look(self, budget: Json, *, since: str, pod: Json | None = None) -> list[str]:
        node = self.cordoned(since=since)
        return conditions_in(look(budget, node, pod or self.pod()))

    def test_is_blocked_by_a_budget_that_lets_nobody_go(self):
        assert self.look(self.budget(), since=ago(minutes=20)) == ["pdb_blocks_drain"]

    @pytest.mark.parametrize(
        "selector",
        [
            {},
            {"matchExpressions": [{"key": "app", "operator": "In", "values": ["checkout", "cart"]}]},
            {"matchExpressions": [{"key": "app", "operator": "Exists"}, {"key": "x", "operator": "DoesNotExist"}]},
        ],
    )
    def test_of_pods_by_any_selector(self, selector):
        assert self.look(self.budget(selector=selector), since=ago(minutes=20)) == ["pdb_blocks_drain"]

    @pytest.mark.parametrize(
        "selector",
        [
            {"matchLabels": {"app": "cart"}},
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["checkout"]}]},
            {"matchExpressions": [{"key": "app", "operator": "Sometimes"}]},
            "nonsense",
        ],
    )
    def test_of_other_pods_is_not_blocked(self, selector):
        assert self.look(self.budget(selector=selector), since=ago(minutes=20)) == []

    def test_may_take_a_quarter_of_an_hour(self):
        assert self.look(self.budget(), since=ago(minutes=14)) == []

    def test_is_free_where_one_may_go_or_none_is_there(self):
        assert self.look(self.budget(allowed=1), since=ago(minutes=20)) == []
        assert self.look(self.budget(), since=ago(minutes=20), pod=self.pod("node-2")) == []
