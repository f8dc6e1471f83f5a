from typing import Any

import pytest

from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.scenarios import image
from aiops.simulator.workloads import job
from runbooks.actions import ACTIONS, ActionRefused, Call, Target
from tests.runbooks.simulated import insisting, settled

CHECKOUT = Target("Deployment", "checkout", "shop")


def autoscaler(maximum: int = 4) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
            "minReplicas": 2,
            "maxReplicas": maximum,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
                }
            ],
        },
    }


def maximum(simulated: SimulatedCluster) -> int:
    found = simulated.get("HorizontalPodAutoscaler", "shop", "checkout")
    assert found is not None
    return int(found["spec"]["maxReplicas"])


class TestAdjustHPA:
    adjust = ACTIONS["AdjustHPA"]

    def test_finds_the_autoscaler_of_the_target(self, simulated: SimulatedCluster, client):
        settled(simulated)
        simulated.apply(autoscaler())
        call = Call(client, CHECKOUT, {"maxReplicas": "6"}, "plan-1", "key-1")
        change = self.adjust.prepare(call)
        snapshot = self.adjust.preview(call, change).snapshot

        self.adjust.execute(call, change)
        raised = maximum(simulated)
        self.adjust.roll_back(call, snapshot)

        assert (change.effect.autoscaled, raised) == ((4, 6), 6)
        assert maximum(simulated) == 4

    def test_refuses_a_workload_without_autoscaler(self, client):
        with pytest.raises(ActionRefused, match="No autoscaler"):
            self.adjust.prepare(Call(client, CHECKOUT, {"maxReplicas": "6"}))

    def test_refuses_a_minimum_above_the_maximum(self, simulated, client):
        simulated.apply(autoscaler())

        with pytest.raises(ActionRefused, match="above the maximum"):
            self.adjust.prepare(Call(client, CHECKOUT, {"minReplicas": "5"}))

    @pytest.mark.parametrize("params", [{}, {"minReplicas": "3", "maxReplicas": "2"}, {"maxReplicas": "0"}])
    def test_complains_about_parameters(self, params):
        assert self.adjust.validate(params)


class TestSuspension:
    def test_suspends_and_resumes_a_job(self, simulated, client):
        simulated.apply(job("shop", "report", image("report", "1.0.0")))
        call = Call(client, Target("Job", "report", "shop"), {}, "plan-1", "key-1")
        suspend, resume = ACTIONS["SuspendJob"], ACTIONS["ResumeJob"]

        insisting(lambda: suspend.execute(call, suspend.prepare(call)))
        suspended = simulated.get("Job", "shop", "report")["spec"]["suspend"]
        insisting(lambda: resume.execute(call, resume.prepare(call)))

        assert (suspended, simulated.get("Job", "shop", "report")["spec"]["suspend"]) == (True, False)

    def test_refuses_what_is_so_already(self, simulated, client):
        simulated.apply(job("shop", "report", image("report", "1.0.0")))

        with pytest.raises(ActionRefused, match="already running"):
            ACTIONS["ResumeJob"].prepare(Call(client, Target("Job", "report", "shop"), {}))
