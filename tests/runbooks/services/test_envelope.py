"""What the envelope reads from the database and the cluster; the rules themselves are tested in `test_policy.py`."""

from datetime import timedelta
from typing import Any

import pytest

from federation.models import Cluster
from runbooks.actions import ACTIONS, Call, Target
from runbooks.models import AutomationSwitch
from runbooks.services import blast_radius, envelope
from tests.conftest import NOON
from tests.factories import make_incident, make_plan
from tests.runbooks.actions.test_switches import autoscaler
from tests.runbooks.services.stage import cluster_row
from tests.runbooks.simulated import settled

pytestmark = pytest.mark.django_db
CHECKOUT = Target("Deployment", "checkout", "shop")


@pytest.fixture
def row(simulated) -> Cluster:
    settled(simulated)
    return cluster_row(simulated)


def rules(row: Cluster, client: Any, action: str, plan: Any = None, **params: str) -> list[str]:
    change = ACTIONS[action].prepare(Call(client, CHECKOUT, params))
    here = envelope.Circumstances(cluster=row, target=CHECKOUT, at=NOON, approvers=1, plan=plan)
    return [refusal.rule for refusal in envelope.refusals(client=client, change=change, circumstances=here)]


def test_an_ordinary_change_is_allowed(row, client):
    assert rules(row, client, "RestartDeployment") == []


def test_reads_the_level_anew(row, client):
    Cluster.objects.update(automation="off")

    assert rules(row, client, "RestartDeployment") == ["automation"]


@pytest.mark.parametrize("everywhere", [True, False])
def test_reads_the_kill_switches(row, client, everywhere):
    AutomationSwitch.objects.create(cluster=None if everywhere else row, stopped=True, changed_at=NOON)

    assert rules(row, client, "RestartDeployment") == ["kill-switch"]


def test_a_namespace_may_opt_out(simulated, row, client):
    simulated.patch("Namespace", "", "shop", {"metadata": {"annotations": {"aiops.io/remediation": "disabled"}}})

    assert rules(row, client, "RestartDeployment") == ["opt-out"]


def test_reads_the_maximum_of_the_autoscaler(simulated, row, client):
    simulated.apply(autoscaler(maximum=4))

    assert rules(row, client, "ScaleDeployment", replicas="5") == ["replicas"]


def test_reads_disruption_budgets(simulated, row, client):
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "checkout"}}},
    }
    simulated.apply(budget)

    assert rules(row, client, "DeletePod") == ["disruption"]


def test_reads_what_nodes_offer(simulated, row, client):
    for node in simulated.list("Node"):
        name = node["metadata"]["name"]
        simulated.patch("Node", "", name, {"status": {"allocatable": {"memory": "100Mi"}}}, subresource="status")

    assert rules(row, client, "AdjustResources", memoryLimit="200Mi") == ["resources"]


def test_counts_the_plans_of_the_last_hour(row, client):
    incident = make_incident(cluster=row)
    for hours in (0, 0, 0, 2):
        other = make_incident(cluster=row)
        started = NOON - timedelta(hours=hours, minutes=5)
        make_plan(incident=other, target_key=incident.correlation_key, state="Completed", started_at=started)
    plan = make_plan(incident=incident, state="Executing", started_at=NOON)

    assert rules(row, client, "RestartDeployment", plan) == ["rate"]


class TestBlastRadius:
    def test_counts_pods_and_names_services(self, row, client):
        change = ACTIONS["RestartDeployment"].prepare(Call(client, CHECKOUT, {}))

        radius = blast_radius.measure(client=client, target=CHECKOUT, changes=[change])

        assert radius.document() == {
            "riskLevel": "medium",
            "affectedPods": 3,
            "affectedServices": ["checkout"],
            "warnings": ["Rolling restart of all pods"],
        }

    def test_warns_of_tools_that_put_it_back(self, simulated, row, client):
        mark = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}}
        simulated.patch("Deployment", "shop", "checkout", mark)

        radius = blast_radius.measure(client=client, target=CHECKOUT, changes=[])

        assert radius.warnings == ("Argo CD manages the object and may put the change back",)

    @pytest.mark.parametrize(
        ("pods", "level"), [(2, "low"), (3, "medium"), (5, "medium"), (6, "high"), (11, "critical")]
    )
    def test_levels(self, pods, level):
        assert blast_radius.level(pods) == level
