from collections.abc import Callable, Iterator

import pytest

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from aiops.notifications import configuration
from aiops.notifications.models import Channel, Notification, Policy
from aiops.simulator.scenarios import image
from tests.conftest import NOON
from tests.pipeline.simulated.journey import Document, Journey, name_of
from tests.runbooks.simulated import deployment, image_of, is_settled

pytestmark = pytest.mark.journey

SCENARIOS = ("crash-loop", "oom", "image-pull-error", "stuck-rollout", "failed-job")


@pytest.fixture(scope="module", autouse=True)
def told(db) -> Iterator[None]:
    """A policy that wants to hear of these, and a channel whose receiver does not listen."""
    channel = Channel(name="ops", type="slack", config={})
    secrets = {"url": "http://127.0.0.1:9/services/none"}
    configuration.save_channel(channel=channel, secrets=secrets, actor=SYSTEM, at=NOON)
    rule = {"name": "shop", "match": {"namespaces": ["shop"]}, "channels": ["ops"]}
    policy = Policy(name="shop", rules=[rule])
    configuration.save_policy(policy=policy, actor=SYSTEM, at=NOON)
    yield
    policy.delete()


@pytest.fixture(scope="module")
def journeys(begin: Callable[..., Journey], told: None) -> dict[str, Journey]:
    return {scenario: begin(scenario) for scenario in SCENARIOS}


def is_written_up(journey: Journey, incident: Document, *, runbook: str) -> bool:
    """Whether the postmortem tells what was done, with success, and the whole story."""
    report = journey.postmortem(incident)["report"]
    applied = report["remediationApplied"]
    is_complete = len(report["timeline"]) == incident["status"]["timelineCount"]
    return is_complete and (applied["runbook"], applied["result"]) == (runbook, "success")


def test_release_that_crashes(journeys):
    journey = journeys["crash-loop"]

    incident = journey.incident("Resolved")

    assert (incident["spec"]["resource"], incident["spec"]["signalType"]) == (
        "Deployment/checkout",
        "crashloop_backoff",
    )
    assert "rollout of revision 2" in journey.root_cause(incident)
    assert "cannot parse configuration" in journey.root_cause(incident)
    assert image_of(deployment(journey.simulated)) == image("checkout", "1.4.0")
    assert is_settled(journey.simulated)
    assert is_written_up(journey, incident, runbook="undo-crashing-rollout")


def test_every_stage_leaves_its_trace(journeys):
    journey = journeys["crash-loop"]

    incident = journey.incident("Resolved")

    assert journey.tells(
        incident, "Detection", "Analysis", "RunbookMatch", "RemediationAction", "Verification", "Resolution"
    )
    (plan,) = journey.plans(incident)
    assert plan["status"]["state"] == "Completed"
    assert [(step["actionType"], step["success"]) for step in plan["status"]["actionCheckpoints"]] == [
        ("last-words", True),
        ("RollbackDeployment", True),
    ]
    assert plan["status"]["preflightSnapshot"]["containerImages"] == {"web": image("checkout", "2.4.0")}
    told = Notification.objects.filter(incident_name=name_of(incident)).values_list("event", flat=True)
    assert {"incident_created", "remediation_started", "remediation_completed", "incident_resolved"} <= set(told)
    assert list(audit.verify()) == []


def test_container_that_needs_more_memory_than_its_limit(journeys):
    journey = journeys["oom"]

    incident = journey.incident("Resolved")

    assert (incident["spec"]["resource"], incident["spec"]["signalType"]) == ("Deployment/ledger", "oom_kill")
    assert "needs more memory than its limit of 256Mi allows" in journey.root_cause(incident)
    (container,) = deployment(journey.simulated, "ledger")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "384Mi"
    assert is_settled(journey.simulated, "ledger")
    assert is_written_up(journey, incident, runbook="raise-memory-limit")


def test_image_that_cannot_be_pulled(journeys):
    journey = journeys["image-pull-error"]

    incident = journey.incident("Resolved")

    assert (incident["spec"]["resource"], incident["spec"]["signalType"]) == ("Deployment/checkout", "image_pull_error")
    assert "does not exist in the registry" in journey.root_cause(incident)
    assert image_of(deployment(journey.simulated)) == image("checkout", "1.4.0")
    assert is_settled(journey.simulated)
    assert is_written_up(journey, incident, runbook="undo-unpullable-image")


def test_rollout_that_is_stuck(journeys):
    journey = journeys["stuck-rollout"]

    incident = journey.incident("Resolved")

    assert (incident["spec"]["resource"], incident["spec"]["signalType"]) == ("Deployment/catalog", "deploy_failing")
    assert "0 of 12 shards ready" in journey.root_cause(incident)
    assert image_of(deployment(journey.simulated, "catalog")) == image("catalog", "3.0.0")
    assert is_settled(journey.simulated, "catalog")
    assert is_written_up(journey, incident, runbook="undo-stuck-rollout")


def test_job_that_failed_for_good(journeys):
    journey = journeys["failed-job"]

    incident = journey.incident("Resolved")

    assert (incident["spec"]["resource"], incident["spec"]["signalType"]) == ("Job/import-feed", "job_failed")
    assert "feed returned 503" in journey.root_cause(incident)
    (job,) = journey.simulated.list("Job", "shop")
    assert job["metadata"]["name"].startswith("import-feed-retry-")
    assert job["status"]["succeeded"] == 1
    assert is_written_up(journey, incident, runbook="retry-failed-job")
