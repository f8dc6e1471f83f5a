from typing import Any

import pytest

from aiops.audit.actor import Actor, ActorKind
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, Invalid
from incidents.models import Incident
from incidents.services import lifecycle
from runbooks.models import RemediationPlan, Runbook
from runbooks.services import library, planning
from tests.conftest import NOON
from tests.factories import STEP, make_cluster, make_incident, make_plan, make_runbook
from tests.runbooks.services.stage import analyzed_incident, planned, runbook
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db
INES = Actor(kind=ActorKind.USER, name="key-1", role="operator")


def escalated_with(incident: Incident) -> str:
    incident.refresh_from_db()
    assert incident.state == "Escalated"
    return incident.timeline.filter(type="Escalation").get().message


class TestPlan:
    def test_makes_a_plan_from_the_runbook_that_fits(self):
        incident = analyzed_incident(make_cluster())
        fitting = runbook("RollbackDeployment")
        make_runbook(category="disk")

        plan = planned(incident)

        assert plan.runbook == fitting
        assert plan.name == f"remediation-{incident.name.lower()}-1"
        assert [(step.name, step.action_type, step.state) for step in plan.steps.all()] == [
            ("act", "RollbackDeployment", "Pending")
        ]
        incident.refresh_from_db()
        assert (incident.state, incident.runbook, incident.remediation_attempts) == ("Remediating", fitting.name, 1)
        assert incident.decisions.get(stage="match").verdict == fitting.name

    def test_is_harmless_when_called_twice(self):
        incident = analyzed_incident(make_cluster())
        runbook("RollbackDeployment")
        planning.plan(incident=incident, at=NOON)

        assert planning.plan(incident=incident, at=NOON) is None
        assert RemediationPlan.objects.count() == 1

    def test_waits_for_the_analysis(self):
        incident = make_incident(cluster=make_cluster(), state="Analyzing", due_at=NOON)

        assert planning.plan(incident=incident, at=NOON) is None
        assert planning.due(at=NOON) == []

    def test_the_sweep_finds_what_is_analyzed(self):
        incident = analyzed_incident(make_cluster())

        assert planning.due(at=NOON) == [incident.pk]

    def test_at_level_suggest_a_person_decides(self):
        incident = analyzed_incident(make_cluster(automation="suggest"))
        suggested = runbook("RollbackDeployment")

        assert planning.plan(incident=incident, at=NOON) is None

        assert suggested.name in escalated_with(incident)
        assert incident.runbook == suggested.name

    @pytest.mark.parametrize("level", ["off", "observe"])
    def test_below_suggest_nothing_is_planned(self, level):
        incident = analyzed_incident(make_cluster(automation=level))
        runbook("RollbackDeployment")

        assert planning.plan(incident=incident, at=NOON) is None
        assert level in escalated_with(incident)

    def test_without_a_cluster_a_person_decides(self):
        incident = analyzed_incident(None)

        assert planning.plan(incident=incident, at=NOON) is None
        assert "no registered cluster" in escalated_with(incident)

    def test_escalates_when_nothing_fits(self):
        incident = analyzed_incident(make_cluster())

        assert planning.plan(incident=incident, at=NOON) is None
        assert "no runbook fits" in escalated_with(incident)

    def test_makes_a_draft_from_what_the_analysis_suggests(self):
        incident = analyzed_incident(make_cluster())
        incident.insights.update(
            suggested_actions=[
                {"name": "undo", "action": "RollbackDeployment", "description": "Go back", "params": {}},
                {"name": "magic", "action": "FixEverything", "description": "?", "params": {}},
            ]
        )

        plan = planned(incident)

        made = Runbook.objects.get()
        assert plan.runbook == made
        assert (made.automated, made.approval_required, made.auto_generated) == (False, True, True)
        assert [step["action"] for step in made.steps] == ["RollbackDeployment"]

    def test_takes_the_draft_that_was_made_at_the_same_moment_for_another_cluster(self, monkeypatch):
        incident = analyzed_incident(make_cluster())
        incident.insights.update(suggested_actions=[{"name": "undo", "action": "RollbackDeployment", "params": {}}])
        create = library.create

        def beside_another(**given: Any) -> Runbook:
            create(**given)
            return create(**given)

        monkeypatch.setattr(library, "create", beside_another)

        assert planned(incident).runbook == Runbook.objects.get()

    def test_does_not_repeat_what_failed_on_this_incident(self):
        incident = analyzed_incident(make_cluster(), remediation_attempts=1)
        failed = runbook("RollbackDeployment")
        other = runbook("RestartDeployment", category="crashloop")
        digest = planning.digest_of(failed, planning.target_of(incident))
        make_plan(incident=incident, attempt=1, runbook=failed, state="Failed", actions_digest=digest)

        plan = planned(incident)

        assert plan.runbook == other

    def test_leaves_a_runbook_whose_attempts_are_used_up(self):
        incident = analyzed_incident(make_cluster(), remediation_attempts=1)
        used_up = runbook("RollbackDeployment", max_attempts=1)
        make_plan(incident=incident, attempt=1, runbook=used_up, state="Failed")

        assert planning.plan(incident=incident, at=NOON) is None

    def test_a_draft_for_one_workload_is_not_taken_for_another(self):
        incident = analyzed_incident(make_cluster())
        runbook("RollbackDeployment", auto_generated=True, labels={"aiops/workload": "Deployment/other"})

        assert planning.plan(incident=incident, at=NOON) is None

    def test_two_workers_make_one_plan(self, transactional_db):
        postgresql_only()
        incident = analyzed_incident(make_cluster())
        runbook("RollbackDeployment")

        results = at_once(4, lambda _: planning.plan(incident=incident, at=NOON))

        assert sum(isinstance(result, RemediationPlan) for result in results) == 1
        assert not [result for result in results if isinstance(result, Exception)]


class TestRemediate:
    def remediate(self, incident: Incident, name: str = "restart") -> Any:
        return planning.remediate(incident=incident, runbook_name=name, requested_by="ines", actor=INES, at=NOON)

    def test_starts_the_named_runbook(self):
        incident = make_incident(cluster=make_cluster(automation="suggest"), state="Escalated")
        runbook("RestartDeployment", name="restart")

        plan = self.remediate(incident)

        assert (plan.requested_by, plan.state) == ("ines", "Pending")
        incident.refresh_from_db()
        assert (incident.state, incident.runbook) == ("Remediating", "restart")
        record = AuditEvent.objects.get(action="remediation.create")
        assert (record.user, record.resource, record.correlation_id) == ("ines", plan.name, incident.name)

    def test_prefers_the_runbook_of_the_own_namespace(self):
        incident = make_incident(cluster=make_cluster(), state="Escalated")
        for namespace in ("aaa", "default", "shop"):
            runbook("RestartDeployment", name="restart", namespace=namespace)

        assert self.remediate(incident).runbook.namespace == "shop"

    def test_refuses_an_unknown_runbook(self):
        with pytest.raises(Invalid) as refusal:
            self.remediate(make_incident(cluster=make_cluster()), "nothing")

        assert "runbook" in refusal.value.fields

    @pytest.mark.parametrize("level", ["off", "observe"])
    def test_refuses_when_automation_is_off(self, level):
        runbook("RestartDeployment", name="restart")

        with pytest.raises(Conflict):
            self.remediate(make_incident(cluster=make_cluster(automation=level)))

    def test_refuses_while_a_plan_runs(self):
        incident = make_incident(cluster=make_cluster(), state="Remediating")
        make_plan(incident=incident, state="Verifying")
        runbook("RestartDeployment", name="restart")

        with pytest.raises(Conflict, match="running"):
            self.remediate(incident)

    def test_refuses_a_resolved_incident(self):
        incident = make_incident(cluster=make_cluster())
        lifecycle.resolve(incident=incident, actor=INES, at=NOON)
        runbook("RestartDeployment", name="restart")

        with pytest.raises(Conflict, match="resolved"):
            self.remediate(incident)

    def test_refuses_a_second_plan_on_the_same_object(self):
        running = make_plan(state="Executing")
        incident = make_incident(cluster=make_cluster(), state="Escalated")
        RemediationPlan.objects.filter(pk=running.pk).update(target_key=incident.correlation_key)
        runbook("RestartDeployment", name="restart")

        with pytest.raises(Conflict, match="running"):
            self.remediate(incident)

        incident.refresh_from_db()
        assert incident.state == "Escalated"

    def test_two_people_start_one_plan(self, transactional_db):
        postgresql_only()
        incident = make_incident(cluster=make_cluster(), state="Escalated")
        runbook("RestartDeployment", name="restart")

        results = at_once(4, lambda _: self.remediate(incident))

        assert sum(isinstance(result, RemediationPlan) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 3


def test_a_plan_keeps_the_steps_as_the_runbook_had_them():
    incident = analyzed_incident(make_cluster())
    steps = [
        STEP | {"name": "look", "action": "kubectl", "command": "get pods", "timeout": "30s"},
        STEP
        | {"name": "act", "action": "AdjustResources", "params": {"memory_limit": "1Gi"}, "continueOnFailure": True},
    ]
    runbook("wait", steps=steps)

    look, act = planned(incident).steps.order_by("index")

    assert (look.action_type, look.command, look.timeout_seconds) == ("", "get pods", 30)
    assert (act.params, act.continue_on_failure, act.timeout_seconds) == ({"memoryLimit": "1Gi"}, True, 60)
    assert look.key != act.key
