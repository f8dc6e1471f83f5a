from datetime import timedelta
from typing import Any

import pytest

from aiops.audit.actor import Actor, ActorKind
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, Gone, NotAllowed
from aiops.notifications.models import Channel, Notification, Policy
from federation.models import Cluster
from incidents.models import Incident
from runbooks import steps
from runbooks.models import ApprovalPolicy, ApprovalRequest, RemediationPlan
from runbooks.services import approvals
from runbooks.services.asking import demand
from runbooks.services.preflight import Findings
from tests.conftest import NOON
from tests.factories import make_anomaly, make_approval, make_cluster, make_incident, make_plan, make_runbook, make_step
from tests.runbooks.services.stage import Driver, analyzed_incident, cluster_row, planned, runbook
from tests.runbooks.simulated import deployment, settled
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db


def actor(role: str = "operator") -> Actor:
    return Actor(kind=ActorKind.USER, name="key-1", role=role)


def asked(**overrides) -> ApprovalRequest:
    """A request for a plan of one step, as it would be asked."""
    incident = make_incident(cluster=make_cluster(), state="Remediating", remediation_attempts=1)
    plan = make_plan(incident=incident, state="WaitingApproval")
    make_step(plan=plan, state="PendingApproval")
    digest = steps.digest(list(plan.steps.all()))
    return make_approval(**{"plan": plan, "actions_digest": digest, "requester": "system"} | overrides)


def approve(approval: ApprovalRequest, who: str = "ines", *, role: str = "operator", at=NOON) -> ApprovalRequest:
    return approvals.approve(approval=approval, approver=who, comment="fine", actor=actor(role), at=at)


def reject(approval: ApprovalRequest, who: str = "ines", *, role: str = "operator", at=NOON) -> ApprovalRequest:
    return approvals.reject(approval=approval, approver=who, reason="too risky", actor=actor(role), at=at)


class TestApprove:
    def test_releases_the_plan(self):
        approval = approve(asked())

        approval.plan.refresh_from_db()
        assert (approval.state, approval.decided_by, approval.decided_at) == ("Approved", "ines", NOON)
        assert (approval.plan.state, approval.plan.due_at) == ("Executing", NOON)
        assert approval.plan.steps.get().state == "Pending"
        record = AuditEvent.objects.get(action="approval.approve")
        assert (record.user, record.event_type, record.resource) == ("ines", "approval_granted", approval.name)

    def test_below_the_quorum_it_stays_pending(self):
        approval = approve(asked(required_approvers=2, mode="quorum"))

        approval.plan.refresh_from_db()
        assert (approval.state, approval.plan.state) == ("Pending", "WaitingApproval")
        assert approval.decisions.count() == 1

    def test_the_second_person_completes_the_quorum(self):
        approval = approve(asked(required_approvers=2))

        assert approve(approval, "tomasz").state == "Approved"

    def test_nobody_counts_twice(self):
        approval = approve(asked(required_approvers=2))

        with pytest.raises(Conflict):
            approve(approval)

    @pytest.mark.parametrize("state", ["Approved", "Rejected"])
    def test_refuses_what_is_decided(self, state):
        with pytest.raises(Conflict):
            approve(asked(state=state))

    @pytest.mark.parametrize("overrides", [{"state": "Expired"}, {"expires_at": NOON}])
    def test_what_expired_is_gone(self, overrides):
        with pytest.raises(Gone):
            approve(asked(**overrides))

    def test_needs_the_required_role_before_anything_else(self):
        with pytest.raises(NotAllowed):
            approve(asked(required_role="admin", state="Approved"))

    def test_an_admin_may_decide_what_needs_an_admin(self):
        assert approve(asked(required_role="admin"), role="admin").state == "Approved"

    def test_refuses_self_approval(self):
        with pytest.raises(Conflict, match="Self-approval"):
            approve(asked(requester="ines"))

    def test_self_approval_may_be_allowed_by_policy(self):
        assert approve(asked(requester="ines", forbid_self_approval=False)).state == "Approved"

    def test_refuses_a_plan_whose_actions_changed(self):
        approval = asked()
        approval.plan.steps.update(params={"toRevision": "1"})

        with pytest.raises(Conflict, match="plan has changed"):
            approve(approval)

    def test_a_change_window_delays_the_plan(self):
        window = {"timezone": "UTC", "allowedDays": ["Mon"], "startHour": 20, "endHour": 22}

        approval = approve(asked(change_window=window))

        approval.plan.refresh_from_db()
        assert approval.plan.due_at == NOON.replace(hour=20)


class TestReject:
    def test_fails_the_plan_and_leaves_the_incident_to_people(self):
        approval = reject(asked())

        approval.plan.refresh_from_db()
        assert approval.state == "Rejected"
        assert (approval.plan.state, approval.plan.result) == ("Failed", "Rejected by ines: too risky")
        assert Incident.objects.get().state == "Escalated"

    def test_one_no_ends_a_quorum(self):
        approval = approve(asked(required_approvers=3))

        assert reject(approval, "tomasz").state == "Rejected"

    def test_a_yes_that_waits_may_become_a_no(self):
        approval = approve(asked(required_approvers=2))

        assert reject(approval).state == "Rejected"
        assert approval.decisions.get().decision == "rejected"

    @pytest.mark.parametrize(
        "overrides", [{"state": "Approved"}, {"state": "Rejected"}, {"state": "Expired"}, {"expires_at": NOON}]
    )
    def test_refuses_what_is_over(self, overrides):
        with pytest.raises(Conflict):
            reject(asked(**overrides))

    def test_needs_the_required_role(self):
        with pytest.raises(NotAllowed):
            reject(asked(required_role="admin"))


class TestRaces:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_of_two_approvals_at_once_one_wins(self):
        postgresql_only()
        approval = asked()

        results = at_once(2, lambda number: approve(approval, f"person-{number}"))

        assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 1
        assert AuditEvent.objects.filter(action="approval.approve").count() == 1

    def test_of_approve_and_reject_at_once_one_wins(self):
        postgresql_only()
        approval = asked()

        results = at_once(2, lambda number: reject(approval) if number else approve(approval, "tomasz"))

        assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
        approval.refresh_from_db()
        plan = RemediationPlan.objects.get()
        assert (approval.state, plan.state) in {("Approved", "Executing"), ("Rejected", "Failed")}

    def test_a_quorum_reached_by_many_at_once_starts_the_plan_once(self):
        postgresql_only()
        approval = asked(required_approvers=3)

        at_once(6, lambda number: approve(approval, f"person-{number}"))

        approval.refresh_from_db()
        assert (approval.state, approval.decisions.count()) == ("Approved", 3)
        assert AuditEvent.objects.filter(event_type="remediation_started").count() == 1


class TestDemand:
    def plan(self, **cluster) -> Any:
        incident = make_incident(cluster=make_cluster(**cluster), state="Remediating")
        return make_plan(incident=incident, runbook=make_runbook())

    def test_asks_nobody_where_runbook_level_and_policies_allow(self):
        assert demand(self.plan(), Findings(), NOON).mode == "auto"

    def test_below_auto_a_person_is_asked(self):
        assert demand(self.plan(automation="approve"), Findings(), NOON).mode == "manual"

    def test_a_runbook_may_ask_for_approval(self):
        plan = self.plan()
        plan.runbook.approval_required = True

        assert demand(plan, Findings(), NOON).mode == "manual"

    def test_a_deleted_runbook_asks_for_approval(self):
        plan = self.plan()
        plan.runbook = None

        assert demand(plan, Findings(), NOON).mode == "manual"

    def test_an_auto_rule_does_not_overrule_the_runbook(self):
        ApprovalPolicy.objects.create(name="p", rules=[{"name": "r", "mode": "auto"}], created_at=NOON, updated_at=NOON)
        plan = self.plan()
        plan.runbook.approval_required = True

        assert demand(plan, Findings(), NOON).mode == "manual"

    def test_a_critical_cluster_asks_an_admin(self):
        plan = self.plan(tier="critical", automation="approve")

        assert demand(plan, Findings(), NOON).required_role == "admin"

    @pytest.mark.parametrize(
        ("tier", "severity", "asked"),
        [
            ("critical", "low", ("manual", 1, "admin")),
            ("critical", "high", ("quorum", 2, "admin")),
            ("standard", "medium", ("auto", 1, "operator")),
            ("standard", "critical", ("manual", 1, "operator")),
            ("non-critical", "critical", ("auto", 1, "operator")),
        ],
    )
    @pytest.mark.parametrize("policy", [None, "auto"])
    def test_the_tier_bounds_what_policies_allow(self, tier, severity, asked, policy):
        if policy:
            rules = [{"name": "r", "mode": policy, "autoApproveConditions": {}}]
            ApprovalPolicy.objects.create(name="p", rules=rules, created_at=NOON, updated_at=NOON)
        incident = make_incident(cluster=make_cluster(tier=tier), state="Remediating", severity=severity)

        found = demand(make_plan(incident=incident, runbook=make_runbook()), Findings(), NOON)

        assert (found.mode, found.required_approvers, found.required_role) == asked
        assert found.mode == "auto" or f"tier {tier}" in found.why

    def test_a_policy_may_ask_for_more_than_the_tier(self):
        rules = [{"name": "r", "mode": "quorum", "requiredApprovers": 3}]
        ApprovalPolicy.objects.create(name="p", rules=rules, created_at=NOON, updated_at=NOON)

        found = demand(self.plan(tier="critical"), Findings(), NOON)

        assert (found.mode, found.required_approvers, found.rule) == ("quorum", 3, "r")

    def test_a_policy_may_block_in_any_tier(self):
        ApprovalPolicy.objects.create(
            name="p", rules=[{"name": "r", "mode": "block"}], created_at=NOON, updated_at=NOON
        )

        assert demand(self.plan(tier="critical"), Findings(), NOON).mode == "block"

    def test_nodes_are_changed_without_a_person_a_few_times_an_hour(self):
        plan = self.plan()
        make_step(plan=plan, action_type="CordonNode")
        before = demand(plan, Findings(), NOON)
        for _ in range(3):
            make_plan(cluster=plan.cluster, target_kind="Node", started_at=NOON - timedelta(minutes=5))

        after = demand(plan, Findings(), NOON)

        assert (before.mode, after.mode) == ("auto", "manual")
        assert "3 plans changed nodes" in after.why

    def test_failures_in_a_row_ask_a_person(self):
        plan = self.plan()
        for _ in range(3):
            incident = make_incident(cluster=plan.cluster)
            times = {"started_at": NOON, "completed_at": NOON - timedelta(minutes=1)}
            make_plan(incident=incident, namespace=plan.namespace, state="Failed", **times)

        assert "3 plans failed" in demand(plan, Findings(), NOON).why

    def test_a_policy_that_is_no_policy_asks_a_person(self):
        ApprovalPolicy.objects.create(name="p", rules=[{"match": "nonsense"}], created_at=NOON, updated_at=NOON)

        assert demand(self.plan(), Findings(), NOON).mode == "manual"


class TestWaiting:
    @pytest.fixture
    def waiting(self, simulated) -> Driver:
        settled(simulated)
        runbook("ScaleDeployment", params={"replicas": "5"}, approval_required=True)
        driver = Driver(planned(analyzed_incident(cluster_row(simulated))))
        driver.until("WaitingApproval")
        return driver

    def test_asks_with_all_that_a_person_needs(self, waiting):
        approval: Any = ApprovalRequest.objects.get()

        assert approval.name == "APR-20270412-001"
        assert approval.action == "Scale Deployment/checkout from 3 to 5 replicas"
        assert approval.requested_actions == [{"type": "ScaleDeployment", "params": {"replicas": "5"}}]
        assert approval.blast_radius["affectedPods"] == 3
        assert approval.blast_radius["riskLevel"] == "medium"
        assert approval.target_version
        assert waiting.plan.steps.get().state == "PendingApproval"

    def test_the_timeline_says_whom_it_waits_for(self, waiting):
        details = waiting.plan.incident.timeline.get(type="ApprovalRequired").details

        assert details["approvalName"] == "APR-20270412-001"
        assert details["requiredRole"] == "operator"

    def test_in_a_critical_cluster_two_have_to_agree(self, simulated):
        settled(simulated)
        runbook("ScaleDeployment", params={"replicas": "5"})
        driver = Driver(planned(analyzed_incident(cluster_row(simulated, tier="critical"))))
        driver.until("WaitingApproval")
        approval: Any = ApprovalRequest.objects.get()
        approve(approval, "ines", role="admin")
        driver.step()
        alone = driver.plan.state
        approve(ApprovalRequest.objects.get(), "omar", role="admin")
        driver.plan.refresh_from_db()

        driver.until("Verifying")

        assert (approval.mode, approval.required_approvers, alone) == ("quorum", 2, "WaitingApproval")
        assert deployment(simulated)["spec"]["replicas"] == 5
        decision = driver.plan.incident.decisions.get(stage="approve")
        assert "tier critical: a plan for a high incident needs 2 approvals" in decision.reason

    def test_one_approval_does_not_do_once_the_cluster_is_critical(self, simulated, waiting):
        approve(ApprovalRequest.objects.get())
        waiting.plan.refresh_from_db()
        Cluster.objects.update(tier="critical")

        waiting.until("Failed")

        assert "needs 2 approvals; 1 given" in waiting.plan.result
        assert deployment(simulated)["spec"]["replicas"] == 3

    def test_runs_after_the_approval(self, simulated, waiting):
        approve(ApprovalRequest.objects.get())
        waiting.plan.refresh_from_db()

        waiting.until("Verifying")

        assert deployment(simulated)["spec"]["replicas"] == 5

    def test_an_approval_is_for_the_object_as_it_was(self, simulated, waiting):
        simulated.set_image(
            "shop", "checkout", deployment(simulated)["spec"]["template"]["spec"]["containers"][0]["image"] + "-x"
        )
        approve(ApprovalRequest.objects.get())
        waiting.plan.refresh_from_db()

        plan = waiting.until("Failed")

        assert "was changed since it was approved" in plan.result
        assert deployment(simulated)["spec"]["replicas"] == 3

    def test_reminds_at_half_and_at_nine_tenths_of_the_time(self, waiting):
        Channel.objects.create(name="ops", type="webhook", created_at=NOON, updated_at=NOON)
        rules = [{"name": "all", "match": {"events": ["approval_reminder"]}, "channels": ["ops"]}]
        Policy.objects.create(name="all", rules=rules, deduplication_seconds=0, created_at=NOON, updated_at=NOON)

        waiting.until("Failed", most=200)

        told = Notification.objects.filter(event="approval_reminder").order_by("created_at")
        minutes = [(reminder.created_at - NOON).total_seconds() // 60 for reminder in told]
        assert minutes == [15, 27]

    def test_expires(self, waiting):
        plan = waiting.until("Failed", most=200)

        approval = ApprovalRequest.objects.get()
        assert (approval.state, plan.incident.state) == ("Expired", "Escalated")
        assert plan.completed_at >= approval.expires_at
        assert AuditEvent.objects.filter(event_type="approval_expired").count() == 1

    def test_ends_when_the_workload_recovers_by_itself(self, waiting):
        make_anomaly(incident=waiting.plan.incident, cleared_at=NOON, cleared_by="source")

        plan = waiting.until("Failed")

        assert "recovered by itself" in plan.result
        assert (plan.approval.state, plan.incident.state) == ("Expired", "Resolved")
