"""How a plan ends, and what that means for its incident. In the caller's transaction, which holds the plan locked."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db.models import F

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.notifications import services as notifications
from federation.models import memory_of
from incidents.models import Incident
from incidents.services import lifecycle
from incidents.states import IncidentState
from runbooks.models import RemediationPlan, Runbook
from runbooks.services import telling
from runbooks.signals import plan_finished
from runbooks.states import PlanState, StepState

LONGEST_BACKOFF = timedelta(minutes=10)


class Then(StrEnum):
    """What becomes of the incident when its plan did not help."""

    RETRY = "retry"  # analyze again, as long as attempts are left
    ESCALATE = "escalate"  # automation ends: a person said no, or trying again cannot help
    RECOVER = "recover"  # it is well already
    LEAVE = "leave"  # it is closed already


def start(plan: RemediationPlan, *, at: datetime, due_at: datetime) -> None:
    """From here on the plan may change the cluster; `due_at` is when its first step runs."""
    plan.steps.filter(state=StepState.PENDING_APPROVAL).update(state=StepState.PENDING, version=F("version") + 1)
    plan.move_to(PlanState.EXECUTING, started_at=at, due_at=due_at, updated_at=at)
    if plan.runbook_id is not None:
        Runbook.objects.filter(pk=plan.runbook_id).update(times_used=F("times_used") + 1, last_used_at=at)
    _announce(plan, "remediation_started", plan.strategy, at)
    audit.record(
        telling.record(plan, "remediation.execute", event_type="remediation_started", attempt=plan.attempt), at=at
    )


def complete(plan: RemediationPlan, *, result: str, required_action: str = "", at: datetime) -> None:
    """The plan helped: the incident is resolved, or contained when `required_action` says what a person has to restore."""
    _finish(plan, PlanState.COMPLETED, result, at)
    incident = _locked(plan)
    if incident.state == IncidentState.REMEDIATING:
        if required_action:
            lifecycle.contain(incident=incident, required_action=required_action, at=at)
        else:
            lifecycle.recover(incident=incident, resolution=result, at=at)
    _announce(plan, "remediation_completed", result, at)
    audit.record(
        telling.record(plan, "remediation.complete", event_type="remediation_completed", **_facts(plan)), at=at
    )


def fail(
    plan: RemediationPlan,
    *,
    result: str,
    then: Then,
    at: datetime,
    rolled_back: bool = False,
    actor: Actor = SYSTEM,
) -> None:
    """The plan did not help, was refused, rejected or cancelled."""
    _finish(plan, PlanState.ROLLED_BACK if rolled_back else PlanState.FAILED, result, at)
    incident = _locked(plan)
    if incident.state == IncidentState.REMEDIATING:
        _go_on(plan, incident, result, then, at)
    _announce(plan, "remediation_rolled_back" if rolled_back else "remediation_failed", result, at)
    record = telling.record(
        plan, "remediation.fail", event_type="remediation_failed", severity="warning", actor=actor, **_facts(plan)
    )
    audit.record(record, at=at)


def _go_on(plan: RemediationPlan, incident: Incident, result: str, then: Then, at: datetime) -> None:
    used_up = incident.remediation_attempts >= incident.max_remediation_attempts
    if then == Then.RECOVER:
        lifecycle.recover(incident=incident, resolution=result, at=at)
    elif then == Then.RETRY and plan.requested_by == "system" and not used_up:
        due_at = at + backoff(incident.remediation_attempts)
        lifecycle.retry_analysis(incident=incident, reason=result, due_at=due_at, at=at)
    elif then == Then.RETRY and used_up:
        reason = f"all {incident.max_remediation_attempts} attempts are used up; the last one: {result}"
        lifecycle.escalate(incident=incident, reason=reason, at=at)
    elif then != Then.LEAVE:
        lifecycle.escalate(incident=incident, reason=result, at=at)


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many attempts: doubled each time, at most ten minutes."""
    seconds = settings.AIOPS_RETRY_BACKOFF * 2 ** min(max(attempts, 1) - 1, 20)
    return min(timedelta(seconds=seconds), LONGEST_BACKOFF)


def _locked(plan: RemediationPlan) -> Incident:
    rows = Incident.objects.select_for_update(of=("self",)).select_related("cluster").defer(*memory_of("cluster"))
    incident = rows.get(pk=plan.incident_id)
    plan.incident = incident
    return incident


def _finish(plan: RemediationPlan, state: str, result: str, at: datetime) -> None:
    plan.move_to(state, result=result, completed_at=at, updated_at=at, due_at=None)
    left = plan.steps.filter(state__in=[StepState.PENDING, StepState.PENDING_APPROVAL, StepState.RUNNING])
    left.update(state=StepState.SKIPPED, completed_at=at, version=F("version") + 1)
    _count(plan, at)
    plan_finished.send(sender=RemediationPlan, plan=plan)


def _count(plan: RemediationPlan, at: datetime) -> None:
    """Statistics of the runbook, so that lists need not count plans. No new version: nothing that people wrote changes."""
    if plan.runbook_id is None:
        return
    succeeded = plan.state == PlanState.COMPLETED
    seconds = (at - plan.started_at).total_seconds() if succeeded and plan.started_at else 0.0
    Runbook.objects.filter(pk=plan.runbook_id).update(
        plans_completed=F("plans_completed") + int(succeeded),
        plans_failed=F("plans_failed") + int(not succeeded),
        execution_seconds=F("execution_seconds") + seconds,
    )


def _announce(plan: RemediationPlan, event: str, body: str, at: datetime) -> None:
    notifications.announce(telling.message(plan, event, body=body, at=at), at=at)


def _facts(plan: RemediationPlan) -> dict[str, Any]:
    return {"state": plan.state, "result": plan.result, "attempt": plan.attempt}
