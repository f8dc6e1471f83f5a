"""The report after an incident: written from what really happened, reviewed and closed by people."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from aiops import bulk
from aiops.api.formats import format_time
from aiops.audit import services as audit
from aiops.audit.actor import Actor
from aiops.errors import Conflict, Invalid
from aiops.sequences import services as sequences
from incidents import reports
from incidents.models import AIInsight, Anomaly, Incident, PostMortem, TimelineEvent
from incidents.states import IncidentState, PostMortemState

P = PostMortemState
PREFIX = "aiops.chatcli.io"  # of the contract's annotations
MAX_EVENTS = 500  # of one incident that a report looks at
MAX_ANOMALIES = 200
MAX_EARLIER = 50


def write(*, incident: Incident, at: datetime) -> PostMortem:
    """The postmortem of `incident`, written now or, while it is not closed, brought up to date. Idempotent."""
    return write_all(incidents=[incident], at=at)[0]


@transaction.atomic
def write_all(*, incidents: Sequence[Incident], at: datetime) -> list[PostMortem]:
    """`write` for many, in a number of statements that does not depend on how many."""
    if not incidents:
        return []
    existing = {row.incident_id: row for row in PostMortem.objects.filter(incident__in=incidents)}
    facts = _facts(incidents, at)
    missing = [incident for incident in incidents if incident.pk not in existing]
    for incident in incidents:
        if incident.pk in existing:
            _bring_up_to_date(existing[incident.pk], facts[incident.pk], at)
    if missing:
        names = sequences.take(sequences.lock(prefix="PM", at=at), len(missing))
        created = bulk.create(
            _row(name, incident, facts[incident.pk], at) for name, incident in zip(names, missing, strict=True)
        )
        existing |= {row.incident_id: row for row in created}
    return [existing[incident.pk] for incident in incidents]


def _row(name: str, incident: Incident, facts: reports.Facts, at: datetime) -> PostMortem:
    return PostMortem(
        name=name,
        namespace=incident.namespace,
        labels={key: value for key, value in incident.labels.items() if not key.startswith("platform.chatcli.io/")},
        incident=incident,
        detected_at=incident.detected_at,
        requires_human_action=incident.requires_human_action,
        required_action=incident.required_action,
        generated_at=at,
        created_at=at,
        updated_at=at,
        **_content(incident, facts),
    )


def _content(incident: Incident, facts: reports.Facts) -> dict[str, Any]:
    return {
        "severity": incident.severity,
        "title": reports.title(incident),
        "summary": reports.summary(facts),
        "impact": reports.impact(facts),
        "root_cause": facts.insight.analysis if facts.insight else "",
        "report": reports.report(facts),
        "complete": incident.state == IncidentState.RESOLVED,
        "resolved_at": incident.resolved_at,
    }


def _bring_up_to_date(row: PostMortem, facts: reports.Facts, at: datetime) -> None:
    """A contained incident has a draft, which its end completes; a closed report is never touched (PM-3)."""
    if row.state == P.CLOSED:
        return
    incident = facts.incident
    content = _content(incident, facts)
    if incident.state == IncidentState.CONTAINED:
        content |= {"requires_human_action": True, "required_action": incident.required_action}
    row.change(**content, generated_at=at, updated_at=at)


def _facts(incidents: Sequence[Incident], at: datetime) -> dict[int, reports.Facts]:
    """All that the reports of `incidents` are made of, in four queries."""
    insights: dict[int, AIInsight] = {}
    for insight in AIInsight.objects.filter(incident__in=incidents).order_by("incident_id", "attempt"):
        insights[insight.incident_id] = insight  # the newest stays
    events: dict[int, list[TimelineEvent]] = defaultdict(list)
    for event in TimelineEvent.objects.filter(incident__in=incidents).order_by("at", "pk"):
        if len(events[event.incident_id]) < MAX_EVENTS:
            events[event.incident_id].append(event)
    anomalies: dict[int, list[Anomaly]] = defaultdict(list)
    for anomaly in Anomaly.objects.filter(incident__in=incidents).order_by("first_seen_at", "pk"):
        if len(anomalies[anomaly.incident_id]) < MAX_ANOMALIES:
            anomalies[anomaly.incident_id].append(anomaly)
    earlier = _earlier(incidents, at)
    return {
        incident.pk: reports.Facts(
            incident=incident,
            insight=insights.get(incident.pk),
            events=events[incident.pk],
            anomalies=anomalies[incident.pk],
            earlier=earlier.get(_resource(incident), []),
            at=at,
        )
        for incident in incidents
    }


Resource = tuple[str, str, str, str]


def _resource(incident: Incident) -> Resource:
    return incident.cluster_name, incident.namespace, incident.resource_kind, incident.resource_name


def _earlier(incidents: Sequence[Incident], at: datetime) -> Mapping[Resource, list[reports.Earlier]]:
    """Other postmortems of the same resources in the window, newest first."""
    wanted = {_resource(incident) for incident in incidents}
    rows = (
        PostMortem.objects.filter(
            incident__resource_name__in={resource[3] for resource in wanted},
            created_at__gte=at - reports.TREND,
            created_at__lte=at,
        )
        .exclude(incident__in=incidents)
        .order_by("-created_at", "name")
        .values_list(
            "name",
            "incident__signal_type",
            "incident__cluster_name",
            "incident__namespace",
            "incident__resource_kind",
            "incident__resource_name",
        )
    )
    found: dict[Resource, list[reports.Earlier]] = defaultdict(list)
    for name, signal_type, *resource in rows:
        key = (resource[0], resource[1], resource[2], resource[3])
        if key in wanted and len(found[key]) < MAX_EARLIER:
            found[key].append(reports.Earlier(name, signal_type))
    return found


# --- people ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def review(
    *, postmortem: PostMortem, reviewer: str | None = None, notes: str | None = None, actor: Actor, at: datetime
) -> PostMortem:
    """Begin or continue the review; what is not given keeps its value (PM-1). Raises `Conflict` when closed."""
    _refuse_closed(postmortem)
    changes = _words(reviewer, notes)
    annotations = postmortem.annotations | {f"{PREFIX}/reviewed-by": reviewer or actor.role}
    if notes is not None:
        annotations[f"{PREFIX}/review-notes"] = notes
    postmortem.move_to(
        P.IN_REVIEW,
        **changes,
        review_started_at=postmortem.review_started_at or at,
        reviewed_at=at,
        annotations=annotations,
        updated_at=at,
    )
    _record(postmortem, "review", actor.named(reviewer), at, **changes)
    return postmortem


@transaction.atomic
def close(
    *, postmortem: PostMortem, reviewer: str | None = None, notes: str | None = None, actor: Actor, at: datetime
) -> PostMortem:
    """Close it for good (PM-2). Raises `Conflict` when closed already or while a person still has to act (PM-6)."""
    _refuse_closed(postmortem)
    if postmortem.requires_human_action:
        raise Conflict("A person still has to act", postmortem.required_action)
    changes = _words(reviewer, notes)
    postmortem.move_to(P.CLOSED, **changes, closed_at=at, updated_at=at)
    _record(postmortem, "close", actor.named(reviewer), at, **changes)
    return postmortem


@transaction.atomic
def feedback(
    *,
    postmortem: PostMortem,
    remediation_accuracy: int,
    override_root_cause: str | None = None,
    comments: str | None = None,
    actor: Actor,
    at: datetime,
) -> PostMortem:
    """What `actor` thinks of the report; replaces earlier feedback (PM-4). Raises `Conflict` when closed."""
    _refuse_closed(postmortem)
    given = {
        "overrideRootCause": override_root_cause or None,
        "remediationAccuracy": remediation_accuracy,
        "comments": comments or None,
        "providedBy": actor.name,
        "providedAt": format_time(at),
    }
    postmortem.change(feedback=given, updated_at=at)
    _record(postmortem, "feedback", actor, at, **given)
    return postmortem


@transaction.atomic
def acknowledge_human_action(
    *, postmortem: PostMortem, acknowledged_by: str | None = None, note: str | None = None, actor: Actor, at: datetime
) -> PostMortem:
    """A person has done what was required (PM-5). Raises `Invalid` when nothing is."""
    if not postmortem.requires_human_action or postmortem.state == P.CLOSED:
        raise Invalid("There is no human action to acknowledge")
    annotations = postmortem.annotations | {
        f"{PREFIX}/human-action-acknowledged": "true",
        f"{PREFIX}/human-action-acknowledged-at": format_time(at),
        f"{PREFIX}/human-action-acknowledged-by": acknowledged_by or actor.role,
    }
    if note:
        annotations[f"{PREFIX}/human-action-note"] = note
    postmortem.change(requires_human_action=False, annotations=annotations, updated_at=at)
    _record(postmortem, "ack-human-action", actor.named(acknowledged_by), at, note=note or "")
    return postmortem


def _words(reviewer: str | None, notes: str | None) -> dict[str, str]:
    return {name: text for name, text in (("reviewer", reviewer), ("notes", notes)) if text is not None}


def _refuse_closed(postmortem: PostMortem) -> None:
    if postmortem.state == P.CLOSED:
        raise Conflict("Postmortem is closed", f"{postmortem.name} is immutable since it was closed.")


def _record(postmortem: PostMortem, verb: str, actor: Actor, at: datetime, **details: Any) -> None:
    record = audit.Record(
        action=f"postmortem.{verb}",
        actor=actor,
        resource_type=PostMortem.KIND,
        resource=postmortem.name,
        namespace=postmortem.namespace,
        correlation_id=postmortem.incident.name,
        details=details,
    )
    audit.record(record, at=at)
