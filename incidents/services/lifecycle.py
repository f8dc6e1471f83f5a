"""What people and the pipeline do to an incident, except opening and closing it (`correlation`, `closing`).

Every function changes the row it is given by compare-and-set: `InvalidTransition` and other conflicts mean that the state
forbids it, `LostRace` that somebody else was faster. The actor is the person whom the request names.
"""

from datetime import datetime, timedelta

from django.db import transaction

from aiops.api.formats import format_time
from aiops.audit.actor import SYSTEM, Actor
from aiops.errors import Conflict
from aiops.notifications import services as notifications
from incidents.models import Incident
from incidents.services import closing, postmortems
from incidents.services.changes import Change, Type, tell, write
from incidents.services.closing import recover, resolve
from incidents.services.merging import merge
from incidents.signals import incident_acknowledged, incident_escalated
from incidents.states import IncidentState

__all__ = [
    "acknowledge", "assign", "begin_analysis", "comment", "contain", "escalate", "fail", "merge", "recover", "resolve",
    "retry_analysis", "snooze", "start_remediation", "unsnooze",
]  # fmt: skip

S = IncidentState
PREFIX = "aiops.chatcli.io"  # of the contract's annotations
ENGINE = "decision-engine"
LONGEST_SNOOZE = timedelta(hours=24)


# --- people ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def acknowledge(*, incident: Incident, message: str = "", actor: Actor, at: datetime) -> Incident:
    """Note that `actor` takes care; stops escalation. Raises `Conflict` when resolved or acknowledged (INC-1 to INC-4)."""
    closing.refuse_resolved(incident)
    if incident.acknowledged_at:
        raise Conflict(
            "Incident is already acknowledged",
            f"{incident.name} was acknowledged by {incident.acknowledged_by} at {format_time(incident.acknowledged_at)}",
        )
    change = Change(
        type=Type.ACKNOWLEDGEMENT,
        message=f"Acknowledged by {actor}",
        details={"message": message} if message else {},
        action="incident.acknowledge",
        announce="incident_acknowledged",
        signal=incident_acknowledged,
    )
    write(
        incident,
        change,
        at=at,
        acknowledged_at=at,
        acknowledged_by=actor.name,
        acknowledge_message=message,
        annotations=incident.annotations
        | {
            f"{PREFIX}/acknowledged": "true",
            f"{PREFIX}/acknowledged-at": format_time(at),
            f"{PREFIX}/acknowledged-by": actor.role,
        },
    )
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def snooze(*, incident: Incident, duration: timedelta, reason: str, actor: Actor, at: datetime) -> Incident:
    """Keep quiet about it for `duration` (at most 24 h); replaces a running snooze (INC-5 to INC-9)."""
    closing.refuse_resolved(incident)
    until = at + min(duration, LONGEST_SNOOZE)
    change = Change(
        type=Type.SNOOZE,
        message=f"Snoozed until {format_time(until)} by {actor}: {reason}",
        details={"reason": reason, "until": format_time(until)},
        action="incident.snooze",
    )
    write(
        incident,
        change,
        at=at,
        snoozed_at=at,
        snoozed_by=actor.name,
        snooze_until=until,
        snooze_reason=reason,
        annotations=incident.annotations
        | {f"{PREFIX}/snoozed-until": format_time(until), f"{PREFIX}/snoozed-by": actor.role},
    )
    notifications.hold(incident.name, until)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def unsnooze(*, incident: Incident, actor: Actor, at: datetime) -> Incident:
    """End the snooze now. Raises `Conflict` when it is resolved or not snoozed."""
    closing.refuse_resolved(incident)
    if not incident.snoozed(at):
        raise Conflict("Incident is not snoozed")
    change = Change(type=Type.UNSNOOZE, message=f"Woken up by {actor}", action="incident.unsnooze")
    annotations = incident.annotations | {f"{PREFIX}/snoozed-until": format_time(at)}
    write(incident, change, at=at, snooze_until=at, annotations=annotations)
    notifications.release(incident.name)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def comment(*, incident: Incident, message: str, actor: Actor, at: datetime) -> Incident:
    """Add a person's words to the timeline; always allowed."""
    change = Change(
        type=Type.COMMENT,
        source=actor.name,
        message=message,
        details={"author": actor.name},
        action="incident.comment",
    )
    write(incident, change, at=at)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def assign(*, incident: Incident, assigned_to: str, actor: Actor, at: datetime) -> Incident:
    """Put a team or person in charge; "" for nobody."""
    closing.refuse_resolved(incident)
    told = f"Assigned to {assigned_to} by {actor}" if assigned_to else f"Assignment withdrawn by {actor}"
    change = Change(
        type=Type.ASSIGNMENT,
        message=told,
        details={"assignedTo": assigned_to, "before": incident.assigned_to},
        action="incident.assign",
    )
    write(incident, change, at=at, assigned_to=assigned_to)
    tell(incident, change, actor=actor, at=at)
    return incident


# --- the pipeline ----------------------------------------------------------------------------------------------------


@transaction.atomic
def begin_analysis(
    *, incident: Incident, at: datetime, due_at: datetime | None = None, actor: Actor = SYSTEM
) -> Incident:
    """Detected → Analyzing. `due_at` is when another worker may try, should this one die."""
    change = Change(type=Type.ANALYSIS, source=ENGINE, message="Analysis started", action="incident.analyze")
    write(incident, change, at=at, to=S.ANALYZING, due_at=due_at, analysis_tries=incident.analysis_tries + 1)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def start_remediation(
    *,
    incident: Incident,
    runbook: str,
    plan_name: str,
    match_score: float | None = None,
    at: datetime,
    actor: Actor = SYSTEM,
) -> Incident:
    """Any open state → Remediating; counts the attempt and writes its `RunbookMatch` event.

    `match_score` (0 to 1) says how well the runbook fits; None when a person chose it. The audit log gets the plan's own
    record from whoever made the plan, so none is written here.
    """
    attempt = incident.remediation_attempts + 1
    details: dict[str, object] = {"runbook": runbook, "plan": plan_name, "attempt": attempt}
    if match_score is not None:
        details["matchScore"] = round(match_score, 2)
    change = Change(
        type=Type.RUNBOOK_MATCH,
        source="runbook-engine",
        message=f"Attempt {attempt} with {runbook or 'the suggested actions'}",
        details=details,
    )
    write(incident, change, at=at, to=S.REMEDIATING, remediation_attempts=attempt, runbook=runbook, due_at=None)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def retry_analysis(
    *, incident: Incident, reason: str, due_at: datetime, at: datetime, actor: Actor = SYSTEM
) -> Incident:
    """Remediating → Analyzing after a failed attempt; `due_at` is when the next one may begin."""
    change = Change(
        type=Type.ANALYSIS,
        source=ENGINE,
        message=f"Another analysis, the attempt failed: {reason}",
        details={"attempt": incident.remediation_attempts, "nextAttemptAt": format_time(due_at)},
        action="incident.analyze",
    )
    write(incident, change, at=at, to=S.ANALYZING, due_at=due_at, analysis_tries=0)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def contain(*, incident: Incident, required_action: str, at: datetime, actor: Actor = SYSTEM) -> Incident:
    """Remediating → Contained: the workload is silenced and a person has to restore it. Writes the postmortem's draft."""
    change = Change(
        type=Type.CONTAINMENT,
        source=ENGINE,
        message=f"Contained. {required_action}",
        severity=incident.severity,
        details={"requiredAction": required_action},
        action="incident.contain",
        event_type="issue_contained",
        audit_severity="warning",
        announce="incident_contained",
    )
    write(
        incident,
        change,
        at=at,
        to=S.CONTAINED,
        requires_human_action=True,
        required_action=required_action,
        due_at=None,
    )
    postmortems.write(incident=incident, at=at)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def escalate(*, incident: Incident, reason: str, at: datetime, actor: Actor = SYSTEM) -> Incident:
    """The pipeline knows no way forward: a person decides from here on."""
    change = Change(
        type=Type.ESCALATION,
        source=ENGINE,
        message=f"Escalated: {reason}",
        severity=incident.severity,
        details={"reason": reason},
        action="incident.escalate",
        event_type="issue_escalated",
        audit_severity="warning",
        announce="incident_escalated",
        signal=incident_escalated,
    )
    write(incident, change, at=at, to=S.ESCALATED, escalated_at=incident.escalated_at or at, due_at=None)
    tell(incident, change, actor=actor, at=at)
    return incident


@transaction.atomic
def fail(*, incident: Incident, reason: str, at: datetime, actor: Actor = SYSTEM) -> Incident:
    """Remediating → Failed: automation ends here; a person may still start a plan or resolve it."""
    change = Change(
        type=Type.REMEDIATION_FAILED,
        source=ENGINE,
        message=f"Automation ended: {reason}",
        severity=incident.severity,
        details={"reason": reason},
        action="incident.fail",
        audit_severity="warning",
        announce="incident_failed",
    )
    write(incident, change, at=at, to=S.FAILED, due_at=None)
    tell(incident, change, actor=actor, at=at)
    return incident
