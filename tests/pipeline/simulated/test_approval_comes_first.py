from collections.abc import Callable

import pytest

from aiops.simulator.scenarios import image
from tests.pipeline.simulated.journey import Journey, name_of
from tests.runbooks.simulated import deployment, image_of

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def journeys(begin: Callable[..., Journey]) -> list[Journey]:
    return [begin("crash-loop", automation="approve") for _ in range(2)]


def test_nothing_is_changed_before_a_person_agrees(journeys):
    journey, _ = journeys
    incident = journey.incident("Remediating")
    approval = journey.approval(incident)
    journey.looked()

    assert approval["status"]["state"] == "Pending"
    assert journey.plans(incident)[0]["status"]["state"] == "WaitingApproval"
    assert journey.changes() == []

    journey.platform.post(f"/approvals/{name_of(approval)}/approve", approvedBy="kim", comment="as discussed")
    incident = journey.incident("Resolved")

    assert image_of(deployment(journey.simulated)) == image("checkout", "1.4.0")
    assert journey.tells(incident, "ApprovalRequired", "ApprovalDecision", "RemediationAction", "Verification")
    assert journey.postmortem(incident)["report"]["remediationApplied"]["result"] == "success"


def test_a_rejected_plan_changes_nothing(journeys):
    _, journey = journeys
    approval = journey.approval(journey.incident("Remediating"))

    journey.platform.post(f"/approvals/{name_of(approval)}/reject", rejectedBy="kim", reason="freeze")
    incident = journey.incident("Escalated")
    journey.looked()

    (plan,) = journey.plans(incident)
    assert (plan["status"]["state"], plan["status"]["result"]) == ("Failed", "Rejected by kim: freeze")
    assert image_of(deployment(journey.simulated)) == image("checkout", "2.4.0")
    assert journey.changes() == []
