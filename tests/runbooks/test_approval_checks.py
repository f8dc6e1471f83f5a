from typing import Any

import pytest

from runbooks.approval_checks import complaints

FULL = {
    "name": "production",
    "match": {"severities": ["critical"], "namespaces": ["shop"], "actionTypes": ["ScaleDeployment"], "tiers": []},
    "mode": "quorum",
    "requiredRole": "admin",
    "requiredApprovers": 2,
    "timeoutMinutes": 60,
    "changeWindow": {"timezone": "Europe/Berlin", "allowedDays": ["Mon", "friday"], "startHour": 22, "endHour": 4},
    "autoApproveConditions": {"minConfidence": 0.9, "maxSeverity": "medium", "historicalSuccessRate": 1},
}


@pytest.mark.parametrize("rules", [[], [FULL], [{"name": "least"}]])
def test_fine(rules: list[Any]) -> None:
    assert complaints(rules) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": " "}, "rules[0].name"),
        ({"mode": "maybe"}, "rules[0].mode"),
        ({"requiredRole": "viewer"}, "rules[0].requiredRole"),
        ({"requiredApprovers": 0}, "rules[0].requiredApprovers"),
        ({"requiredApprovers": True}, "rules[0].requiredApprovers"),
        ({"timeoutMinutes": "60"}, "rules[0].timeoutMinutes"),
        ({"match": []}, "rules[0].match"),
        ({"match": {"severities": ["worst"]}}, "rules[0].match.severities"),
        ({"match": {"namespaces": "shop"}}, "rules[0].match.namespaces"),
        ({"match": {"teams": []}}, "rules[0].match.teams"),
        ({"autoApproveConditions": {"minConfidence": 90}}, "rules[0].autoApproveConditions.minConfidence"),
        ({"autoApproveConditions": {"maxSeverity": "worst"}}, "rules[0].autoApproveConditions.maxSeverity"),
        ({"changeWindow": {"timezone": "Mars/Olympus"}}, "rules[0].changeWindow"),
        ({"changeWindow": {"allowedDays": ["Someday"]}}, "rules[0].changeWindow.allowedDays"),
        ({"changeWindow": {"startHour": 25}}, "rules[0].changeWindow"),
        ({"chnageWindow": {}}, "rules[0].chnageWindow"),
    ],
)
def test_names_the_place(change: dict[str, Any], place: str) -> None:
    (complaint,) = complaints([FULL | change])

    assert complaint.startswith(f"{place}: ")


@pytest.mark.parametrize("rules", [None, {}, "x", [1], [None], [[]]])
def test_nonsense(rules: Any) -> None:
    assert complaints(rules)
