"""From an analyzed incident to a plan: which runbook, how often it was tried, and who has the say.

A plan is only written down here. Its first `execution.advance` looks at the cluster (`preflight`) and decides whether it runs,
waits for a person or is refused.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.errors import Conflict, Invalid
from aiops.nudges import nudge
from federation.models import AUTOMATION_RANK, Automation
from incidents.models import AIInsight, Incident
from incidents.services import lifecycle, timeline
from incidents.states import IncidentState
from runbooks import matching, steps
from runbooks.actions import Target
from runbooks.matching import Match
from runbooks.models import PlanStep, RemediationPlan, Runbook
from runbooks.services import generation, telling
from runbooks.signals import plan_created
from runbooks.states import RUNNING, PlanState

ADVANCE = "runbooks.tasks.advance_plan"
BUSY_RETRY = timedelta(seconds=10)
MAX_RUNBOOKS = 1_000  # candidates looked at
UNFINISHED_ATTEMPTS = Q(state__in=[PlanState.FAILED, PlanState.ROLLED_BACK])


def plan(*, incident: Incident, at: datetime) -> RemediationPlan | None:
    """Take the next step of an incident whose analysis is done: make a plan, or escalate. None when there is no plan.

    Harmless when called twice: an incident that is not waiting for a plan is left alone.
    """
    with transaction.atomic():
        locked = Incident.objects.select_for_update(of=("self",)).select_related("cluster").get(pk=incident.pk)
        insight = _current_insight(locked, at)
        if insight is None:
            return None
        dead_end = _dead_end(locked)
        if dead_end:
            lifecycle.escalate(incident=locked, reason=dead_end, at=at)
            return None
        match = choose(locked)
        runbook = match.runbook if match else _generated(locked, insight, at)
        _explain(locked, match, runbook, at)
        if runbook is None:
            lifecycle.escalate(incident=locked, reason="no runbook fits and the analysis suggests no action", at=at)
            return None
        return _start(locked, runbook, match.score if match else None, at)


def due(*, at: datetime, limit: int = 200) -> list[int]:
    """Incidents whose analysis of the coming attempt is done, the longest waiting first."""
    waiting = Incident.objects.filter(
        state=IncidentState.ANALYZING, due_at__lte=at, insights__attempt=F("remediation_attempts") + 1
    )
    return list(waiting.order_by("due_at", "pk").values_list("pk", flat=True)[:limit])


def _current_insight(incident: Incident, at: datetime) -> AIInsight | None:
    """The analysis of the coming attempt, when the incident is due for a plan."""
    if incident.state != IncidentState.ANALYZING or incident.due_at is None or incident.due_at > at:
        return None
    return incident.insights.filter(attempt=incident.remediation_attempts + 1).first()


def _dead_end(incident: Incident) -> str:
    """Why automation ends before a runbook is even looked for; empty when it goes on."""
    if incident.cluster is None:
        return "the incident belongs to no registered cluster, so nothing can be changed"
    if AUTOMATION_RANK.get(incident.cluster.automation, 0) < AUTOMATION_RANK[Automation.SUGGEST]:
        return f"the automation level of {incident.cluster} is {incident.cluster.automation}: a person decides"
    if incident.remediation_attempts >= incident.max_remediation_attempts:
        return f"all {incident.max_remediation_attempts} attempts are used up"
    return ""


def _start(incident: Incident, runbook: Runbook, score: float | None, at: datetime) -> RemediationPlan | None:
    assert incident.cluster is not None
    if incident.cluster.automation == Automation.SUGGEST:
        incident.change(runbook=runbook.name, updated_at=at)
        lifecycle.escalate(incident=incident, reason=f"runbook {runbook.name} is suggested: a person decides", at=at)
        return None
    try:
        return create(incident=incident, runbook=runbook, requested_by="system", match_score=score, at=at)
    except Conflict:
        incident.change(due_at=at + BUSY_RETRY, updated_at=at)  # an older plan still works on the same object
        return None


def choose(incident: Incident) -> Match[Any] | None:
    """The best runbook that has not failed on this incident and has attempts left."""
    candidates = Runbook.objects.filter(namespace__in={incident.namespace, "default"}).order_by("name", "namespace")
    used = dict(incident.plans.filter(runbook__isnull=False).order_by().values_list("runbook").annotate(Count("pk")))
    failed = _failed_digests(incident)
    target = target_of(incident)
    # Any: the type checker does not see that a Django model has the attributes of the protocol
    fresh: list[Any] = [
        runbook
        for runbook in candidates[:MAX_RUNBOOKS]
        if used.get(runbook.pk, 0) < runbook.max_attempts
        and (not runbook.auto_generated or runbook.labels.get(generation.WORKLOAD) == incident.resource)
        and not (failed and digest_of(runbook, target) in failed)
    ]
    return matching.best(fresh, facts(incident))


def _failed_digests(incident: Incident) -> set[str]:
    return set(incident.plans.filter(UNFINISHED_ATTEMPTS).values_list("actions_digest", flat=True))


def _generated(incident: Incident, insight: AIInsight, at: datetime) -> Runbook | None:
    """A runbook from what the analysis suggests, unless exactly that has failed already."""
    wanted = generation.suggested_steps(insight)
    if not wanted or digest_of(Runbook(steps=wanted), target_of(incident)) in _failed_digests(incident):
        return None
    return generation.generate(incident=incident, insight=insight, steps=wanted, at=at)


def facts(incident: Incident) -> matching.Facts:
    """The incident in the terms of the matching rules."""
    signals = incident.anomalies.filter(cleared_at=None).values_list("signal_type", flat=True)
    return matching.Facts(
        signal_type=incident.signal_type,
        severity=incident.severity,
        kind=incident.resource_kind,
        namespace=incident.namespace,
        description=incident.description,
        signals=frozenset(signals),
    )


def target_of(incident: Incident) -> Target:
    return Target.of(incident.resource_kind, incident.resource_name, incident.namespace)


def digest_of(runbook: Runbook, target: Target) -> str:
    """The digest that a plan made from the runbook would have."""
    return steps.digest(steps.build(RemediationPlan(), runbook.steps, target))


def create(
    *,
    incident: Incident,
    runbook: Runbook,
    requested_by: str,
    match_score: float | None = None,
    at: datetime,
    actor: Actor = SYSTEM,
) -> RemediationPlan:
    """Write a plan with its steps and move the incident to Remediating. Raises `Conflict` while another plan runs.

    In the caller's transaction, which holds the incident locked.
    """
    attempt = incident.remediation_attempts + 1
    row = RemediationPlan(
        name=f"remediation-{incident.name.lower()}-{attempt}",
        namespace=incident.namespace,
        incident=incident,
        cluster=incident.cluster,
        runbook=runbook,
        runbook_name=runbook.name,
        attempt=attempt,
        strategy=f"Attempt {attempt} with runbook {runbook.name}: {runbook.description}"[:4096],
        requested_by=requested_by,
        rollback_on_failure=runbook.rollback_on_failure,
        target_key=incident.correlation_key,
        target_kind=incident.resource_kind,
        target_name=incident.resource_name,
        labels={"platform.chatcli.io/issue": incident.name},
        due_at=at,
        created_at=at,
        updated_at=at,
    )
    made = steps.build(row, runbook.steps, target_of(incident))
    row.actions_digest = steps.digest(made)
    _insert(row, made)
    lifecycle.start_remediation(
        incident=incident, runbook=runbook.name, plan_name=row.name, match_score=match_score, at=at, actor=actor
    )
    plan_created.send(sender=RemediationPlan, plan=row)
    nudge(ADVANCE, plan_id=row.pk)
    audit.record(telling.record(row, "remediation.create", actor=actor, requestedBy=requested_by), at=at)
    return row


def _insert(row: RemediationPlan, made: Sequence[PlanStep]) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            PlanStep.objects.bulk_create(made)
    except IntegrityError as error:
        raise Conflict(
            "A remediation plan is running", f"{row.target_kind}/{row.target_name} is being worked on already"
        ) from error


@transaction.atomic
def remediate(
    *, incident: Incident, runbook_name: str, requested_by: str, actor: Actor, at: datetime
) -> RemediationPlan:
    """A person starts a runbook (X3). Raises `Conflict` and `Invalid`; a refusal by the envelope shows in the plan later."""
    locked = Incident.objects.select_for_update(of=("self",)).select_related("cluster").get(pk=incident.pk)
    if locked.state == IncidentState.RESOLVED:
        raise Conflict("Incident is already resolved", f"{locked.name} was closed: {locked.resolution}")
    if locked.plans.filter(state__in=RUNNING).exists():
        raise Conflict("A remediation plan is running", f"{locked.name} has a plan that is not finished")
    level = locked.cluster.automation if locked.cluster else Automation.AUTO
    if AUTOMATION_RANK.get(level, 0) < AUTOMATION_RANK[Automation.SUGGEST]:
        raise Conflict("Automation is off", f"The automation level of cluster {locked.cluster} is {level}")
    runbook = _named(runbook_name, locked.namespace)
    return create(incident=locked, runbook=runbook, requested_by=requested_by, at=at, actor=actor.named(requested_by))


def _named(name: str, namespace: str) -> Runbook:
    """The runbook of that name, of the incident's own namespace before `default` before any other."""
    found = list(Runbook.objects.filter(name=name).order_by("namespace")[:100])
    if not found:
        raise Invalid("Unknown runbook", fields={"runbook": [f"no runbook is called {name}"]})
    order = {namespace: 0, "default": 1}
    return min(found, key=lambda runbook: order.get(runbook.namespace, 2))


def _explain(incident: Incident, match: Match[Any] | None, runbook: Runbook | None, at: datetime) -> None:
    if match:
        verdict, reason, score = match.runbook.name, ", ".join(match.reasons), match.score
    elif runbook:
        verdict, reason, score = runbook.name, "generated from the actions that the analysis suggests", 0.0
    else:
        verdict, reason, score = "none", "no runbook fits, or those that fit have failed already", 0.0
    timeline.decide(
        incident=incident,
        at=at,
        stage="match",
        rule="runbook",
        verdict=verdict,
        reason=reason,
        inputs={"score": score, "attempt": incident.remediation_attempts + 1},
    )
