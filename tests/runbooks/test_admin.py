from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from aiops.audit.models import AuditEvent
from runbooks import documents
from runbooks.models import ApprovalPolicy, ApprovalRequest, AutomationSwitch, Runbook
from tests.factories import make_approval, make_incident, make_plan, make_runbook, make_step

pytestmark = pytest.mark.django_db
CONSOLE = "/console/runbooks"
PAGES = ("runbook", "remediationplan", "approvalrequest", "approvalpolicy", "automationswitch")


def signed_in(role: str) -> Client:
    user = User.objects.create_user(role, password="a-long-password", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, model: str, action: str, *rows: Any) -> Any:
    body = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(f"{CONSOLE}/{model}/", body, follow=True)


def waiting(**overrides: Any) -> ApprovalRequest:
    return make_approval(expires_at=timezone.now() + timedelta(minutes=5), **overrides)


def inlines(*prefixes: str) -> dict[str, str]:
    """The management forms of inlines without rows."""
    return {f"{prefix}-{name}": "0" for prefix in prefixes for name in ("TOTAL_FORMS", "INITIAL_FORMS")}


@pytest.mark.parametrize("page", PAGES)
def test_lists_open(page: str) -> None:
    waiting(plan=make_step().plan)
    make_runbook()
    AutomationSwitch.objects.create(changed_at=timezone.now())

    assert signed_in("viewer").get(f"{CONSOLE}/{page}/").status_code == 200


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_pages_open(role: str) -> None:
    plan = make_step().plan
    rows = {"remediationplan": plan, "approvalrequest": waiting(plan=plan), "runbook": make_runbook()}
    client = signed_in(role)

    for page, row in rows.items():
        assert client.get(f"{CONSOLE}/{page}/{row.pk}/change/").status_code == 200


class TestRunbook:
    def add(self, client: Client, text: str) -> Any:
        return client.post(f"{CONSOLE}/runbook/add/", {"document": text, **inlines("versions")}, follow=True)

    def test_is_written_as_yaml(self) -> None:
        text = documents.export(make_runbook(name="undo"))
        Runbook.objects.all().delete()

        self.add(signed_in("admin"), text)

        assert Runbook.objects.get().created_by == "admin"
        assert AuditEvent.objects.get().action == "runbook.create"

    @pytest.mark.parametrize(("text", "complaint"), [("a: [", "not valid YAML"), ("a: 1", "kind: Runbook")])
    def test_mistakes_are_shown(self, text: str, complaint: str) -> None:
        answer = self.add(signed_in("admin"), text)

        assert complaint in answer.content.decode()
        assert not Runbook.objects.exists()

    def test_a_change_makes_a_version(self) -> None:
        runbook = make_runbook()
        text = documents.export(runbook).replace("Undo the rollout", "Undo it")
        url = f"{CONSOLE}/runbook/{runbook.pk}/change/"

        signed_in("admin").post(url, {"document": text, **inlines("versions")}, follow=True)

        runbook.refresh_from_db()
        assert (runbook.description, runbook.revision) == ("Undo it", "1.1.0")

    def test_one_in_use_is_not_deleted(self) -> None:
        runbook = make_runbook()
        make_incident(runbook=runbook.name)

        answer = signed_in("admin").post(f"{CONSOLE}/runbook/{runbook.pk}/delete/", {"post": "yes"}, follow=True)

        assert "is in use" in answer.content.decode()
        assert Runbook.objects.exists()

    def test_is_deleted(self) -> None:
        runbook = make_runbook()

        signed_in("admin").post(f"{CONSOLE}/runbook/{runbook.pk}/delete/", {"post": "yes"}, follow=True)

        assert AuditEvent.objects.get().action == "runbook.delete"

    def test_operators_only_look(self) -> None:
        assert self.add(signed_in("operator"), "a: 1").status_code == 403


class TestApprovals:
    def test_are_rejected(self) -> None:
        approval = waiting()

        act(signed_in("operator"), "approvalrequest", "reject", approval)

        approval.refresh_from_db()
        assert (approval.state, approval.decided_by) == ("Rejected", "operator")

    def test_a_refusal_is_shown(self) -> None:
        approval = waiting(required_role="admin")

        answer = act(signed_in("operator"), "approvalrequest", "reject", approval)

        approval.refresh_from_db()
        assert approval.state == "Pending"
        assert "Insufficient role" in answer.content.decode()

    def test_viewers_may_not(self) -> None:
        approval = waiting()

        act(signed_in("viewer"), "approvalrequest", "reject", approval)

        approval.refresh_from_db()
        assert approval.state == "Pending"


def test_a_plan_is_cancelled() -> None:
    plan = make_plan(state="WaitingApproval")
    waiting(plan=plan)

    act(signed_in("operator"), "remediationplan", "cancel", plan)

    plan.refresh_from_db()
    assert plan.cancel_requested_by == "operator"


class TestPolicies:
    def save(self, rules: str) -> Any:
        body = {"name": "prod", "enabled": "on", "priority": "1", "default_mode": "manual", "rules": rules}
        return signed_in("admin").post(f"{CONSOLE}/approvalpolicy/add/", body, follow=True)

    def test_are_stored_and_audited(self) -> None:
        self.save('[{"name": "all", "mode": "quorum", "requiredApprovers": 2}]')

        assert ApprovalPolicy.objects.get().rules[0]["mode"] == "quorum"
        assert AuditEvent.objects.get().action == "approval-policy.create"

    def test_wrong_rules_are_refused(self) -> None:
        answer = self.save('[{"name": "all", "mode": "sometimes"}]')

        assert "rules[0].mode" in answer.content.decode()
        assert not ApprovalPolicy.objects.exists()


class TestKillSwitch:
    def throw(self, client: Client) -> Any:
        body = {"cluster": "", "stopped": "on", "reason": "incident review"}
        return client.post(f"{CONSOLE}/automationswitch/add/", body, follow=True)

    def test_is_audited(self) -> None:
        self.throw(signed_in("admin"))

        switch = AutomationSwitch.objects.get()
        assert (switch.stopped, switch.changed_by, switch.cluster) == (True, "admin", None)
        assert AuditEvent.objects.get().action == "config.update"

    def test_a_second_global_one_changes_the_first(self) -> None:
        client = signed_in("admin")
        self.throw(client)

        self.throw(client)

        assert AutomationSwitch.objects.count() == 1

    def test_operators_may_not(self) -> None:
        assert self.throw(signed_in("operator")).status_code == 403
