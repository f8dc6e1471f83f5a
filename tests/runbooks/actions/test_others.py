"""Resources, pods, nodes and jobs."""

from decimal import Decimal

import pytest

from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.images import Behavior
from aiops.simulator.scenarios import image
from aiops.simulator.workloads import job
from runbooks.actions import ACTIONS, ActionRefused, Call, Target
from runbooks.actions.jobs import retry_name
from tests.runbooks.simulated import deployment, insisting, settled

CHECKOUT = Target("Deployment", "checkout", "shop")


def call(client: KubernetesClient, target: Target = CHECKOUT, **params: str) -> Call:
    return Call(client, target, params, plan="plan-1", key="key-1")


def limits(simulated: SimulatedCluster) -> dict[str, str]:
    return dict(deployment(simulated)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"])


class TestAdjustResources:
    adjust = ACTIONS["AdjustResources"]

    def test_takes_a_percentage_of_the_current_value(self, simulated, client):
        settled(simulated)
        this = call(client, memoryLimit="150%")
        change = self.adjust.prepare(this)
        (effect,) = change.effect.resources

        self.adjust.execute(this, change)

        assert effect.current is not None and effect.wanted == effect.current * Decimal("1.5")
        assert limits(simulated)["memory"] == f"{int(effect.wanted / 1024 / 1024)}Mi"

    def test_rolls_back(self, simulated, client):
        settled(simulated)
        before, this = limits(simulated), call(client, memoryLimit="777Mi")
        change = self.adjust.prepare(this)
        snapshot = self.adjust.preview(this, change).snapshot
        self.adjust.execute(this, change)
        changed = limits(simulated)

        insisting(lambda: self.adjust.roll_back(this, snapshot))

        assert changed["memory"] == "777Mi"
        assert limits(simulated) == before

    def test_refuses_a_limit_below_the_request(self, simulated, client):
        with pytest.raises(ActionRefused, match="below its request"):
            self.adjust.prepare(call(client, memoryLimit="1Mi"))

    def test_refuses_an_unknown_container(self, simulated, client):
        with pytest.raises(ActionRefused, match="no container"):
            self.adjust.prepare(call(client, container="sidecar", memoryLimit="1Gi"))

    @pytest.mark.parametrize(
        "params",
        [{}, {"container": "web"}, {"memoryLimit": "much"}, {"memoryLimit": "1Gi", "memoryRequest": "2Gi"}],
    )
    def test_complains_about_parameters(self, params):
        assert self.adjust.validate(params)


class TestDeletePod:
    delete = ACTIONS["DeletePod"]

    def test_evicts_the_pod_and_sees_that_it_did(self, simulated, client):
        settled(simulated)
        pod = next(pod for pod in simulated.list("Pod", "shop") if pod["metadata"]["name"].startswith("checkout-"))
        this = call(client, pod=pod["metadata"]["name"])
        change = self.delete.prepare(this)
        snapshot = self.delete.preview(this, change).snapshot
        before = self.delete.applied(this, snapshot)

        self.delete.execute(this, change)

        assert (before, self.delete.applied(this, snapshot)) == (False, True)
        settled(simulated)

    def test_refuses_a_pod_of_another_workload(self, simulated, client):
        settled(simulated, "catalog")
        pod = next(pod for pod in simulated.list("Pod", "shop") if pod["metadata"]["name"].startswith("catalog-"))

        with pytest.raises(ActionRefused, match="does not belong"):
            self.delete.prepare(call(client, pod=pod["metadata"]["name"]))

    def test_refuses_the_last_ready_pod(self, simulated, client):
        simulated.patch("Deployment", "shop", "checkout", {"spec": {"replicas": 1}})
        settled(simulated)

        with pytest.raises(ActionRefused, match="last ready"):
            self.delete.prepare(call(client))


class TestNodes:
    def test_cordons_uncordons_and_rolls_back(self, simulated, client):
        cordon, uncordon = ACTIONS["CordonNode"], ACTIONS["UncordonNode"]
        this = call(client, node="node-2")
        change = cordon.prepare(this)
        snapshot = cordon.preview(this, change).snapshot

        cordon.execute(this, change)
        cordoned = simulated.get("Node", "", "node-2")["spec"].get("unschedulable")
        uncordon.execute(this, uncordon.prepare(this))
        with pytest.raises(ActionRefused):
            uncordon.prepare(this)

        assert cordoned is True
        assert "as it was" in cordon.roll_back(this, snapshot)

    def test_needs_a_node(self, client):
        with pytest.raises(ActionRefused, match="needs the name of a node"):
            ACTIONS["CordonNode"].prepare(call(client))


class TestRetryJob:
    retry = ACTIONS["RetryJob"]
    target = Target("Job", "import-feed", "shop")

    @pytest.fixture
    def failed(self, simulated: SimulatedCluster) -> SimulatedCluster:
        of_image = image("import", "1.3.0")
        simulated.set_behavior(of_image, Behavior(exit_code=3, sick_owners=1))
        simulated.apply(job("shop", "import-feed", of_image))
        simulated.wait_for(self.has_failed, timeout=30)
        return simulated

    @staticmethod
    def has_failed(cluster: SimulatedCluster) -> bool:
        found = cluster.get("Job", "shop", "import-feed") or {}
        return any(item["type"] == "Failed" for item in found.get("status", {}).get("conditions", []))

    def test_runs_a_copy_and_deletes_the_failed_job(self, failed, client):
        this = call(client, self.target)
        change = self.retry.prepare(this)
        preview = self.retry.preview(this, change)
        untouched = [item["metadata"]["name"] for item in failed.list("Job", "shop")]

        self.retry.execute(this, change)

        assert untouched == ["import-feed"]
        failed.wait_for(lambda cluster: cluster.get("Job", "shop", "import-feed") is None)
        assert failed.get("Job", "shop", preview.snapshot["retry"]) is not None
        assert self.retry.applied(this, preview.snapshot)

    def test_again_with_the_same_key_meets_its_own_copy(self, failed, client):
        this = call(client, self.target)
        change = self.retry.prepare(this)
        client.create("Job", "shop", change.facts["copy"])  # the worker died right after this

        self.retry.execute(this, change)

        names = [item["metadata"]["name"] for item in failed.list("Job", "shop")]
        assert len([name for name in names if name.startswith("import-feed-retry-")]) == 1

    def test_refuses_a_job_that_has_not_failed(self, simulated, client):
        simulated.apply(job("shop", "report", image("report", "1.0.0")))

        with pytest.raises(ActionRefused, match="has not failed"):
            self.retry.prepare(call(client, Target("Job", "report", "shop")))

    def test_names_fit(self):
        name = retry_name("a" * 63, "key")

        assert len(name) == 63
        assert retry_name(name, "key") == name  # a retry of a retry does not grow
