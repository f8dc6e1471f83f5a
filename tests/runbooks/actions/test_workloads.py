from functools import partial
from typing import Any

import pytest

from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster
from runbooks.actions import ACTIONS, ActionRefused, Call, Target
from tests.runbooks.simulated import image_of, insisting

ORDERS = Target("StatefulSet", "orders-db", "shop")
AGENT = Target("DaemonSet", "log-agent", "shop")


def call(client: KubernetesClient, target: Target, **params: str) -> Call:
    return Call(client, target, params, plan="plan-1", key="key-1")


def release(simulated: SimulatedCluster, target: Target) -> tuple[str, str]:
    """Roll out another image; returns the old and the new one."""
    before = image(simulated, target)
    after = before.rpartition(":")[0] + ":next"
    simulated.set_image(target.namespace, target.name, after, kind=target.kind)
    simulated.wait_for(lambda cluster: len(revisions(cluster, target)) == 2)
    return before, after


def revisions(simulated: SimulatedCluster, target: Target) -> list[str]:
    found = simulated.list("ControllerRevision", target.namespace)
    return [item["metadata"]["name"] for item in found if item["metadata"]["name"].startswith(f"{target.name}-")]


def image(simulated: SimulatedCluster, target: Target) -> str:
    found = simulated.get(target.kind, target.namespace, target.name)
    assert found is not None
    return image_of(found)


class TestRollbackByRevision:
    @pytest.mark.parametrize("target", [ORDERS, AGENT], ids=str)
    def test_goes_back_and_can_be_undone(self, simulated, client, target):
        old, new = release(simulated, target)
        action, this = ACTIONS[f"Rollback{target.kind}"], call(client, target)

        def go_back() -> dict[str, Any]:
            change = action.prepare(this)
            snapshot = action.preview(this, change).snapshot
            action.execute(this, change)
            return snapshot

        snapshot = insisting(go_back)
        rolled_back = image(simulated, target)
        insisting(lambda: action.roll_back(this, snapshot))

        assert (rolled_back, image(simulated, target)) == (old, new)

    def test_refuses_when_there_is_only_one_revision(self, simulated, client):
        simulated.wait_for(lambda cluster: revisions(cluster, ORDERS))

        with pytest.raises(ActionRefused, match="only one revision"):
            ACTIONS["RollbackStatefulSet"].prepare(call(client, ORDERS))

    @pytest.mark.parametrize("wanted", ["healthy", "9"])
    def test_refuses_a_revision_that_is_not_known(self, simulated, client, wanted):
        release(simulated, ORDERS)

        with pytest.raises(ActionRefused):
            ACTIONS["RollbackStatefulSet"].prepare(call(client, ORDERS, toRevision=wanted))


def run(name: str, this: Call) -> None:
    ACTIONS[name].execute(this, ACTIONS[name].prepare(this))


def test_scales_and_restarts_a_stateful_set(simulated, client):
    for name, params in (("ScaleStatefulSet", {"replicas": "3"}), ("RestartStatefulSet", {})):
        this = call(client, ORDERS, **params)
        insisting(partial(run, name, this))

    found = simulated.get("StatefulSet", "shop", "orders-db")
    assert found is not None
    assert found["spec"]["replicas"] == 3
    assert "kubectl.kubernetes.io/restartedAt" in found["spec"]["template"]["metadata"]["annotations"]


def test_adjusts_the_resources_of_a_daemon_set(simulated, client):
    this = call(client, AGENT, memoryLimit="150%")

    change = ACTIONS["AdjustDaemonSetResources"].prepare(this)

    assert change.effect.restarts_pods
