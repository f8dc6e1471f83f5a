import pytest

from aiops.clients.kubernetes import KubernetesClient
from runbooks.actions import ACTIONS, ActionRefused, Call, Target
from tests.runbooks.simulated import deployment, settled

CHECKOUT = Target("Deployment", "checkout", "shop")


def call(client: KubernetesClient, **params: str) -> Call:
    return Call(client, CHECKOUT, params, plan="plan-1", key="key-1")


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

    def test_does_not_choose_a_pod_that_is_going_already(self, simulated, client):
        settled(simulated)
        simulated.patch("Deployment", "shop", "checkout", {"spec": {"replicas": 1}})

        # at once, while the others are still on their way out, and once they are gone: the last one stays
        with pytest.raises(ActionRefused, match="last ready"):
            simulated.wait_for(lambda c: deployment(c)["status"].get("replicas") == 1)
            self.delete.prepare(call(client))
