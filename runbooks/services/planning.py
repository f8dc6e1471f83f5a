"""From an analyzed incident to a plan: which runbook, how often it was tried, and who has the say.

A plan is only written down here. Its first `execution.advance` looks at the cluster (`preflight`) and decides whether it runs,
waits for a person or is refused.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from aiops import bulk
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.errors import Conflict, Invalid
from aiops.nudges import nudge
from aiops.statements import Slot, Statement
from federation.models import AUTOMATION_RANK, Automation, memory_of
from incidents.models import AIInsight, Anomaly, Incident
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
UNSUCCESSFUL = frozenset({PlanState.FAILED, PlanState.ROLLED_BACK})

# constant SQL: of a storm's incidents the ORM took more time for these than for all that is written
LOCKED = Statement(
    lambda: (
        Incident.objects.select_for_update(of=("self",))
        .select_related("cluster")
        .defer(*memory_of("cluster"))
        .filter(pk=Slot("incident"))
    )
)
INSIGHT = Statement(lambda: AIInsight.objects.filter(incident=Slot("incident"), attempt=Slot("attempt"))[:1])
CANDIDATES = Statement(
    lambda: Runbook.objects.filter(Q(namespace=Slot("namespace")) | Q(namespace="default")).order_by(
        "name", "namespace"
    )[:MAX_RUNBOOKS]
)
PLANS = Statement(
    lambda: (
        RemediationPlan.objects.filter(incident=Slot("incident"))
        .order_by()
        .values("runbook", "state", "actions_digest")
    )
)
SIGNALS = Statement(
    lambda: (
        Anomaly.objects.filter(incident=Slot("incident"), cleared_at=None).order_by().values("signal_type").distinct()
    )
)


def plan(*, incident: Incident, at: datetime) -> RemediationPlan | None:
    """Take the next step of an incident whose analysis is done: make a plan, or escalate. None when there is no plan.

    Harmless when called twice: an incident that is not waiting for a plan is left alone.
    """
    return plan_by_key(incident_id=incident.pk, at=at)


def plan_by_key(*, incident_id: int, at: datetime) -> RemediationPlan | None:
    """`plan` for who has not read the incident yet; of one that does not exist there is no plan."""
    with transaction.atomic():
        locked = LOCKED.first(incident=incident_id)
        if locked is None:
            return None
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
    found: AIInsight | None = INSIGHT.first(incident=incident.pk, attempt=incident.remediation_attempts + 1)
    return found


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
    used, failed = _tried(incident)
    target = target_of(incident)
    # Any: the type checker does not see that a Django model has the attributes of the protocol
    fresh: list[Any] = [
        runbook
        for runbook in CANDIDATES.all(namespace=incident.namespace)
        if used[runbook.pk] < runbook.max_attempts
        and (not runbook.auto_generated or runbook.labels.get(generation.WORKLOAD) == incident.resource)
        and not (failed and digest_of(runbook, target) in failed)
    ]
    return matching.best(fresh, facts(incident))


def _tried(incident: Incident) -> tuple[Counter[int | None], set[str]]:
    """How often which runbook (by key) was tried on the incident, and the digests of what has failed."""
    plans = PLANS.all(incident=incident.pk)
    return Counter(plan["runbook"] for plan in plans), {
        plan["actions_digest"] for plan in plans if plan["state"] in UNSUCCESSFUL
    }


def _generated(incident: Incident, insight: AIInsight, at: datetime) -> Runbook | None:
    """A runbook from what the analysis suggests, unless exactly that has failed already."""
    wanted = generation.suggested_steps(insight)
    if not wanted or digest_of(Runbook(steps=wanted), target_of(incident)) in _tried(incident)[1]:
        return None
    return generation.generate(incident=incident, insight=insight, steps=wanted, at=at)


def facts(incident: Incident) -> matching.Facts:
    """The incident in the terms of the matching rules."""
    return matching.Facts(
        signal_type=incident.signal_type,
        severity=incident.severity,
        kind=incident.resource_kind,
        namespace=incident.namespace,
        description=incident.description,
        signals=frozenset(row["signal_type"] for row in SIGNALS.all(incident=incident.pk)),
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
            bulk.create([row])
            for step in made:
                step.plan = row  # which has a key by now
            bulk.create(made)
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
