"""The text of a postmortem (contract/api.md §7.2), made of facts that the pipeline left behind. Pure.

What nobody measured stays out: an impact on users that we cannot know is not 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from aiops.api.formats import format_duration, format_time
from incidents.models import AIInsight, Anomaly, Incident, TimelineEvent
from incidents.states import IncidentState

Type = TimelineEvent.Type
TREND = timedelta(days=30)
ACTION_DUE = timedelta(days=14)
PRIORITY = {"critical": "P1", "high": "P2", "medium": "P3", "low": "P4"}
ACTIONS = frozenset({Type.REMEDIATION_ACTION, Type.REMEDIATION_FAILED})
MAX_ITEMS = 50
SLOW_DETECTION = timedelta(minutes=5)

Json = dict[str, Any]


class Earlier(NamedTuple):
    """Another postmortem of the same resource."""

    name: str
    signal_type: str


@dataclass(frozen=True, slots=True)
class Facts:
    incident: Incident
    insight: AIInsight | None
    events: Sequence[TimelineEvent]
    anomalies: Sequence[Anomaly]
    earlier: Sequence[Earlier]
    at: datetime

    @property
    def ended_at(self) -> datetime:
        return self.incident.resolved_at or self.at

    @property
    def actions(self) -> list[TimelineEvent]:
        return [event for event in self.events if event.type in ACTIONS and event.details.get("action")]


def title(incident: Incident) -> str:
    return f"{incident.resource}: {incident.description}"[:512]


def summary(facts: Facts) -> str:
    incident = facts.incident
    signals = (
        ", ".join(sorted({anomaly.signal_type for anomaly in facts.anomalies})) or incident.signal_type or "a signal"
    )
    sentences = [
        f"{incident.resource} in {incident.namespace} showed {signals}.",
        f"It began at {format_time(incident.started_at)} and was detected at {format_time(incident.detected_at)}.",
    ]
    if facts.insight:
        sentences.append(f"Probable cause: {facts.insight.analysis.strip().rstrip('.')}.")
    if incident.state == IncidentState.RESOLVED:
        lasted = format_duration(facts.ended_at - incident.detected_at)
        sentences.append(f"Resolved after {lasted}: {incident.resolution.strip().rstrip('.')}.")
    elif incident.required_action:
        sentences.append(f"Contained only. {incident.required_action}")
    return " ".join(sentences)


def impact(facts: Facts) -> str:
    """One sentence on what was affected, from what was seen."""
    incident = facts.incident
    lasted = format_duration(facts.ended_at - min(incident.started_at, facts.ended_at))
    objects = {(row.object_kind, row.object_name) for row in facts.anomalies if row.object_name}
    others = f", seen on {len(objects)} objects" if len(objects) > 1 else ""
    return f"{incident.resource} was impaired for {lasted}{others}"


def report(facts: Facts) -> Json:
    """The members of `report` that are no columns of the row."""
    incident, insight = facts.incident, facts.insight
    recommendations = [str(text) for text in insight.recommendations][:MAX_ITEMS] if insight else []
    return {
        "impact": {"description": impact(facts), "slosBreached": []},
        "rootCause": _root_cause(insight),
        "timeline": [{"time": format_time(event.at), "event": event.message} for event in facts.events],
        "remediationApplied": _remediation(facts),
        "actionItems": _action_items(facts, recommendations),
        "lessonsLearned": _lessons(facts),
        "preventionActions": recommendations,
        "actionsExecuted": [_executed(event) for event in facts.actions],
        "metricSnapshots": [],
        "blastRadius": _blast_radius(facts.anomalies),
        "gitCorrelation": None,
        "trending": _trending(facts),
        "gitOpsContext": (insight.gitops_context or None) if insight else None,
        "logAnalysisSummary": (insight.log_analysis or None) if insight else None,
        "cascadeChain": insight.cascade_analysis.splitlines()[:MAX_ITEMS] if insight else [],
        "sliImpact": None,
        "errorBudgetBurned": None,
        "chaosInduced": bool(incident.chaos_experiment),
        "chaosExperiment": incident.chaos_experiment or None,
    }


def _root_cause(insight: AIInsight | None) -> Json | None:
    if insight is None:
        return None
    return {
        "description": insight.analysis,
        "category": insight.category or "unknown",
        "confidence": round(insight.confidence, 2),
    }


def _executed(event: TimelineEvent) -> Json:
    details: Mapping[str, Any] = event.details
    params = details.get("params")
    return {
        "action": str(details["action"]),
        "params": params if isinstance(params, dict) else {},
        "result": "failed" if event.type == Type.REMEDIATION_FAILED or details.get("result") == "failed" else "success",
        "detail": str(details.get("detail") or event.message),
        "timestamp": format_time(event.at),
    }


def _remediation(facts: Facts) -> Json | None:
    """What the last plan did; earlier attempts stand in `actionsExecuted`."""
    if not facts.actions:
        return None
    plan = facts.actions[-1].details.get("plan")
    events = [event for event in facts.events if event.details.get("plan") == plan]
    actions = [event for event in facts.actions if event in events]
    runbooks = [str(event.details["runbook"]) for event in actions if event.details.get("runbook")]
    return {
        "runbook": runbooks[-1] if runbooks else facts.incident.runbook or None,
        "steps": [event.message for event in actions][:MAX_ITEMS],
        "result": _result(events, [_executed(event)["result"] for event in actions]),
    }


def _result(events: Sequence[TimelineEvent], results: Sequence[str]) -> str:
    """`partial` when something worked but not all of it, or when it was undone or not verified in the end."""
    checks = [event.details.get("result") for event in events if event.type == Type.VERIFICATION]
    undone = any(event.type == Type.ROLLBACK for event in events) or (checks and checks[-1] == "failed")
    if "success" not in results:
        return "failed"
    return "partial" if undone or "failed" in results else "success"


def _action_items(facts: Facts, recommendations: Sequence[str]) -> list[Json]:
    incident = facts.incident
    wanted = list(recommendations)
    if incident.requires_human_action and incident.required_action:
        wanted.insert(0, incident.required_action)
    due = (facts.ended_at + ACTION_DUE).date().isoformat()
    return [
        {
            "priority": PRIORITY[incident.severity],
            "description": text,
            "assignee": incident.assigned_to or "unassigned",
            "status": "open",
            "dueDate": due,
        }
        for text in wanted[:MAX_ITEMS]
    ]


def _lessons(facts: Facts) -> list[str]:
    """What the course of the incident itself teaches."""
    incident = facts.incident
    lessons = []
    delay = incident.detected_at - incident.started_at
    if delay > SLOW_DETECTION:
        lessons.append(f"It took {format_duration(delay)} from the beginning to the detection.")
    if incident.remediation_attempts > 1:
        lessons.append(
            f"It took {incident.remediation_attempts} attempts; the first runbook tried does not fit this cause."
        )
    failed = sorted({event.details["action"] for event in facts.actions if _executed(event)["result"] == "failed"})
    if failed:
        lessons.append(f"Did not help: {', '.join(map(str, failed))}.")
    if incident.escalated_at:
        lessons.append("Automation found no way forward and a person had to decide.")
    if facts.earlier:
        lessons.append(
            f"It is not the first time: {len(facts.earlier)} more in {TREND.days} days on {incident.resource}."
        )
    return lessons


def _blast_radius(anomalies: Sequence[Anomaly]) -> list[Json]:
    affected: dict[tuple[str, str, str], Json] = {}
    for anomaly in anomalies:
        for kind, name in (
            (anomaly.resource_kind, anomaly.resource_name),
            (anomaly.object_kind, anomaly.object_name),
        ):
            if name and len(affected) < MAX_ITEMS:
                resource = {"kind": kind, "name": name, "namespace": anomaly.namespace}
                entry = {"resource": resource, "impact": anomaly.description, "severity": anomaly.severity}
                affected.setdefault((kind, anomaly.namespace, name), entry)
    return list(affected.values())


def _trending(facts: Facts) -> Json | None:
    if not facts.earlier:
        return None
    same = sum(1 for other in facts.earlier if other.signal_type == facts.incident.signal_type)
    return {
        "occurrenceCount": len(facts.earlier) + 1,
        "windowDays": TREND.days,
        "relatedPostMortems": [other.name for other in facts.earlier],
        "pattern": f"{facts.incident.signal_type} recurs on {facts.incident.resource}" if same else "different signals",
    }
