"""A worker dies between "step running" and "step done". What the next one does depends on whether the change arrived."""

import pytest
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from incidents.models import Incident
from runbooks.models import PlanStep, RemediationPlan
from runbooks.services import library
from tests.processes import Stack, eventually, running

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

CHECKOUT = "/apis/apps/v1/namespaces/shop/deployments/checkout"
CHANGE = rf"^PATCH {CHECKOUT}\?(?!.*dryRun)"
FOR_EVER = 600.0


@pytest.fixture
def simulated():
    with SimulatedCluster(scenario="crash-loop", speed=50) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def registered(simulated):
    library.load_built_in(actor=SYSTEM, at=timezone.now())
    federation.register(
        name="harbor",
        kubeconfig=simulated.kubeconfig,
        automation="auto",
        tier="non-critical",
        actor=SYSTEM,
        at=timezone.now(),
    )


class TestStepWhoseWorkerIsKilled:
    def test_is_done_when_the_change_never_arrived(self, simulated, tmp_path):
        simulated.hang(CHANGE, FOR_EVER, count=1)

        with running(tmp_path, AIOPS_DETECTION_GRACE="1") as stack:
            kill_in_the_middle(simulated, stack)
            plan = finished_by_another(stack)

        assert plan.state == "Completed"
        assert changes(simulated) == 2
        assert revisions(simulated) == ROLLED_BACK_ONCE

    def test_is_not_repeated_when_the_change_was_made(self, simulated, tmp_path):
        simulated.delay_answers(CHANGE, FOR_EVER)

        with running(tmp_path, AIOPS_DETECTION_GRACE="1") as stack:
            kill_in_the_middle(simulated, stack)
            plan = finished_by_another(stack)

        assert plan.state == "Completed"
        assert rollback_step().output == "Found done after an interruption"
        assert changes(simulated) == 1
        assert revisions(simulated) == ROLLED_BACK_ONCE

    def test_happens_once_when_the_change_arrives_late(self, simulated, tmp_path):
        simulated.hang(CHANGE, 3, count=1)

        with running(tmp_path, AIOPS_DETECTION_GRACE="1") as stack:
            kill_in_the_middle(simulated, stack)
            plan = finished_by_another(stack)

        assert plan.state == "Completed"
        assert revisions(simulated) == ROLLED_BACK_ONCE


# the good revision, the bad one, and the good one again
ROLLED_BACK_ONCE = 3


def kill_in_the_middle(simulated: SimulatedCluster, stack: Stack) -> None:
    """Let the line run until the worker waits for the answer to its change, and kill it there."""
    worker = stack.start_worker()
    stack.start_beat()
    eventually(lambda: changes(simulated), or_say="the worker changes the cluster")
    assert rollback_step().state == "Running"
    worker.kill()


def finished_by_another(stack: Stack) -> RemediationPlan:
    stack.start_worker()
    # as if what the dead worker held had ended by itself, which takes up to three minutes
    RemediationPlan.objects.update(leased_until=timezone.now())
    Cluster.objects.update(next_poll_at=timezone.now())
    eventually(lambda: Incident.objects.filter(state="Resolved"), or_say="the incident is resolved")
    return RemediationPlan.objects.get()


def changes(simulated: SimulatedCluster) -> int:
    """Requests to change the deployment, without those that only try."""
    return sum(
        (method, path) == ("PATCH", CHECKOUT) and "dryRun" not in query for method, path, query in simulated.requests
    )


def revisions(simulated: SimulatedCluster) -> int:
    """The number that the latest rollout of the deployment has."""
    deployment = simulated.get("Deployment", "shop", "checkout")
    assert deployment is not None
    return int(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def rollback_step() -> PlanStep:
    return PlanStep.objects.get(action_type="RollbackDeployment")
