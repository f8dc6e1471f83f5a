"""Asks people whether a plan may run: who has to agree, and the question itself."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import Count, F, Q

from aiops.api.formats import format_time
from aiops.audit import services as audit
from aiops.notifications import services as notifications
from aiops.sequences.services import next_name
from federation import tiers
from federation.models import AUTOMATION_RANK, Automation
from incidents.models import TimelineEvent
from runbooks import approval_rules
from runbooks.approval_rules import Demand
from runbooks.models import ApprovalPolicy, ApprovalRequest, PlanStep, RemediationPlan
from runbooks.services import envelope, telling
from runbooks.services.preflight import Findings
from runbooks.signals import approval_requested
from runbooks.states import PlanState, StepState

BREAKER = 3  # plans that failed in a namespace within an hour: from then on a person is asked
REMINDERS = (50, 90)  # percent of the time to answer


def demand(plan: RemediationPlan, findings: Findings, at: datetime) -> Demand:
    """Who has to agree: the strictest of tier, runbook, automation level, risk and approval policies.

    A policy may ask for more than the tier of the cluster does, never for less.
    """
    reasons = _own_reasons(plan, findings, at)
    policies = list(ApprovalPolicy.objects.filter(enabled=True).order_by("-priority", "name"))
    asked = approval_rules.demand(policies, _facts(plan)) or Demand("auto", "no approval policy")
    if asked.mode == "auto" and reasons:
        asked = replace(asked, mode="manual", why="; ".join(reasons))
    asked = _bounded(asked, _consent(plan, at))
    if plan.cluster is not None and tiers.policy(plan.cluster.tier).ceiling == Automation.APPROVE:
        asked = replace(asked, required_role="admin")
    return asked


def _bounded(asked: Demand, consent: tiers.Consent) -> Demand:
    """The demand, raised to what the tier asks for at least; `why` names whatever made a person be asked."""
    if asked.mode == "block" or not consent.approvers:
        return asked
    approvers = max(consent.approvers, 0 if asked.mode == "auto" else asked.required_approvers)
    why = str(consent) if asked.mode == "auto" else f"{asked.why}; {consent}"
    return replace(asked, mode="quorum" if approvers > 1 else "manual", required_approvers=approvers, why=why)


def _consent(plan: RemediationPlan, at: datetime) -> tiers.Consent:
    """What the tier asks for. Changes of nodes that need no person do so only a few times an hour."""
    if plan.cluster is None:
        return tiers.Consent()
    is_on_node, most = envelope.on_node(plan), envelope.limits().node_plans
    consent = tiers.consent(plan.cluster.tier, severity=plan.incident.severity, on_node=is_on_node)
    if is_on_node and not consent.approvers and (number := envelope.node_plans(plan, at)) >= most:
        return tiers.Consent(1, (f"{number} plans changed nodes of the cluster in the last hour",))
    return consent


def _own_reasons(plan: RemediationPlan, findings: Findings, at: datetime) -> list[str]:
    reasons = []
    runbook = plan.runbook
    if runbook is None or runbook.approval_required or not runbook.automated:
        reasons.append("the runbook asks for approval")
    level = tiers.automation(plan.cluster.automation, plan.cluster.tier) if plan.cluster else Automation.OFF
    if AUTOMATION_RANK.get(level, 0) < AUTOMATION_RANK[Automation.AUTO]:
        reasons.append(f"the automation level is {level}")
    if findings.is_risky:
        reasons.append("an action is of high risk")
    lost = RemediationPlan.objects.filter(
        namespace=plan.namespace,
        cluster=plan.cluster,
        state__in=[PlanState.FAILED, PlanState.ROLLED_BACK],
        started_at__isnull=False,
        completed_at__gt=at - timedelta(hours=1),
    )
    if lost.count() >= BREAKER:
        reasons.append(f"{BREAKER} plans failed in the namespace within the last hour")
    return reasons


def _facts(plan: RemediationPlan) -> approval_rules.Facts:
    insight = plan.incident.insights.order_by("-attempt").first()
    types = frozenset(plan.steps.exclude(action_type="").values_list("action_type", flat=True))
    return approval_rules.Facts(
        severity=plan.incident.severity,
        action_types=types,
        namespace=plan.namespace,
        kind=plan.target_kind,
        cluster=plan.cluster.name if plan.cluster else "",
        tier=plan.cluster.tier if plan.cluster else "",
        confidence=insight.confidence if insight else 0.0,
        success_rate=success_rate(plan, types),
    )


def success_rate(plan: RemediationPlan, types: frozenset[str]) -> float | None:
    """Share of the finished plans of the namespace with one of these actions that completed; None without any."""
    finished = RemediationPlan.objects.filter(namespace=plan.namespace, steps__action_type__in=types)
    counts = finished.aggregate(
        good=Count("pk", filter=Q(state=PlanState.COMPLETED), distinct=True),
        bad=Count("pk", filter=Q(state__in=[PlanState.FAILED, PlanState.ROLLED_BACK]), distinct=True),
    )
    total = counts["good"] + counts["bad"]
    return counts["good"] / total if total else None


def request(plan: RemediationPlan, findings: Findings, asked: Demand, at: datetime) -> ApprovalRequest:
    """Write the question and let the plan wait for the answer. In the caller's transaction."""
    rows = list(plan.steps.order_by("index"))
    typed = [step for step in rows if step.action_type] or rows
    insight = plan.incident.insights.order_by("-attempt").first()
    sentence = "; ".join(findings.summaries) or plan.strategy
    approval = ApprovalRequest.objects.create(
        name=next_name(prefix="APR", at=at),
        namespace=plan.namespace,
        incident=plan.incident,
        plan=plan,
        mode=asked.mode if asked.mode == "quorum" else "manual",
        action=sentence[:1024],
        action_type=typed[0].action_type or typed[0].action,
        requested_actions=[{"type": step.action_type or step.action, "params": step.params} for step in typed],
        target={"kind": plan.target_kind, "name": plan.target_name, "namespace": plan.namespace},
        target_version=findings.target_version,
        actions_digest=plan.actions_digest,
        risk_score=plan.incident.risk_score,
        severity=plan.incident.severity,
        confidence=insight.confidence if insight else 0.0,
        blast_radius=findings.radius,
        evidence={
            "aiConfidence": insight.confidence if insight else None,
            "aiAnalysis": insight.analysis if insight else None,
            "historicalSuccessRate": success_rate(plan, frozenset(step.action_type for step in typed)),
            "previousAttempts": plan.attempt - 1,
            "preflightSnapshot": findings.snapshot,
            "targetGeneration": findings.generation,
        },
        required_role=asked.required_role,
        required_approvers=asked.required_approvers,
        timeout_minutes=asked.timeout_minutes,
        forbid_self_approval=asked.forbid_self_approval,
        runbook_name=plan.runbook_name,
        policy_name=asked.policy,
        rule_name=asked.rule,
        change_window=asked.change_window,
        requester=plan.requested_by,
        labels={"platform.chatcli.io/issue": plan.incident.name, "platform.chatcli.io/plan": plan.name},
        expires_at=at + timedelta(minutes=asked.timeout_minutes),
        created_at=at,
        updated_at=at,
    )
    _mark_waiting(plan)
    details = {
        "approvalName": approval.name,
        "requiredRole": approval.required_role,
        "reason": asked.why,
        "expiresAt": format_time(approval.expires_at),
    }
    telling.write(plan, TimelineEvent.Type.APPROVAL_REQUIRED, f"Approval needed: {sentence}", at=at, details=details)
    approval_requested.send(sender=ApprovalRequest, approval=approval)
    subject = (ApprovalRequest.KIND, approval.name)
    notifications.announce(telling.message(plan, "approval_requested", body=sentence, at=at, subject=subject), at=at)
    audit.record(
        telling.record(plan, "approval.request", event_type="approval_requested", subject=subject, why=asked.why), at=at
    )
    return approval


def _mark_waiting(plan: RemediationPlan) -> None:
    first = plan.steps.exclude(action_type="").order_by("index").first() or plan.steps.order_by("index").first()
    if first is not None:
        PlanStep.objects.filter(pk=first.pk).update(state=StepState.PENDING_APPROVAL, version=F("version") + 1)


def remind(plan: RemediationPlan, at: datetime) -> datetime:
    """Tell people when half, and when nine tenths of their time is over; returns when the request is due next."""
    approval = plan.approval
    span = approval.expires_at - approval.created_at
    marks = [(percent, approval.created_at + span * percent / 100) for percent in REMINDERS]
    passed = [percent for percent, due_at in marks if due_at <= at < approval.expires_at]
    if passed:
        body = f"{approval.action} (expires at {approval.expires_at:%H:%M} UTC)"
        subject = (ApprovalRequest.KIND, approval.name)
        # the same occurrence again is the same message: the outbox keeps one
        told = telling.message(
            plan, "approval_reminder", body=body, at=at, subject=subject, occurrence=f"{passed[-1]}%"
        )
        notifications.announce(told, at=at)
    return min([due_at for _, due_at in marks if due_at > at], default=approval.expires_at)


def opening(asked: Demand, at: datetime) -> datetime | None:
    """When the change window of the rule is open next: `at` while it is; None if it never opens."""
    return approval_rules.next_opening(asked.change_window, at) if asked.change_window else at


def opening_of(plan: RemediationPlan, at: datetime) -> datetime | None:
    """`opening` for the rule under which the plan was approved; one that needed no approval waited for its window before."""
    window = ApprovalRequest.objects.filter(plan=plan).values_list("change_window", flat=True).first()
    return approval_rules.next_opening(window, at) if window else at
