from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runbooks.approval_rules import Demand, Facts, demand, next_opening

FACTS = Facts(
    severity="high",
    action_types=frozenset({"RollbackDeployment"}),
    namespace="shop",
    kind="Deployment",
    cluster="eu-1",
    tier="standard",
    confidence=0.8,
    success_rate=0.9,
)


@dataclass
class Policy:
    rules: Any = field(default_factory=list)
    name: str = "policy"
    default_mode: str = "manual"
    forbid_self_approval: bool = True


def demanded(policy: Policy, **facts: Any) -> Demand:
    found = demand([policy], replace(FACTS, **facts))
    assert found is not None
    return found


def mode(*rules: dict[str, Any], **facts: Any) -> str:
    return demanded(Policy(list(rules)), **facts).mode


def test_without_policies_nothing_is_demanded():
    assert demand([], FACTS) is None


def test_without_a_fitting_rule_the_default_mode_decides():
    assert mode() == "manual"
    assert demanded(Policy(default_mode="block")).mode == "block"


def test_the_first_fitting_rule_decides():
    first = {"name": "a", "mode": "auto", "match": {"namespaces": ["media"]}}
    second = {"name": "b", "mode": "quorum", "requiredApprovers": 3, "requiredRole": "admin", "timeoutMinutes": 5}

    found = demanded(Policy([first, second]))

    assert (found.mode, found.rule, found.required_approvers) == ("quorum", "b", 3)
    assert (found.required_role, found.timeout_minutes) == ("admin", 5)


@pytest.mark.parametrize(
    "match",
    [
        {"severities": ["low"]},
        {"namespaces": ["media"]},
        {"resourceKinds": ["StatefulSet"]},
        {"clusters": ["us-1"]},
        {"tiers": ["critical"]},
        {"actionTypes": ["DeletePod"]},
    ],
)
def test_every_member_of_match_must_hold(match):
    assert mode({"mode": "auto", "match": match}) == "manual"


def test_match_ignores_case_and_takes_any_planned_action():
    match = {"resourceKinds": ["deployment"], "actionTypes": ["DeletePod", "RollbackDeployment"]}

    assert mode({"mode": "auto", "match": match}) == "auto"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"minConfidence": 0.8}, "auto"),
        ({"minConfidence": 0.81}, "manual"),
        ({"maxSeverity": "high"}, "auto"),
        ({"maxSeverity": "medium"}, "manual"),
        ({"historicalSuccessRate": 0.9}, "auto"),
        ({"historicalSuccessRate": 0.95}, "manual"),
    ],
)
def test_auto_holds_only_while_its_conditions_do(conditions, expected):
    assert mode({"mode": "auto", "autoApproveConditions": conditions}) == expected


def test_no_history_is_not_a_good_history():
    rule = {"mode": "auto", "autoApproveConditions": {"historicalSuccessRate": 0.5}}

    assert mode(rule, success_rate=None) == "manual"


@pytest.mark.parametrize(
    "rule",
    [
        {"mode": "sometimes"},
        {"mode": "auto", "requiredRole": "king"},
        {"mode": "auto", "match": ["high"]},
        {"mode": "auto", "autoApproveConditions": {"minConfidence": "much"}},
        {"mode": "auto", "changeWindow": {"timezone": "Mars/Base"}},
    ],
)
def test_a_rule_that_cannot_be_understood_asks_a_person(rule):
    assert mode(rule) == "manual"


def test_rules_that_are_no_list_ask_a_person():
    assert demanded(Policy("nonsense")).mode == "manual"


MONDAY = datetime(2027, 4, 12, tzinfo=UTC)
OFFICE = {"timezone": "UTC", "allowedDays": ["Mon", "Tue"], "startHour": 9, "endHour": 17}
NIGHT = {"timezone": "UTC", "allowedDays": ["Mon"], "startHour": 22, "endHour": 4}


@pytest.mark.parametrize(
    ("window", "at", "opens"),
    [
        (OFFICE, MONDAY.replace(hour=9), MONDAY.replace(hour=9)),
        (OFFICE, MONDAY.replace(hour=8), MONDAY.replace(hour=9)),
        (OFFICE, MONDAY.replace(hour=17), MONDAY.replace(day=13, hour=9)),
        (OFFICE, MONDAY.replace(day=13, hour=17), MONDAY.replace(day=19, hour=9)),
        (NIGHT, MONDAY.replace(hour=23), MONDAY.replace(hour=23)),
        (NIGHT, MONDAY.replace(day=13, hour=3), MONDAY.replace(day=13, hour=3)),
        (NIGHT, MONDAY.replace(day=13, hour=4), MONDAY.replace(day=19, hour=22)),
        (
            {"timezone": "Europe/Berlin", "allowedDays": ["Mon"], "startHour": 9, "endHour": 10},
            MONDAY,
            MONDAY.replace(hour=7),
        ),
    ],
)
def test_change_windows(window, at, opens):
    assert next_opening(window, at) == opens


def test_a_window_without_days_means_working_days():
    saturday = MONDAY.replace(day=17, hour=12)

    assert next_opening({"startHour": 0, "endHour": 24}, saturday) == MONDAY.replace(day=19)
