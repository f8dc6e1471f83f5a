"""Analyses an incident: from "something is wrong" to a cause, with evidence, and what could be done about it.

A row at a time, idempotent: whoever comes second finds that the work is taken or done and leaves quietly. A worker that
dies leaves an incident that is due again after the lease. After three tries the cluster and the language model are left
out, so that every incident comes to a result.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from aiops import bulk
from aiops.audit.actor import SYSTEM
from aiops.errors import Conflict, LostRace
from aiops.statements import Slot, Statement
from federation.models import Automation
from incidents.analysis import conclusion, logs
from incidents.analysis.conclusion import Conclusion
from incidents.analysis.context import Context
from incidents.models import AIInsight, Incident, TimelineEvent
from incidents.services import evidence, lifecycle, narrative, timeline
from incidents.services.changes import Change, write
from incidents.signals import incident_analyzed
from incidents.states import IncidentState

logger = structlog.get_logger(__name__)

LEASE = timedelta(minutes=5)  # the longest an analysis may take, the language model's patience included
FULL_TRIES = 3  # after that the incident is explained from what we know already
CLAIMS = 5  # tries to take an incident that signals are written to
WRITES = 3  # tries to store a result while people change the incident
OFF = "automation is switched off for this cluster"
ANALYZABLE = frozenset({IncidentState.DETECTED, IncidentState.ANALYZING})
SOURCE = "decision-engine"
DONE = Statement(
    lambda: AIInsight.objects.filter(incident=Slot("incident"), attempt=Slot("attempt")).order_by().values("pk")[:1]
)

Clock = Callable[[], datetime]


def analyze(*, incident: Incident, at: datetime, now: Clock = timezone.now) -> AIInsight | None:
    """Analyse `incident` if it is due, and announce it; None when there was nothing (left) to do.

    `at` is when the caller looked; `now` tells the time again after the gathering, which takes a while.
    """
    if not _take(incident, at):
        return None
    is_full = incident.analysis_tries <= FULL_TRIES
    context = evidence.gather(incident=incident, ask_cluster=is_full)
    result = conclusion.conclude(context)
    if is_full:
        result = narrative.told_by_model(incident=incident, context=context, rules=result, at=now())
    return _store(incident, context, result, at=now())


def _take(incident: Incident, at: datetime) -> bool:
    """Whether the incident is due and ours now. One whose automation is off is escalated instead.

    In a storm signals write the row all the time: a race that one of them won is no reason to leave the incident to the next
    sweep. Whoever lost against another worker sees the lease when he looks again.
    """
    for _ in range(CLAIMS):
        if not _is_due(incident, at):
            return False
        try:
            if _is_off(incident):
                lifecycle.escalate(incident=incident, reason=OFF, at=at)
                return False
            _claim(incident, at)
        except LostRace:
            incident.refresh_from_db()
        except Conflict:
            return False
        else:
            return True
    return False


def _is_due(incident: Incident, at: datetime) -> bool:
    if incident.state not in ANALYZABLE or (incident.due_at is not None and incident.due_at > at):
        return False
    return not DONE.rows(incident=incident.pk, attempt=incident.remediation_attempts + 1)


def _is_off(incident: Incident) -> bool:
    return incident.cluster is not None and incident.cluster.automation == Automation.OFF


def _claim(incident: Incident, at: datetime) -> None:
    """Take the incident for the length of the lease. Raises `LostRace`."""
    if incident.state == IncidentState.DETECTED:
        lifecycle.begin_analysis(incident=incident, at=at, due_at=at + LEASE, actor=SYSTEM)
    else:
        incident.change(analysis_tries=incident.analysis_tries + 1, due_at=at + LEASE, updated_at=at)


def _store(incident: Incident, context: Context, result: Conclusion, *, at: datetime) -> AIInsight | None:
    """Write the result, unless the incident went another way meanwhile. A comment or a signal in between is no reason."""
    for _ in range(WRITES):
        try:
            return _write(incident, context, result, at)
        except IntegrityError:
            return None  # the attempt has its insight already
        except LostRace:
            incident.refresh_from_db()
            if incident.state != IncidentState.ANALYZING or incident.remediation_attempts + 1 != context.attempt:
                return None
    logger.warning("analysis_not_stored", incident=incident.name)  # it is due again after the lease
    return None


@transaction.atomic
def _write(incident: Incident, context: Context, result: Conclusion, at: datetime) -> AIInsight:
    insight = AIInsight(**_columns(incident, context, result, at))
    finished = Change(
        type=TimelineEvent.Type.ANALYSIS,
        source=SOURCE,
        message=f"Analysis finished: {insight.analysis.splitlines()[0]}",
        details={
            "insight": insight.name,
            "category": insight.category,
            "confidence": insight.confidence,
            "actions": [suggestion.action for suggestion in result.suggestions],
        },
    )
    # due now: planning may begin, and the sweep finds it should the announcement get lost
    write(incident, finished, at=at, due_at=at, analysis_tries=0)
    bulk.create([insight])
    timeline.decide(
        incident=incident,
        at=at,
        stage="analyze",
        rule=result.rule,
        verdict=result.category,
        reason=insight.analysis,
        inputs={"provider": insight.provider, "attempt": insight.attempt, "gaps": list(context.gaps)},
    )
    incident_analyzed.send(sender=Incident, incident=incident)
    return insight


def _columns(incident: Incident, context: Context, result: Conclusion, at: datetime) -> dict[str, object]:
    suffix = f"-{context.attempt}" if context.attempt > 1 else ""
    return {
        "name": f"insight-{incident.name.lower()}{suffix}",
        "namespace": incident.namespace,
        "incident": incident,
        "attempt": context.attempt,
        "provider": result.provider,
        "model": result.model,
        "analysis": result.text,
        "category": result.category,
        "confidence": result.confidence,
        "recommendations": list(result.recommendations),
        "suggested_actions": [suggestion.as_json() for suggestion in result.suggestions],
        "related_events": conclusion.related_events(context),
        "evidence": [fact.as_json() for fact in result.evidence],
        "log_analysis": logs.summary(context.logs),
        "gitops_context": conclusion.gitops(context),
        "cascade_analysis": conclusion.cascade(context),
        "blast_radius_prediction": conclusion.blast_radius(context),
        "generated_at": at,
        "created_at": at,
        "updated_at": at,
    }


def due(*, at: datetime, limit: int = 200) -> list[int]:
    """Incidents that wait for an analysis, the longest waiting first."""
    done = AIInsight.objects.filter(incident=OuterRef("pk"), attempt=OuterRef("remediation_attempts") + 1)
    waiting = Incident.objects.filter(~Exists(done), state__in=ANALYZABLE, due_at__lte=at)
    return list(waiting.order_by("due_at", "pk").values_list("pk", flat=True)[:limit])
