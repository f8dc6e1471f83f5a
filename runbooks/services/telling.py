"""What people read about a plan: timeline entries, messages and audit records, with the facts that the postmortem needs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiops.api.formats import format_time
from aiops.audit.actor import SYSTEM, Actor
from aiops.audit.services import Record
from aiops.notifications.services import Message
from aiops.redaction import redact
from incidents.models import TimelineEvent
from incidents.services import timeline
from runbooks.models import PlanStep, RemediationPlan

ENGINE = "runbook-engine"
MAX_EVIDENCE = 200  # entries kept; a plan has at most 50 steps

TITLES = {
    "remediation_started": "remediation of {resource} started",
    "remediation_completed": "remediation of {resource} succeeded",
    "remediation_failed": "remediation of {resource} failed",
    "remediation_rolled_back": "remediation of {resource} was rolled back",
    "approval_requested": "approval needed for {resource}",
    "approval_reminder": "approval for {resource} is still open",
    "approval_decided": "approval for {resource} decided",
    "approval_expired": "approval for {resource} expired",
}


def write(
    plan: RemediationPlan, type_: str, text: str, *, at: datetime, details: Mapping[str, Any] | None = None
) -> None:
    """Append to the incident's timeline; plan and runbook are always among the details."""
    facts = {"plan": plan.name, "runbook": plan.runbook_name, **(details or {})}
    timeline.append(incident=plan.incident, entries=[timeline.Entry(type_, ENGINE, text, details=facts)], at=at)


def write_step(plan: RemediationPlan, step: PlanStep, *, succeeded: bool, text: str, at: datetime) -> None:
    kind = TimelineEvent.Type.REMEDIATION_ACTION if succeeded else TimelineEvent.Type.REMEDIATION_FAILED
    details = {
        "action": step.action_type or step.action,
        "params": step.params,
        "result": "success" if succeeded else "failed",
        "detail": text,
        "step": step.name,
    }
    write(plan, kind, f"{step.name}: {text}", at=at, details=details)


def message(
    plan: RemediationPlan,
    event: str,
    *,
    body: str,
    at: datetime,
    subject: tuple[str, str] | None = None,
    occurrence: str = "",
    channels: Sequence[str] = (),
) -> Message:
    """A message about the plan (or the `subject` that is given by kind and name); held back while the incident is snoozed."""
    incident = plan.incident
    kind, name = subject or (RemediationPlan.KIND, plan.name)
    title = TITLES[event].format(resource=f"{plan.target_kind}/{plan.target_name}")
    return Message(
        event=event,
        subject_kind=kind,
        subject_name=name,
        incident_name=incident.name,
        severity=incident.severity,
        signal_type=incident.signal_type,
        namespace=plan.namespace,
        resource_kind=plan.target_kind,
        state=incident.state,
        cluster=incident.cluster_name,
        title=f"{incident.name} {title}",
        body=body,
        hold_until=incident.snooze_until if incident.snoozed(at) else None,
        occurrence=occurrence,
        channels=tuple(channels),
    )


def record(
    plan: RemediationPlan,
    action: str,
    *,
    event_type: str = "",
    severity: str = "info",
    actor: Actor = SYSTEM,
    subject: tuple[str, str] | None = None,
    **details: Any,
) -> Record:
    """An audit record about the plan, or the `subject`; correlated with the incident."""
    kind, name = subject or (RemediationPlan.KIND, plan.name)
    return Record(
        action=action,
        actor=actor,
        resource_type=kind,
        resource=name,
        namespace=plan.namespace,
        event_type=event_type,
        severity=severity,
        correlation_id=plan.incident.name,
        details={"plan": plan.name, "runbook": plan.runbook_name, **details},
    )


def evidence(plan: RemediationPlan, type_: str, data: str, *, at: datetime) -> list[dict[str, str]]:
    """The plan's evidence with one more entry."""
    entry = {"type": type_, "data": redact(data)[:4096], "timestamp": format_time(at)}
    return [*plan.evidence, entry][-MAX_EVIDENCE:]
