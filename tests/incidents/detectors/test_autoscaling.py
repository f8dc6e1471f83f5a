import json

import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import (
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
