"""Plans against a simulated cluster over HTTP, from the analyzed incident to its end."""

from datetime import timedelta

import pytest

from aiops.audit.actor import SYSTEM
from aiops.errors import Conflict
from federation import services as federation
from federation.models import Cluster
from incidents.models import Incident, PostMortem
from runbooks.actions import ACTIONS, ActionRefused
from runbooks.actions.base import understood
from runbooks.models import AutomationSwitch, PlanStep, RemediationPlan
from runbooks.services import execution, leases, preflight
from tests.conftest import NOON
from tests.factories import STEP, make_anomaly, make_cluster, make_plan
from tests.runbooks.services import stage
from tests.runbooks.services.stage import Driver, analyzed_incident, cluster_row, runbook
from tests.runbooks.simulated import deployment, image_of, is_crashing, settled
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_a_hurry(settings) -> None:
    settings.AIOPS_VERIFY_SOAK, settings.AIOPS_VERIFY_INTERVAL, settings.AIOPS_POLL_INTERVAL = 10, 5, 1


@pytest.fixture
def row(simulated) -> Cluster:
    settled(simulated)
    return cluster_row(simulated)


def planned(row: Cluster, **incident) -> Driver:
    return Driver(stage.planned(analyzed_incident(row, **incident)))


class TestAdvance:
    def test_runs_verifies_and_resolves(self, simulated, row):
        good = image_of(deployment(simulated))
        simulated.break_workload("shop", "checkout", "crash-loop")
        simulated.wait_for(is_crashing)
        used = runbook("RollbackDeployment")
        driver = planned(row)

        driver.until("Verifying")
        settled(simulated)
        driver.looked_at()
        plan = driver.until("Completed")

        assert image_of(deployment(simulated)) == good
        incident = Incident.objects.get()
        assert (incident.state, incident.remediation_attempts) == ("Resolved", 1)
        assert "Roll Deployment/checkout back" in incident.resolution
        assert PostMortem.objects.filter(incident=incident).exists()
        assert plan.preflight_snapshot["containerImages"] != {}
        assert plan.blast_radius["affectedServices"] == ["checkout"]
        used.refresh_from_db()
        assert (used.times_used, used.plans_completed) == (1, 1)

    def test_waits_until_the_soak_time_is_over(self, row, settings):
        settings.AIOPS_VERIFY_SOAK, settings.AIOPS_VERIFY_INTERVAL = 120, 5
        runbook("RestartDeployment")
        driver = planned(row)

        driver.until("Verifying")
        driver.looked_at()
        plan = driver.until("Completed")

        assert plan.completed_at - plan.actions_completed_at >= timedelta(seconds=120)

    def test_a_signal_that_fires_keeps_it_from_being_verified(self, row):
        runbook("RestartDeployment")
        driver = planned(row)
        make_anomaly(incident=driver.plan.incident)

        driver.until("Verifying")
        driver.looked_at()
        plan = driver.until("Completed", "Failed", "RolledBack", most=400)

        assert plan.state == "RolledBack"
        assert "still firing" in plan.result

    def test_a_cluster_that_nobody_looked_at_since_proves_nothing(self, simulated, row):
        runbook("RestartDeployment")
        driver = planned(row)

        driver.until("Verifying")
        settled(simulated)
        simulated.wait_for(
            lambda c: sum(pod["metadata"]["name"].startswith("checkout-") for pod in c.list("Pod", "shop")) == 3
        )
        for _ in range(5):
            driver.step()

        assert driver.plan.verification["good"] == 0
        assert driver.plan.verification["lastReason"] == "the cluster was not looked at since"

    def test_rolls_back_what_did_not_help_and_tries_again_later(self, simulated, row):
        runbook("ScaleDeployment", params={"replicas": "5"})
        driver = planned(row)
        make_anomaly(incident=driver.plan.incident)

        driver.until("Verifying")
        settled(simulated)
        driver.looked_at()
        plan = driver.until("RolledBack", most=400)

        assert deployment(simulated)["spec"]["replicas"] == 3
        assert plan.rollback_performed and "restored" in plan.rollback_result
        incident = Incident.objects.get()
        assert incident.state == "Analyzing"
        assert incident.due_at is not None and incident.due_at > plan.completed_at

    def test_escalates_when_somebody_else_changed_what_it_would_undo(self, simulated, row):
        runbook("ScaleDeployment", params={"replicas": "5"})
        driver = planned(row)
        make_anomaly(incident=driver.plan.incident)

        driver.until("Verifying")
        simulated.patch("Deployment", "shop", "checkout", {"spec": {"replicas": 4}})
        driver.looked_at()
        plan = driver.until("Failed", most=400)

        assert deployment(simulated)["spec"]["replicas"] == 4
        assert "changed by somebody else" in plan.rollback_result
        assert Incident.objects.get().state == "Escalated"

    def test_escalates_when_the_attempts_are_used_up(self, row):
        runbook("ScaleDeployment", params={"replicas": "5"})
        driver = planned(row, max_remediation_attempts=1)
        make_anomaly(incident=driver.plan.incident)

        driver.until("Verifying")
        driver.looked_at()
        driver.until("RolledBack", most=400)

        assert Incident.objects.get().state == "Escalated"

    def test_silencing_a_workload_contains_the_incident(self, simulated, row):
        runbook("ScaleDeployment", params={"replicas": "0", "containment": "true"})
        driver = planned(row)

        driver.until("Verifying")
        settled(simulated)
        driver.looked_at()
        driver.until("Completed")

        incident = Incident.objects.get()
        assert (incident.state, incident.requires_human_action) == ("Contained", True)
        assert incident.required_action == "Repair Deployment/checkout and scale it up again"

    def test_a_sick_node_is_contained_by_cordoning_it(self, simulated, row):
        simulated.lose_node("node-2")
        runbook("CordonNode")
        driver = planned(row, resource_kind="Node", resource_name="node-2", namespace="default")

        driver.until("Verifying")
        driver.looked_at()
        driver.until("Completed")

        incident = Incident.objects.get()
        assert incident.state == "Contained"
        assert incident.required_action == "Repair Node/node-2 and uncordon it"

    def test_a_finished_plan_is_left_alone(self, row):
        runbook("RestartDeployment")
        driver = planned(row)
        RemediationPlan.objects.update(state="Failed")

        assert not execution.advance(plan_id=driver.plan.pk, at=NOON, holder="worker")

    def test_a_plan_that_somebody_works_on_is_left_alone(self, row):
        runbook("RestartDeployment")
        driver = planned(row)
        leases.claim(plan_id=driver.plan.pk, at=NOON, holder="other")

        assert not execution.advance(plan_id=driver.plan.pk, at=NOON, holder="worker")
        assert driver.plan.pk not in execution.due(at=NOON)
        assert driver.plan.pk in execution.due(at=NOON + leases.lease())


class TestEnvelope:
    def test_a_refused_plan_fails_and_says_why(self, simulated, row):
        runbook("ScaleDeployment", params={"replicas": "9"})
        driver = planned(row)

        plan = driver.until("Failed")

        assert "9 replicas are more than 6" in plan.result
        assert deployment(simulated)["spec"]["replicas"] == 3
        assert plan.incident.decisions.filter(stage="refuse", rule="replicas").exists()

    def test_the_kill_switch_stops_a_plan_between_its_steps(self, simulated, row):
        two = [
            STEP | {"name": "wait", "action": "wait", "timeout": "1m"},
            STEP | {"name": "r", "action": "RestartDeployment"},
        ]
        runbook("wait", steps=two)
        driver = planned(row)
        driver.when(lambda plan: plan.steps.filter(state="Completed").exists())
        before = deployment(simulated)["metadata"]["generation"]

        AutomationSwitch.objects.create(stopped=True, reason="release freeze", changed_at=NOON)
        plan = driver.until("Failed")

        assert "release freeze" in plan.result
        assert deployment(simulated)["metadata"]["generation"] == before
        assert Incident.objects.get().state == "Escalated"

    def test_the_kill_switch_stops_going_back_as_well(self, simulated, row):
        scale = STEP | {"name": "scale", "action": "ScaleDeployment", "params": {"replicas": "5"}}
        runbook("wait", steps=[scale, STEP | {"name": "restart", "action": "RestartDeployment"}])
        driver = planned(row)
        driver.when(lambda plan: plan.steps.filter(state="Completed").exists())

        AutomationSwitch.objects.create(cluster=row, stopped=True, changed_at=NOON)
        plan = driver.until("Failed")

        assert "not undone: automation is stopped" in plan.rollback_result
        assert deployment(simulated)["spec"]["replicas"] == 5

    def test_an_annotation_on_the_workload_opts_out(self, simulated, row):
        mark = {"metadata": {"annotations": {"aiops.io/remediation": "disabled"}}}
        simulated.patch("Deployment", "shop", "checkout", mark)
        runbook("RestartDeployment")

        plan = planned(row).until("Failed")

        assert "Deployment/checkout carries the annotation" in plan.result

    def test_protected_namespaces_are_never_touched(self, row, settings):
        settings.AIOPS_PROTECTED_NAMESPACES = ["sh*"]
        runbook("RestartDeployment")

        plan = planned(row).until("Failed")

        assert "namespace shop is protected" in plan.result

    def test_an_action_without_executor_fails_with_its_reason(self, row):
        runbook("HelmRollback")

        plan = planned(row).until("Failed")

        assert "HelmRollback is not supported yet" in plan.result


class TestInterruption:
    """A worker died between `Running` and `Completed`, and its lease ran out."""

    def interrupted(self, row: Cluster, *, was_applied: bool) -> tuple[Driver, PlanStep]:
        runbook("ScaleDeployment", params={"replicas": "5"})
        driver = planned(row)
        driver.until("Executing")
        plan = leases.claim(plan_id=driver.plan.pk, at=driver.at, holder="dead")
        assert plan is not None and plan.cluster is not None
        step = plan.steps.get()
        client = federation.connect(plan.cluster)
        call, action = preflight.call_for(plan, step, client, NOON), ACTIONS["ScaleDeployment"]
        change = action.prepare(call)
        step.move_to("Running", started_at=driver.at, snapshot=action.preview(call, change).snapshot)
        if was_applied:
            action.execute(call, change)
        driver.at += leases.lease()
        return driver, step

    def test_what_was_done_is_not_done_again(self, simulated, row):
        driver, step = self.interrupted(row, was_applied=True)
        simulated.clear_requests()

        driver.step()

        step.refresh_from_db()
        assert (step.state, step.output) == ("Completed", "Found done after an interruption")
        assert not [method for method, _, _ in simulated.requests if method != "GET"]

    def test_what_was_not_done_is_done(self, simulated, row):
        driver, step = self.interrupted(row, was_applied=False)

        driver.step()

        step.refresh_from_db()
        assert step.state == "Completed"
        assert deployment(simulated)["spec"]["replicas"] == 5

    def test_a_cancelled_plan_undoes_what_the_dead_worker_did(self, simulated, row):
        driver, _ = self.interrupted(row, was_applied=True)
        execution.cancel(plan=driver.plan, by="ines", reason="wrong", actor=SYSTEM, at=driver.at)

        plan = driver.until("RolledBack")

        assert deployment(simulated)["spec"]["replicas"] == 3
        assert plan.result.startswith("Cancelled by ines: wrong")


class TestClusterAway:
    def test_asks_again_later_and_then_goes_on(self, simulated, row):
        runbook("RestartDeployment")
        driver = planned(row)
        simulated.fail_next(2, status=503)

        driver.step()
        waiting = driver.plan.due_at
        plan = driver.until("Verifying")

        assert waiting > NOON
        assert plan.tries == 0

    def test_gives_up_after_some_minutes(self, simulated, row):
        runbook("RestartDeployment")
        driver = planned(row)
        simulated.fail_next(None, status=503)

        plan = driver.until("Failed")

        assert "does not answer" in plan.result
        assert Incident.objects.get().state == "Analyzing"

    def test_a_refusal_of_the_server_fails_the_step(self, simulated, row):
        runbook("RestartDeployment")
        driver = planned(row)
        driver.until("Executing")
        simulated.fail_next(1, status=403, match="PATCH")

        driver.step()
        plan = driver.until("Failed")

        assert plan.steps.get().state == "Failed"


class TestSteps:
    def steps(self, *steps, **overrides):
        return runbook("wait", steps=[STEP | {"name": f"s{n}"} | step for n, step in enumerate(steps)], **overrides)

    def test_diagnostics_are_read_and_kept(self, row):
        self.steps({"action": "kubectl", "command": "get pods"}, {"action": "RestartDeployment"})
        driver = planned(row)

        driver.until("Verifying")

        assert "checkout-" in driver.plan.steps.get(name="s0").output

    def test_a_mutating_command_becomes_a_typed_action(self, simulated, row):
        self.steps({"action": "kubectl", "command": "scale deployment/$DEPLOYMENT --replicas=4"})
        driver = planned(row)

        driver.until("Verifying")

        assert driver.plan.steps.get().action_type == "ScaleDeployment"
        assert deployment(simulated)["spec"]["replicas"] == 4

    def test_a_command_on_another_object_is_refused(self, row):
        self.steps({"action": "kubectl", "command": "scale deployment/catalog --replicas=4"})

        plan = planned(row).until("Failed")

        assert "Deployment/catalog is not the Deployment/checkout" in plan.result

    def test_a_script_waits_for_a_person(self, row):
        self.steps({"action": "script", "command": "./restart.sh"})
        driver = planned(row)
        driver.when(lambda plan: plan.steps.filter(state="Running").exists())
        waits = driver.plan.due_at is None

        execution.complete_step(plan=driver.plan, step_name="s0", by="ines", note="done", actor=SYSTEM, at=driver.at)
        driver.plan.refresh_from_db()
        driver.until("Verifying")

        assert waits
        assert driver.plan.steps.get().output == "Done by ines: done"

    def test_wait_takes_its_time_without_a_sleeping_process(self, row):
        self.steps({"action": "wait", "timeout": "5m"})
        driver = planned(row)

        plan = driver.until("Verifying")

        assert plan.actions_completed_at - plan.started_at >= timedelta(minutes=5)

    def test_continues_after_a_failure_where_the_runbook_says_so(self, row):
        self.steps(
            {"action": "RestartDeployment"},
            {"action": "kubectl", "command": "logs pod/gone", "continueOnFailure": True},
        )
        driver = planned(row)

        driver.until("Verifying")

        assert driver.plan.steps.get(name="s1").state == "Failed"


class TestCancel:
    def test_a_plan_that_did_nothing_ends_at_once(self, row):
        runbook("RestartDeployment", approval_required=True)
        driver = planned(row)
        driver.until("WaitingApproval")

        plan = execution.cancel(plan=driver.plan, by="ines", reason="not now", actor=SYSTEM, at=NOON)

        assert (plan.state, plan.result) == ("Failed", "Cancelled by ines: not now")
        assert plan.approval.state == "Expired"

    def test_refuses_a_finished_plan(self, row):
        runbook("RestartDeployment")
        driver = planned(row)
        RemediationPlan.objects.update(state="Completed")

        with pytest.raises(Conflict):
            execution.cancel(plan=driver.plan, by="ines", actor=SYSTEM, at=NOON)

    def test_a_resolved_incident_ends_its_plan(self, row):
        from incidents.services import lifecycle

        runbook("RestartDeployment", approval_required=True)
        driver = planned(row)
        driver.until("WaitingApproval")
        lifecycle.resolve(incident=Incident.objects.get(), resolution="fixed", actor=SYSTEM, at=NOON)

        found = execution.due(at=NOON)
        plan = driver.until("Failed")

        assert found == [plan.pk]
        assert plan.approval.state == "Expired"


class TestTwoWorkers:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_do_every_step_once(self, simulated, row):
        postgresql_only()
        runbook("RestartDeployment")
        driver = planned(row)
        driver.until("Executing")
        simulated.clear_requests()

        at_once(4, lambda n: execution.advance(plan_id=driver.plan.pk, at=driver.at, holder=f"worker-{n}"))
        driver.until("Verifying")

        written = [query for method, _, query in simulated.requests if method == "PATCH" and "dryRun" not in query]
        assert len(written) == 1


class TestQueries:
    def test_a_sample_costs_a_fixed_number(self, row, django_assert_max_num_queries):
        runbook("RestartDeployment")
        driver = planned(row)
        driver.until("Verifying")

        with django_assert_max_num_queries(15):
            driver.step()


class TestConcurrency:
    def test_a_plan_waits_while_the_cluster_has_no_room(self, row):
        Cluster.objects.update(max_concurrent_remediations=1)
        other = make_plan(cluster=row, state="Verifying", verification={"slot": True})
        runbook("RestartDeployment")
        driver = planned(row)
        driver.until("Executing")

        driver.step()
        waited = (driver.plan.state, driver.plan.due_at > driver.at)
        RemediationPlan.objects.filter(pk=other.pk).update(state="Completed")
        driver.until("Verifying")

        assert waited == ("Executing", True)

    def test_a_plan_ends_when_the_same_one_failed_in_another_prod_cluster(self, simulated, row):
        Cluster.objects.update(environment="prod")
        runbook("RestartDeployment")
        driver = planned(row)
        driver.until("Executing")
        same = {"actions_digest": driver.plan.actions_digest, "target_name": driver.plan.target_name}
        other = make_cluster(environment="prod")
        times = {"started_at": NOON, "completed_at": NOON}
        make_plan(cluster=other, state="RolledBack", verification={"slot": True}, **same, **times)
        simulated.clear_requests()

        driver.until("Failed")

        assert "the same plan failed in another prod cluster" in driver.plan.result
        assert driver.plan.incident.state == "Escalated"
        assert not [method for method, _, _ in simulated.requests if method == "PATCH"]


class TestStrangeAnswers:
    def test_garbage_from_the_cluster_changes_nothing(self, simulated, row):
        runbook("RestartDeployment")
        driver = planned(row)
        simulated.garbage("GET", count=3)

        driver.step()
        waited = driver.plan.state
        driver.until("Verifying")

        assert waited == "Pending"

    def test_an_object_of_another_shape_is_refused(self, simulated, row):
        def strange():
            with understood():
                return int("many")

        with pytest.raises(ActionRefused, match="cannot be understood"):
            strange()
