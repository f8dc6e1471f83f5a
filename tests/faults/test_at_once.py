"""Several clients say the same thing at the same moment."""

from collections import Counter
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from aiops.apikeys.roles import Role
from incidents.models import Anomaly, Incident
from runbooks import steps
from runbooks.models import ApprovalRequest
from tests.factories import make_approval, make_plan, make_step
from tests.threads import at_once

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

ALERT = {
    "title": "Checkout answers slowly",
    "dedupKey": "slow-checkout",
    "startsAt": "2027-04-12T12:00:00Z",
    "resource": {"kind": "Deployment", "name": "checkout", "namespace": "shop"},
}


class TestTwoApprovals:
    def test_start_the_plan_once(self, stack, connect):
        approval = waiting()
        url = stack.start_web()
        clients = [connect(url, Role.ADMIN) for _ in range(2)]

        def approve(number: int) -> int:
            sent = {"approvedBy": f"person-{number}@example.com"}
            answer: httpx.Response = clients[number].post(f"/approvals/{approval.name}/approve", json=sent)
            return answer.status_code

        assert Counter(at_once(2, approve)) == {200: 1, 409: 1}
        approval.refresh_from_db()
        assert (approval.state, approval.plan.state) == ("Approved", "Executing")
        assert approval.decisions.count() == 1


class TestTenDuplicates:
    def test_open_one_incident(self, stack, connect):
        url = stack.start_web()
        clients = [connect(url) for _ in range(10)]

        def send(number: int) -> tuple[int, int]:
            status = clients[number].post("/alerts/generic", json=ALERT).json()["status"]
            return status["opened"], status["duplicates"]

        assert Counter(at_once(10, send)) == {(1, 0): 1, (0, 1): 9}
        assert Incident.objects.get().resource == "Deployment/checkout"
        assert Anomaly.objects.get().count == 1


def waiting() -> ApprovalRequest:
    plan = make_plan(state="WaitingApproval", approval_required=True)
    make_step(plan=plan)
    digest = steps.digest(list(plan.steps.all()))
    return make_approval(plan=plan, actions_digest=digest, expires_at=timezone.now() + timedelta(hours=1))
