from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from runbooks.actions import Target
from runbooks.models import AutomationSwitch, Runbook
from runbooks.services import dry_run
from runbooks.services.dry_run import DryRun
from tests.conftest import NOON
from tests.factories import make_cluster, make_incident, make_runbook

pytestmark = pytest.mark.django_db

CHECKOUT = Target("Deployment", "checkout", "shop")


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(scenario="healthy", speed=200) as cluster:
        cluster.set_image("shop", "checkout", "registry.example/checkout:1.5.0")
        cluster.wait_for(
            lambda c: (c.get("Deployment", "shop", "checkout") or {})["status"].get("updatedReplicas") == 3
        )
        yield cluster


@pytest.fixture
def cluster(db: None, simulated: SimulatedCluster) -> Cluster:
    return federation.register(
        name="simulated", kubeconfig=simulated.kubeconfig, automation="suggest", actor=SYSTEM, at=timezone.now()
    )


def step(action: str, *, command: str | None = None, **params: str) -> dict[str, Any]:
    return {
        "name": action,
        "description": action,
        "action": action,
        "command": command,
        "timeout": "1m",
        "continueOnFailure": False,
        "params": params,
    }


def book(*steps: dict[str, Any]) -> Runbook:
    return make_runbook(steps=list(steps))


def on_checkout(cluster: Cluster | None, *steps: dict[str, Any]) -> DryRun:
    return dry_run.dry_run(runbook=book(*steps), cluster=cluster, target=CHECKOUT, at=NOON)


class TestDryRun:
    def test_shows_the_difference(self, cluster: Cluster) -> None:
        result = on_checkout(cluster, step("AdjustResources", memoryLimit="150%"))

        (found,) = result.steps
        assert found.verdict == "ok", found.reason
        assert "-              memory: 256Mi" in found.diff
        assert "+              memory: 384Mi" in found.diff
        assert result.blast_radius is not None
        assert result.blast_radius["affectedPods"] == 3
        assert result.blast_radius["affectedServices"] == ["checkout"]

    def test_changes_nothing(self, cluster: Cluster, simulated: SimulatedCluster) -> None:
        before = simulated.get("Deployment", "shop", "checkout")

        on_checkout(cluster, step("RollbackDeployment"), step("RestartDeployment"))

        assert simulated.get("Deployment", "shop", "checkout") == before

    def test_translates_commands(self, cluster: Cluster) -> None:
        (found,) = on_checkout(cluster, step("kubectl", command="rollout restart deployment/checkout")).steps

        assert (found.action, found.action_type, found.verdict) == ("kubectl", "RestartDeployment", "ok")

    def test_the_envelope_refuses(self, cluster: Cluster) -> None:
        (found,) = on_checkout(cluster, step("ScaleDeployment", replicas="40")).steps

        assert found.verdict == "refused"
        assert found.reason

    def test_the_kill_switch_refuses(self, cluster: Cluster) -> None:
        AutomationSwitch.objects.create(stopped=True, reason="maintenance", changed_at=NOON)

        (found,) = on_checkout(cluster, step("RestartDeployment")).steps

        assert found.verdict == "refused"
        assert "maintenance" in found.reason

    def test_what_has_no_executor_is_unsupported(self, cluster: Cluster) -> None:
        (found,) = on_checkout(cluster, step("HelmRollback")).steps

        assert found.verdict == "unsupported"

    def test_another_object_is_refused(self, cluster: Cluster) -> None:
        (found,) = on_checkout(cluster, step("kubectl", command="scale deployment/ledger --replicas=3")).steps

        assert found.verdict == "refused"

    def test_an_action_for_another_kind_is_refused(self, cluster: Cluster) -> None:
        (found,) = on_checkout(cluster, step("RetryJob")).steps

        assert found.verdict == "refused"

    def test_steps_that_change_nothing_are_fine(self) -> None:
        steps = [step(action, command="x") for action in ("script", "ai-analyze", "notification", "wait")]

        result = on_checkout(None, *steps, step("kubectl", command="get pods"))

        assert {found.verdict for found in result.steps} == {"ok"}
        assert result.blast_radius is None

    def test_without_a_cluster(self) -> None:
        (found,) = on_checkout(None, step("RestartDeployment")).steps

        assert found.verdict == "error"

    def test_an_unreachable_cluster_is_asked_once(self, cluster: Cluster, simulated: SimulatedCluster) -> None:
        simulated.drop_connections(count=None)
        simulated.clear_requests()
        try:
            result = on_checkout(cluster, *[step("RestartDeployment") | {"name": str(number)} for number in range(5)])
        finally:
            simulated.clear_faults()

        assert {found.verdict for found in result.steps} == {"error"}
        assert len(simulated.requests) < 5

    def test_an_unknown_object(self, cluster: Cluster) -> None:
        target = Target("Deployment", "nothing", "shop")

        result = dry_run.dry_run(runbook=book(step("RestartDeployment")), cluster=cluster, target=target, at=NOON)

        assert result.steps[0].verdict == "error"
        assert result.blast_radius is None


class TestOnIncident:
    def test_takes_the_incident_s_object(self, cluster: Cluster) -> None:
        incident = make_incident(cluster=cluster, namespace="shop", resource_name="checkout")

        result = dry_run.on_incident(runbook=book(step("RestartDeployment")), incident=incident, at=NOON)

        assert result.steps[0].verdict == "ok"

    def test_credentials_that_cannot_be_used(self) -> None:
        incident = make_incident(cluster=make_cluster())

        result = dry_run.on_incident(runbook=book(step("RestartDeployment")), incident=incident, at=NOON)

        assert result.steps[0].verdict == "error"
