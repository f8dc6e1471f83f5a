from datetime import timedelta
from typing import Any

import pytest

from incidents import metrics
from incidents.models import FleetCorrelation
from tests.conftest import NOON
from tests.factories import make_incident, make_postmortem

pytestmark = pytest.mark.django_db


def rows(name: str) -> dict[tuple[Any, ...], float]:
    gauge = next(gauge for gauge in metrics.measure() if gauge.name == f"chatcli_operator_{name}")
    return {tuple(labels): number for labels, number in gauge.rows}


def test_counts_by_severity_and_state() -> None:
    make_incident(severity="high")
    make_incident(severity="high")

    assert rows("issues_total") == {("high", "Detected"): 2}


def test_active_ones_are_neither_resolved_nor_failed() -> None:
    make_incident(namespace="shop")
    make_incident(namespace="shop", state="Failed")
    make_incident(namespace="shop", state="Resolved", resolved_at=NOON)

    assert rows("active_issues") == {("shop",): 1}


def test_mean_time_leaves_out_chaos() -> None:
    done = {"severity": "low", "state": "Resolved", "resolved_at": NOON + timedelta(minutes=2)}
    make_incident(**done)
    make_incident(**done | {"resolved_at": NOON + timedelta(hours=5), "chaos_experiment": "drill"})

    assert rows("issue_resolution_duration_seconds") == {("low",): 120}


def test_postmortems_by_author() -> None:
    make_postmortem()

    assert rows("postmortems_total") == {("ai-generated",): 1}


def test_costs_five_queries(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(5):
        metrics_of_all = [list(gauge.rows) for gauge in metrics.measure()]

    assert len(metrics_of_all) == 6


def test_counts_correlations_across_clusters() -> None:
    first = make_incident()
    common = {"signal_type": "oom_kill", "first": first, "opened_at": NOON}
    FleetCorrelation.objects.create(
        correlation_id="a", kind="same_signature", key="a", subject="a", cascade=True, **common
    )
    FleetCorrelation.objects.create(correlation_id="b", kind="common_change", key="b", subject="b", **common)

    assert rows("federation_cross_cluster_issues_total") == {("same_signature",): 1, ("common_change",): 1}
    assert rows("federation_cascade_detected_total") == {(): 1}
