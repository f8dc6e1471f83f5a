from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from aiops.apikeys.roles import Role
from runbooks import steps
from runbooks.models import ApprovalDecision, ApprovalRequest, RemediationPlan
from tests.conftest import NOON
from tests.factories import make_approval, make_incident, make_plan, make_step
from tests.runbooks.api.conftest import client_of

URL = "/api/v1/approvals"


def overdue(**overrides: Any) -> ApprovalRequest:
    return make_approval(expires_at=timezone.now() - timedelta(seconds=1), **overrides)


def waiting(**overrides: Any) -> ApprovalRequest:
    return make_approval(expires_at=timezone.now() + timedelta(minutes=30), **overrides)


class TestList:
    @pytest.mark.parametrize("member", ["status", "state"])
    @pytest.mark.parametrize(
        ("value", "expected"),
        [("pending", "waiting"), ("Expired", "late expired"), ("APPROVED", "approved"), ("rejected", "rejected")],
    )
    def test_a_late_one_counts_as_expired(self, viewer: Client, member: str, value: str, expected: str) -> None:
        waiting(name="waiting", created_at=NOON)
        overdue(name="late", created_at=NOON)
        for state in ("Approved", "Rejected", "Expired"):
            overdue(name=state.lower(), state=state, created_at=NOON - timedelta(hours=1))

        items = viewer.get(f"{URL}?{member}={value}").json()["items"]

        assert " ".join(item["name"] for item in items) == expected
        assert {item["status"] for item in items} == {value.lower()}

    def test_item(self, viewer: Client) -> None:
        approval = waiting(state="Rejected", decided_at=NOON, decided_by="ines", decision_reason="too risky")

        (item,) = viewer.get(URL).json()["items"]

        assert item["incident"] == approval.incident.name
        assert (item["status"], item["state"]) == ("rejected", "Rejected")
        assert (item["rejectedBy"], item["approvedBy"], item["decidedBy"]) == ("ines", None, "ines")
        assert item["action"] == "Roll back Deployment/checkout"

    def test_filters_by_incident_and_namespace(self, viewer: Client) -> None:
        incident = make_incident(namespace="bank", state="Remediating")
        waiting(plan=make_plan(incident=incident, state="WaitingApproval"), name="wanted")
        waiting()

        assert viewer.get(f"{URL}?incident={incident.name}&namespace=bank").json()["metadata"]["totalCount"] == 1

    def test_costs_three_queries(self, viewer: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        viewer.get(URL)
        for _ in range(4):
            waiting()

        with django_assert_num_queries(3):
            viewer.get(URL)

    def test_refuses_an_unknown_status(self, viewer: Client) -> None:
        assert viewer.get(f"{URL}?status=maybe").status_code == 400


class TestRead:
    def test_one(self, viewer: Client) -> None:
        approval = waiting(requested_actions=[{"type": "RollbackDeployment", "params": {}}], policy_name="")
        ApprovalDecision.objects.create(approval=approval, approver="ines", decision="approved", at=NOON)

        document = viewer.get(f"{URL}/{approval.name}").json()

        assert document["kind"] == "ApprovalRequest"
        assert document["spec"]["action"] == "RollbackDeployment"
        assert document["spec"]["remediationPlanRef"] == approval.plan.name
        assert document["spec"]["policyRef"] is None
        assert document["status"]["remediationTriggered"] is False
        assert document["status"]["decisions"] == [
            {"approver": "ines", "decision": "approved", "reason": "", "timestamp": "2027-04-12T12:00:00Z"}
        ]

    def test_a_late_one_is_expired(self, viewer: Client) -> None:
        approval = overdue()

        status = viewer.get(f"{URL}/{approval.name}").json()["status"]

        assert (status["state"], status["status"]) == ("Expired", "expired")
        assert status["expiredAt"] == status["expiresAt"]

    def test_outside_the_scope_of_the_key(self, db: None) -> None:
        approval = waiting()

        assert client_of(Role.VIEWER, namespaces=["bank"]).get(f"{URL}/{approval.name}").status_code == 404


def decide(client: Client, approval: ApprovalRequest, verb: str, **body: Any) -> Any:
    return client.post(f"{URL}/{approval.name}/{verb}", body, content_type="application/json")


class TestDecide:
    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("approve", {}),
            ("approve", {"approvedBy": " "}),
            ("approve", {"approvedBy": 5}),
            ("approve", {"approvedBy": "x" * 254}),
            ("approve", {"approvedBy": "ines", "comment": "x" * 4097}),
            ("reject", {"rejectedBy": "ines"}),
            ("reject", {"reason": "no"}),
        ],
    )
    def test_bad_input(self, operator: Client, verb: str, body: dict[str, Any]) -> None:
        assert decide(operator, waiting(), verb, **body).status_code == 400

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    def test_viewers_may_not(self, viewer: Client, verb: str) -> None:
        assert decide(viewer, waiting(), verb, approver="vera", reason="x").status_code == 403

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    def test_an_unknown_one(self, operator: Client, verb: str) -> None:
        body = {"approver": "olaf", "reason": "x"}

        answer = operator.post(f"{URL}/APR-20270101-001/{verb}", body, content_type="application/json")

        assert answer.status_code == 404

    @pytest.mark.parametrize(("verb", "status"), [("approve", 410), ("reject", 409)])
    @pytest.mark.parametrize("state", ["Pending", "Expired"])
    def test_too_late(self, operator: Client, verb: str, status: int, state: str) -> None:
        assert decide(operator, overdue(state=state), verb, approver="olaf", reason="x").status_code == status

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    @pytest.mark.parametrize("state", ["Approved", "Rejected"])
    def test_decided_already(self, operator: Client, verb: str, state: str) -> None:
        assert decide(operator, waiting(state=state), verb, approver="olaf", reason="x").status_code == 409

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    def test_the_request_may_ask_for_more(self, operator: Client, verb: str) -> None:
        assert decide(operator, waiting(required_role="admin"), verb, approver="olaf", reason="x").status_code == 403

    def test_approve(self, operator: Client) -> None:
        plan = make_plan(state="WaitingApproval", approval_required=True)
        step = make_step(plan=plan, index=0, state="PendingApproval")
        digest = steps.digest([step])
        RemediationPlan.objects.filter(pk=plan.pk).update(actions_digest=digest)

        answer = decide(operator, waiting(plan=plan, actions_digest=digest), "approve", approvedBy="ines", comment="ok")

        assert answer.status_code == 200
        assert answer.json()["kind"] == "Approval"
        status = answer.json()["status"]
        assert (status["state"], status["approvedBy"], status["comment"]) == ("Approved", "ines", "ok")
        assert status["remediationTriggered"] is True
        assert status["decisions"][0]["approver"] == "ines"
        assert answer["ETag"] == f'"{answer.json()["metadata"]["resourceVersion"]}"'
        plan.refresh_from_db()
        assert plan.state == "Executing"

    def test_below_the_quorum(self, operator: Client) -> None:
        plan = make_plan(state="WaitingApproval")
        digest = steps.digest([make_step(plan=plan, index=0)])
        approval = waiting(plan=plan, actions_digest=digest, required_approvers=2, mode="quorum")

        first = decide(operator, approval, "approve", approvedBy="ines")
        again = decide(operator, approval, "approve", approvedBy="ines")

        assert (first.status_code, again.status_code) == (200, 409)
        assert first.json()["status"]["state"] == "Pending"
        assert first.json()["status"]["remediationTriggered"] is False

    def test_another_version_was_meant(self, operator: Client) -> None:
        approval = waiting()
        body = {"rejectedBy": "ines", "reason": "no"}

        answer = operator.post(
            f"{URL}/{approval.name}/reject", body, content_type="application/json", headers={"If-Match": '"9"'}
        )

        assert answer.status_code == 409

    def test_reject(self, operator: Client) -> None:
        approval = waiting()

        answer = decide(operator, approval, "reject", rejectedBy="ines", approver="olaf", reason="too risky")

        assert answer.status_code == 200
        assert answer.json()["kind"] == "Approval"
        status = answer.json()["status"]
        assert (status["state"], status["rejectedBy"], status["reason"]) == ("Rejected", "ines", "too risky")
        approval.plan.refresh_from_db()
        assert approval.plan.state == "Failed"

    def test_nobody_approves_for_himself(self, operator: Client) -> None:
        assert decide(operator, waiting(requester="olaf"), "approve", approvedBy="olaf").status_code == 409
