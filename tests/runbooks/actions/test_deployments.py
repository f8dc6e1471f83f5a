from contextlib import suppress

import pytest

from aiops.clients.errors import VersionConflict
from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster
from runbooks.actions import ACTIONS, ActionRefused, Call, NothingToChange, Target
from tests.runbooks.simulated import deployment, image_of, is_crashing, settled

CHECKOUT = Target("Deployment", "checkout", "shop")


def call(client: KubernetesClient, key: str = "key-1", **params: str) -> Call:
    return Call(client, CHECKOUT, params, plan="plan-1", key=key)


class TestScale:
    scale = ACTIONS["ScaleDeployment"]

    def test_preview_changes_nothing(self, simulated, client):
        settled(simulated)

        preview = self.scale.preview(call(client, replicas="5"), self.scale.prepare(call(client, replicas="5")))

        assert (preview.before["spec"]["replicas"], preview.after["spec"]["replicas"]) == (3, 5)
        assert deployment(simulated)["spec"]["replicas"] == 3

    def test_execute_marks_the_object_with_plan_and_step(self, simulated, client):
        settled(simulated)
        this = call(client, replicas="5")

        self.scale.execute(this, self.scale.prepare(this))

        changed = settled(simulated)
        assert changed["spec"]["replicas"] == 5
        assert changed["metadata"]["annotations"]["aiops.io/step"] == "key-1"
        assert changed["metadata"]["annotations"]["aiops.io/plan"] == "plan-1"

    def test_knows_whether_it_was_applied(self, simulated, client):
        settled(simulated)
        this = call(client, replicas="5")
        change = self.scale.prepare(this)
        before = self.scale.applied(this, {})

        self.scale.execute(this, change)

        assert (before, self.scale.applied(this, {})) == (False, True)
        assert not self.scale.applied(call(client, key="key-2", replicas="5"), {})

    def test_refuses_to_write_over_a_newer_version(self, simulated, client):
        settled(simulated)
        change = self.scale.prepare(call(client, replicas="5"))
        simulated.patch("Deployment", "shop", "checkout", {"metadata": {"labels": {"touched": "yes"}}})

        with pytest.raises(VersionConflict):
            self.scale.execute(call(client, replicas="5"), change)

    def test_rolls_back_to_the_number_before(self, simulated, client):
        settled(simulated)
        this = call(client, replicas="5")
        change = self.scale.prepare(this)
        snapshot = self.scale.preview(this, change).snapshot
        self.scale.execute(this, change)
        settled(simulated)

        self.scale.roll_back(this, snapshot)

        assert deployment(simulated)["spec"]["replicas"] == 3
        assert "as it was" in self.scale.roll_back(this, snapshot)  # again is harmless

    def test_does_not_roll_back_what_somebody_else_changed_since(self, simulated, client):
        settled(simulated)
        this = call(client, replicas="5")
        change = self.scale.prepare(this)
        snapshot = self.scale.preview(this, change).snapshot
        self.scale.execute(this, change)
        simulated.patch("Deployment", "shop", "checkout", {"spec": {"replicas": 7}})

        with pytest.raises(ActionRefused, match="changed by somebody else"):
            self.scale.roll_back(this, snapshot)

    def test_has_nothing_to_do_when_the_number_is_right(self, simulated, client):
        with pytest.raises(NothingToChange):
            self.scale.prepare(call(client, replicas="3"))

    @pytest.mark.parametrize("params", [{}, {"replicas": "-1"}, {"replicas": "two"}, {"replicas": "0"}, {"size": "1"}])
    def test_complains_about_parameters(self, params):
        assert self.scale.validate(params)

    def test_takes_both_spellings_of_a_parameter(self):
        assert not ACTIONS["AdjustResources"].validate({"memory_limit": "1Gi"})
        assert not ACTIONS["AdjustResources"].validate({"memoryLimit": "150%"})


class TestRestart:
    def test_replaces_the_pods(self, simulated, client):
        settled(simulated)
        before = {pod["metadata"]["uid"] for pod in simulated.list("Pod", "shop")}
        action, this = ACTIONS["RestartDeployment"], call(client)

        action.execute(this, action.prepare(this))
        settled(simulated)

        pods = [pod for pod in simulated.list("Pod", "shop") if pod["metadata"]["name"].startswith("checkout-")]
        after = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        assert len(after) == 3
        assert not before.intersection(pod["metadata"]["uid"] for pod in after)


class TestRollback:
    rollback = ACTIONS["RollbackDeployment"]

    def release_bad_image(self, simulated: SimulatedCluster) -> str:
        good = image_of(settled(simulated))
        simulated.break_workload("shop", "checkout", "crash-loop")
        simulated.wait_for(is_crashing)
        return good

    def test_goes_back_to_the_revision_that_serves(self, simulated, client):
        good = self.release_bad_image(simulated)

        self.rollback.execute(call(client), self.rollback.prepare(call(client)))

        restored = settled(simulated)
        assert image_of(restored) == good
        assert "pod-template-hash" not in restored["spec"]["template"]["metadata"]["labels"]

    def test_goes_to_a_revision_by_number(self, simulated, client):
        good = self.release_bad_image(simulated)

        change = self.rollback.prepare(call(client, toRevision="1"))

        assert good in change.summary

    def test_refuses_an_unknown_revision(self, simulated, client):
        with pytest.raises(ActionRefused, match="no revision 9"):
            self.rollback.prepare(call(client, toRevision="9"))

    def test_refuses_when_there_is_only_one_revision(self, simulated, client):
        settled(simulated)

        with pytest.raises(ActionRefused, match="only one revision"):
            self.rollback.prepare(call(client))

    def test_can_be_undone(self, simulated, client):
        self.release_bad_image(simulated)
        bad = image_of(deployment(simulated))
        this = call(client)
        change = self.rollback.prepare(this)
        snapshot = self.rollback.preview(this, change).snapshot
        self.rollback.execute(this, change)
        settled(simulated)

        for _ in range(20):  # as who undoes a step does: the status of pods that go may move on in between
            with suppress(VersionConflict):
                self.rollback.roll_back(this, snapshot)
                break

        assert image_of(deployment(simulated)) == bad
