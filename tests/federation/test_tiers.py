import pytest

from federation import tiers
from federation.models import Cluster
from federation.services import connectivity
from tests.conftest import NOON
from tests.factories import make_cluster

SILENT = {"check_failures": 1, "check_error_class": "timeout", "health": "Degraded", "health_since": NOON}


@pytest.mark.parametrize(
    ("wanted", "tier", "level"),
    [
        ("auto", "critical", "approve"),
        ("observe", "critical", "observe"),
        ("auto", "standard", "auto"),
        ("auto", "non-critical", "auto"),
        ("auto", "never heard of", "approve"),
        ("nonsense", "standard", "nonsense"),
    ],
)
def test_automation_is_the_lower_of_cluster_and_tier(wanted, tier, level):
    assert tiers.automation(wanted, tier) == level


@pytest.mark.parametrize(
    ("wanted", "tier", "most"), [(3, "critical", 1), (2, "standard", 2), (9, "standard", 3), (9, "non-critical", 5)]
)
def test_concurrency_is_the_lower_of_cluster_and_tier(wanted, tier, most):
    assert tiers.concurrent(wanted, tier) == most


@pytest.mark.parametrize(
    ("tier", "severity", "on_node", "approvers"),
    [
        ("critical", "low", False, 1),
        ("critical", "high", False, 2),
        ("critical", "critical", True, 2),
        ("standard", "medium", False, 0),
        ("standard", "high", False, 1),
        ("standard", "low", True, 1),
        ("standard", "never heard of", False, 1),
        ("non-critical", "critical", True, 0),
        ("never heard of", "high", False, 2),
    ],
)
def test_consent(tier, severity, on_node, approvers):
    found = tiers.consent(tier, severity=severity, on_node=on_node)

    assert found.approvers == approvers
    assert all(tier in reason for reason in found.reasons)
    assert bool(found.reasons) == bool(approvers)


@pytest.mark.django_db
class TestFrozen:
    def test_when_many_fall_silent_at_once(self):
        for columns in (SILENT, SILENT, SILENT, {}):
            make_cluster(**columns)

        assert "3 of 4 clusters" in connectivity.frozen(at=NOON)[0]

    @pytest.mark.parametrize(
        ("columns", "others"),
        [
            (SILENT | {"check_error_class": "auth"}, 0),  # they answer
            (SILENT | {"enabled": False}, 0),
            (SILENT, 4),  # most answer
        ],
    )
    def test_not_when_it_says_nothing_about_us(self, columns, others):
        for _ in range(3):
            make_cluster(**columns)
        for _ in range(others):
            make_cluster()

        assert connectivity.frozen(at=NOON) == ()

    def test_not_for_one_or_two(self):
        make_cluster(**SILENT)
        make_cluster(**SILENT)

        assert Cluster.objects.count() == 2
        assert connectivity.frozen(at=NOON) == ()
