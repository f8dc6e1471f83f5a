"""Two remediations that do not help: one is undone and another one tried, one leaves only people."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiops.audit.actor import SYSTEM
from aiops.notifications import configuration
from aiops.notifications.models import Channel
from aiops.simulator.images import Behavior
from aiops.simulator.scenarios import image
from incidents.models import EscalationPolicy, EscalationRun
from tests.conftest import NOON
from tests.pipeline.simulated.journey import Journey, name_of
from tests.processes import eventually
from tests.runbooks.simulated import deployment, settled
from tests.servers import HttpServer, http_server

pytestmark = pytest.mark.journey

SECRET = "whsec_dGVzdHMtb25seS1ub3QtYS1zZWNyZXQtMDEyMzQ1Njc="
MORE_MEMORY = {
    "name": "more-memory-for-everything",
    "category": "crashloop",
    "description": "Give a crashing container twice the memory, whatever it crashes of",
    "severity": ["critical", "high", "medium", "low"],
    "automated": True,
    "approvalRequired": False,
    "rollbackOnFailure": True,
    "trigger": {"signalType": "crashloop_backoff", "resourceKind": "Deployment"},
    "matchConditions": {"namespaces": ["lab"]},
    "steps": [
        {
            "name": "more-memory",
            "description": "Double the limit",
            "action": "AdjustResources",
            "timeout": "1m",
            "params": {"memoryLimit": "200%"},
        }
    ],
}


@pytest.fixture(scope="module")
def pager(db) -> Iterator[HttpServer]:
    """A web hook, and a policy that calls it for incidents in namespace `night`."""
    levels = [
        {"name": name, "notifyChannels": ["pager"], "timeoutMinutes": 15} for name in ("first line", "second line")
    ]
    with http_server() as server:
        channel = Channel(name="pager", type="webhook", config={"url": server.url})
        configuration.save_channel(channel=channel, secrets={"secret": SECRET}, actor=SYSTEM, at=NOON)
        policy = EscalationPolicy.objects.create(
            name="night-shift", namespaces=["night"], starts_on="escalated", levels=levels, created_at=NOON, updated_at=NOON
        )  # fmt: skip
        yield server
        policy.delete()


@pytest.fixture(scope="module")
def lab(begin: Callable[..., Journey]) -> Journey:
    """A release crashes, and there is a runbook that gives it more memory."""
    journey = begin("healthy")
    journey.platform.post("/runbooks", **MORE_MEMORY)
    journey.run("lab", "api")
    settled(journey.simulated, "api", "lab")
    journey.simulated.break_workload("lab", "api", "crash-loop")
    return journey


@pytest.fixture(scope="module")
def night(begin: Callable[..., Journey], pager: HttpServer, lab: Journey) -> Journey:
    """Something crashes that never ran, so there is nothing to go back to; a person agrees to try a restart."""
    journey = begin("healthy")
    journey.simulated.set_behavior(image("batch", "1.0.0"), Behavior(exit_code=1, ready=False))
    journey.run("night", "batch")
    restart = journey.approval(journey.incident("Remediating"))
    journey.platform.post(f"/approvals/{name_of(restart)}/approve", approvedBy="kim")
    return journey


def test_is_undone_and_another_runbook_is_tried(lab, night):
    incident = lab.incident("Resolved")

    first, second = lab.plans(incident)
    assert [action["type"] for action in first["spec"]["actions"]] == ["AdjustResources"]
    assert (first["status"]["state"], first["status"]["rollbackPerformed"]) == ("RolledBack", True)
    assert [action["type"] for action in second["spec"]["actions"]] == ["RollbackDeployment"]
    assert lab.tells(incident, "RemediationAction", "Rollback", "RemediationAction", "Verification", "Resolution")
    settled(lab.simulated, "api", "lab")
    (container,) = deployment(lab.simulated, "api", "lab")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "256Mi"


def test_people_are_called_when_the_attempts_are_used_up(night, pager):
    incident = night.incident("Escalated")

    assert incident["status"]["remediationAttempts"] == incident["status"]["maxRemediationAttempts"] == 2
    assert {plan["status"]["state"] for plan in night.plans(incident)} <= {"Failed", "RolledBack"}
    (call,) = eventually(lambda: calls(pager), or_say="the pager is called")
    assert call["data"]["incident"] == name_of(incident)

    run = EscalationRun.objects.get(incident__name=name_of(incident))
    assert run.due_at is not None
    night.platform.post(f"/incidents/{name_of(incident)}/acknowledge", acknowledgedBy="kim")
    run.refresh_from_db()
    assert run.due_at is None


def calls(pager: HttpServer) -> list[dict[str, Any]]:
    return [request.json() for request in pager.received]
