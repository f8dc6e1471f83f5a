"""Tells people, and further people when nobody answers.

A run stands at a level and has a time at which the next one is due: a row, found by a sweep, never a sleeping process. The
level, the message and the trace change in one transaction. Acknowledging or resolving the incident ends the run, a snooze
pauses it (a run of a snoozed incident is not looked at before the snooze is over).
"""

from collections.abc import Iterable
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from aiops.errors import LostRace
from aiops.notifications import services as notifications
from aiops.statements import Slot, Statement
from aiops.states import change
from incidents import escalation
from incidents.escalation import Step
from incidents.models import EscalationPolicy, EscalationRun, Incident, TimelineEvent
from incidents.services import timeline
from incidents.states import IncidentState

logger = structlog.get_logger(__name__)

BATCH = 200
MAX_POLICIES = 100
SOURCE = "escalation-engine"
CREATED, ESCALATED = "created", "escalated"


@transaction.atomic
def start(*, incident: Incident, trigger: str, at: datetime, policy_name: str = "") -> EscalationRun | None:
    """Tell the first level of the policy that fits; None when none does, or somebody takes care already (INC-3).

    `trigger` is `created` or `escalated`; `policy_name` asks that policy instead of the one that fits. A run that has ended
    begins anew, a running one goes on as it is.
    """
    incident = Incident.objects.select_for_update().get(pk=incident.pk)
    if incident.acknowledged or incident.state == IncidentState.RESOLVED:
        return None
    run = EscalationRun.objects.filter(incident=incident).first()
    if run is not None and run.due_at is not None:
        return None
    policy = _named(policy_name) if policy_name else _fitting(trigger, incident)
    if policy is None or not policy.levels:
        return None
    run = run or EscalationRun(incident=incident)
    run.policy, run.started_at, run.stopped_at, run.stopped_by = policy, at, None, ""
    run.level, run.repeats = 0, 0
    run.due_at = _due(policy, Step(0), at)
    run.save()
    incident.change(escalation_policy=policy.name, updated_at=at)
    _tell(incident, run, at)
    return run


def _policies(trigger: str) -> list[EscalationPolicy]:
    """Enabled policies in the order in which they are asked: by name, the default ones last."""
    enabled = EscalationPolicy.objects.filter(enabled=True, starts_on=trigger)
    return list(enabled.order_by("is_default", "name", "pk")[:MAX_POLICIES])


def _named(name: str) -> EscalationPolicy | None:
    return EscalationPolicy.objects.filter(enabled=True, name=name).first()


def _fitting(trigger: str, incident: Incident) -> EscalationPolicy | None:
    return next((policy for policy in _policies(trigger) if _fits(policy, incident)), None)


def _fits(policy: EscalationPolicy, incident: Incident) -> bool:
    return policy.is_default or escalation.fits(
        severities=policy.severities,
        namespaces=policy.namespaces,
        severity=incident.severity,
        namespace=incident.namespace,
    )


def _due(policy: EscalationPolicy, step: Step, at: datetime) -> datetime | None:
    wait = escalation.wait_after(policy.levels, step)
    return None if wait is None else at + wait


def advance_due(*, at: datetime) -> int:
    """Start what has to start, and take every run that is due one step on. Returns the number of steps."""
    steps = sum(start(incident=row, trigger=trigger, at=at) is not None for trigger, row in _unstarted(at))
    awake = Q(incident__snooze_until__isnull=True) | Q(incident__snooze_until__lte=at)
    due = EscalationRun.objects.filter(awake, due_at__lte=at).order_by("due_at", "pk")
    for run in due.select_related("policy")[:BATCH]:
        try:
            steps += _advance(run, at)
        except LostRace:
            continue  # another worker took it
    return steps


def _unstarted(at: datetime) -> Iterable[tuple[str, Incident]]:
    """Incidents that a policy wants to be told of and that have no run yet.

    Every policy asks for its own, so that incidents which fit none are not looked at over and over. What is older than
    the policy is left alone: who adds a policy does not want to be told of everything that is open.
    """
    awake = Q(snooze_until__isnull=True) | Q(snooze_until__lte=at)
    waiting = Incident.objects.open().filter(awake, escalation__isnull=True, acknowledged_at__isnull=True)
    for trigger in (CREATED, ESCALATED):
        for policy in _policies(trigger):
            for incident in _wanted(policy, waiting, trigger):
                yield trigger, incident


def _wanted(policy: EscalationPolicy, waiting: QuerySet[Incident], trigger: str) -> QuerySet[Incident]:
    if trigger == CREATED:
        wanted = waiting.filter(detected_at__gte=policy.created_at)
    else:
        wanted = waiting.filter(state=IncidentState.ESCALATED, escalated_at__gte=policy.created_at)
    if not policy.is_default and policy.severities:
        wanted = wanted.filter(severity__in=policy.severities)
    if not policy.is_default and policy.namespaces:
        wanted = wanted.filter(namespace__in=policy.namespaces)
    return wanted.order_by("detected_at", "pk")[:BATCH]


@transaction.atomic
def _advance(run: EscalationRun, at: datetime) -> bool:
    """One step. The incident's row is locked first: an acknowledgement either comes before the step or after it."""
    incident = Incident.objects.select_for_update().get(pk=run.incident_id)
    reason = _reason_to_stop(incident, run.policy)
    if reason:
        change(run, due_at=None, stopped_at=at, stopped_by=reason)
        return False
    step = escalation.following(run.policy.levels, Step(run.level, run.repeats))
    if step is None:
        change(run, due_at=None)
        return False
    change(run, level=step.level, repeats=step.repeats, due_at=_due(run.policy, step, at))
    _tell(incident, run, at)
    return True


def _reason_to_stop(incident: Incident, policy: EscalationPolicy) -> str:
    if incident.state == IncidentState.RESOLVED:
        return "resolved"
    if incident.acknowledged:
        return f"acknowledged by {incident.acknowledged_by}"[:64]
    return "" if policy.enabled else "policy disabled"


def _tell(incident: Incident, run: EscalationRun, at: datetime) -> None:
    """Message, timeline, decision and audit record of the step at which `run` stands."""
    level = run.policy.levels[run.level]
    name = str(level.get("name") or f"level {run.level + 1}")
    channels = escalation.channels_of(level)
    told = f"{'Repeated to' if run.repeats else 'Escalated to'} {name} ({', '.join(channels) or 'nobody'})"
    details = {"policy": run.policy.name, "level": name, "channels": list(channels), "repeats": run.repeats}
    entry = timeline.Entry(
        type=TimelineEvent.Type.ESCALATION, source=SOURCE, message=told, severity=incident.severity, details=details
    )
    timeline.append(incident=incident, entries=[entry], at=at)
    timeline.decide(
        incident=incident,
        at=at,
        stage="escalate",
        rule=run.policy.name,
        verdict="repeated" if run.repeats else "escalated",
        reason="nobody has acknowledged the incident" if run.level or run.repeats else "the policy fits the incident",
        inputs=details,
    )
    notifications.announce(_message(incident, run, name, channels, at), at=at)
    audit.record(
        audit.Record(
            action="escalation.notify",
            actor=SYSTEM,
            resource_type=Incident.KIND,
            resource=incident.name,
            namespace=incident.namespace,
            event_type="escalation_triggered",
            severity="warning",
            correlation_id=incident.name,
            details=details,
        ),
        at=at,
    )


def _message(
    incident: Incident, run: EscalationRun, level: str, channels: tuple[str, ...], at: datetime
) -> notifications.Message:
    people = escalation.people_of(run.policy.levels[run.level])
    wait = f"; the next step follows at {run.due_at:%H:%M} UTC" if run.due_at else ""
    return notifications.Message(
        event="escalation_level",
        subject_kind=Incident.KIND,
        subject_name=incident.name,
        incident_name=incident.name,
        severity=incident.severity,
        signal_type=incident.signal_type,
        namespace=incident.namespace,
        resource_kind=incident.resource_kind,
        state=incident.state,
        cluster=incident.cluster_name,
        title=f"{incident.name} needs an answer: {incident.resource} ({level})",
        body=f"{incident.description}\nAcknowledge it to stop the escalation{wait}."
        + (f"\nFor: {people}" if people else ""),
        hold_until=incident.snooze_until if incident.snoozed(at) else None,
        occurrence=f"{run.started_at.isoformat()}/{run.level}/{run.repeats}",
        channels=channels or ("",),
    )


RUNNING = Statement(lambda: EscalationRun.objects.filter(incident=Slot("incident"), due_at__isnull=False)[:1])


def stop(*, incident: Incident, by: str, at: datetime) -> bool:
    """End the run of `incident`, if one is under way; `by` is who or what ends it.

    The caller has changed the row as it was read: `start`, which names the policy there, cannot have come in between.
    """
    if not incident.escalation_policy:
        return False
    running = RUNNING.first(incident=incident.pk)
    if running is None:
        return False
    change(running, due_at=None, stopped_at=at, stopped_by=by[:64])
    return True
