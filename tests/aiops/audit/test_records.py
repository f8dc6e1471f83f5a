import pytest

from aiops.audit.records import subject


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("Incident", "Incident"),
        ("ApprovalRequest", "Approval"),
        ("RemediationPlan", "Remediation"),
        ("ClusterRegistration", "Cluster"),
        ("NotificationChannel", "Config"),
        ("Audit", "Audit"),
    ],
)
def test_kinds_have_the_names_of_the_contract(kind: str, shown: str) -> None:
    assert subject(kind) == shown
