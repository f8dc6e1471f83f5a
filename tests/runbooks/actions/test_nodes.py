import pytest

from aiops.clients.kubernetes import KubernetesClient
from runbooks.actions import ACTIONS, ActionRefused, Call, Target

CHECKOUT = Target("Deployment", "checkout", "shop")


def call(client: KubernetesClient, **params: str) -> Call:
    return Call(client, CHECKOUT, params, plan="plan-1", key="key-1")


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
