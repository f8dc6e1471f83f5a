from decimal import Decimal

import pytest

from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster
from runbooks.actions import ACTIONS, ActionRefused, Call, Target
from tests.runbooks.simulated import deployment, insisting, settled

CHECKOUT = Target("Deployment", "checkout", "shop")


def call(client: KubernetesClient, **params: str) -> Call:
    return Call(client, CHECKOUT, params, plan="plan-1", key="key-1")


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
