from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from aiops.apikeys.roles import Role
from runbooks.api.serializers import remediation_document
from runbooks.models import RemediationPlan
from tests.conftest import NOON
from tests.factories import make_approval, make_incident, make_plan, make_runbook, make_step
from tests.runbooks.api.conftest import client_of

URL = "/api/v1/remediations"


class TestList:
    def test_item(self, viewer: Client) -> None:
        plan = make_plan(state="Completed", result="Healthy", attempt=2)
        make_step(plan=plan, index=0, action="kubectl", action_type="", command="get pods")
        make_step(plan=plan, index=1, action_type="AdjustResources", params={"memoryLimit": "1Gi"})

        (item,) = viewer.get(URL).json()["items"]

        assert item["issueRef"] == plan.incident.name
        assert item["actions"] == [{"type": "AdjustResources", "params": {"memoryLimit": "1Gi"}}]
        assert (item["agenticMode"], item["agenticStepCount"], item["attempt"]) == (False, 0, 2)

    @pytest.mark.parametrize("query", ["state=waitingapproval", "issue=INC-1", "namespace=bank"])
    def test_filters(self, viewer: Client, query: str) -> None:
        make_plan(incident=make_incident(name="INC-1", namespace="bank"), state="WaitingApproval", name="wanted")
        make_plan(state="Completed")

        assert [item["name"] for item in viewer.get(f"{URL}?{query}").json()["items"]] == ["wanted"]

    def test_refuses_an_unknown_state(self, viewer: Client) -> None:
        assert viewer.get(f"{URL}?state=Paused").status_code == 400

    def test_costs_four_queries(self, viewer: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        viewer.get(URL)
        for _ in range(4):
            make_step()

        with django_assert_num_queries(4):
            viewer.get(URL)

    def test_nobody_creates_one_here(self, admin: Client) -> None:
        assert admin.post(URL, {}, content_type="application/json").status_code == 405


class TestRead:
    def test_both_halves_agree(self, viewer: Client) -> None:
        plan = make_plan(
            state="RolledBack",
            rollback_performed=True,
            rollback_result="restored",
            evidence=[{"type": "rollback", "data": "restored", "timestamp": "2027-04-12T12:00:00Z"}],
        )
        make_step(plan=plan, index=0, state="Failed", completed_at=NOON)

        document = viewer.get(f"{URL}/{plan.name}").json()

        spec, status = document["spec"], document["status"]
        assert document["kind"] == "RemediationPlan"
        for member in ("state", "result", "evidence", "rollbackPerformed", "rollbackResult"):
            assert spec[member] == status[member]
        assert spec["agenticHistory"] == []
        assert status["actionCheckpoints"] == [
            {
                "actionIndex": 0,
                "actionType": "RollbackDeployment",
                "success": False,
                "timestamp": "2027-04-12T12:00:00Z",
            }
        ]

    def test_unknown(self, viewer: Client) -> None:
        assert viewer.get(f"{URL}/nothing").status_code == 404


class TestRemediationDocument:
    @pytest.mark.django_db
    def test_shows_what_waits_for_whom(self) -> None:
        runbook = make_runbook(plans_completed=2, execution_seconds=480)
        plan = make_plan(
            state="WaitingApproval",
            runbook=runbook,
            runbook_name=runbook.name,
            approval_required=True,
            blast_radius={"riskLevel": "medium"},
        )
        make_step(plan=plan, index=0, name="read", action="kubectl", action_type="", state="Completed")
        make_step(plan=plan, index=1, name="undo")
        approval = make_approval(plan=plan)

        document = remediation_document(RemediationPlan.objects.get(pk=plan.pk))

        assert document["kind"] == "Remediation"
        assert document["metadata"]["name"] == plan.incident.name
        assert document["metadata"]["plan"] == plan.name
        assert document["spec"]["strategy"] == "automated"
        status = document["status"]
        assert (status["phase"], status["estimatedDuration"], status["riskLevel"]) == (
            "PendingApproval",
            "4m",
            "medium",
        )
        read, undo = status["steps"]
        assert (read["status"], read["approvalName"]) == ("Completed", None)
        assert (undo["status"], undo["approvalName"]) == ("PendingApproval", approval.name)

    @pytest.mark.django_db
    def test_a_step_for_people_makes_it_manual(self) -> None:
        step = make_step(action="script", action_type="", command="call the vendor")

        assert remediation_document(step.plan)["spec"]["strategy"] == "manual"


def cancel(client: Client, plan: RemediationPlan, **body: Any) -> Any:
    return client.post(f"{URL}/{plan.name}/cancel", body, content_type="application/json")


class TestCancel:
    def test_a_waiting_plan(self, operator: Client) -> None:
        plan = make_plan(state="WaitingApproval", approval_required=True)
        make_approval(plan=plan)

        answer = cancel(operator, plan, cancelledBy="ines", reason="wrong runbook")

        assert answer.status_code == 200
        assert answer.json()["kind"] == "RemediationPlan"

    def test_a_finished_plan(self, operator: Client) -> None:
        assert cancel(operator, make_plan(state="Completed"), cancelledBy="ines", reason="x").status_code == 409

    def test_bad_input(self, operator: Client) -> None:
        assert cancel(operator, make_plan(), reason="x").status_code == 400

    def test_wrong_role(self, viewer: Client) -> None:
        assert cancel(viewer, make_plan(), cancelledBy="vera").status_code == 403

    def test_outside_the_scope(self, db: None) -> None:
        assert cancel(client_of(Role.OPERATOR, clusters=["other"]), make_plan(), cancelledBy="x").status_code == 404


def complete(client: Client, plan: RemediationPlan, step: str, **body: Any) -> Any:
    return client.post(f"{URL}/{plan.name}/steps/{step}/complete", body, content_type="application/json")


class TestCompleteStep:
    def test_a_manual_step(self, operator: Client) -> None:
        plan = make_plan(state="Executing")
        make_step(plan=plan, index=0, name="call", action="script", action_type="", state="Running", started_at=NOON)

        answer = complete(operator, plan, "call", completedBy="ines", note="they know")

        assert answer.status_code == 200
        assert answer.json()["status"]["actionCheckpoints"][0]["success"] is True

    @pytest.mark.parametrize("name", ["call/write", "ring é", "50 %"])
    def test_a_step_of_any_name(self, operator: Client, name: str) -> None:
        plan = make_plan(state="Executing")
        make_step(plan=plan, index=0, name=name, action="script", action_type="", state="Running", started_at=NOON)

        assert complete(operator, plan, quote(name), completedBy="ines").status_code == 200

    @pytest.mark.parametrize("name", ["nothing", "%00", "a/b"])
    def test_an_unknown_step(self, operator: Client, name: str) -> None:
        assert complete(operator, make_plan(state="Executing"), name, completedBy="ines").status_code == 404

    def test_a_step_that_is_not_manual(self, operator: Client) -> None:
        plan = make_plan(state="Executing")
        make_step(plan=plan, index=0, name="undo", state="Running")

        assert complete(operator, plan, "undo", completedBy="ines").status_code == 409

    def test_bad_input(self, operator: Client) -> None:
        assert complete(operator, make_plan(), "x", note="y").status_code == 400

    def test_wrong_role(self, viewer: Client) -> None:
        assert complete(viewer, make_plan(), "x", completedBy="vera").status_code == 403
