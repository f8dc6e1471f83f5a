import pytest

from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.images import Behavior
from aiops.simulator.scenarios import image
from aiops.simulator.workloads import job
from runbooks.actions import ACTIONS, ActionRefused, Call, Target
from runbooks.actions.jobs import retry_name


def call(client: KubernetesClient, target: Target) -> Call:
    return Call(client, target, {}, plan="plan-1", key="key-1")


class TestRetryJob:
    retry = ACTIONS["RetryJob"]
    target = Target("Job", "import-feed", "shop")

    @pytest.fixture
    def failed(self, simulated: SimulatedCluster) -> SimulatedCluster:
        of_image = image("import", "1.3.0")
        simulated.set_behavior(of_image, Behavior(exit_code=3, sick_owners=1))
        simulated.apply(job("shop", "import-feed", of_image))
        simulated.wait_for(self.has_failed)
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
