"""Builds the rows that news become: incidents, anomalies, timeline events, decisions. Saves nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings

from aiops.redaction import redact, redact_details
from incidents import risk
from incidents.grouping import STARTS_AT, News, Verdict
from incidents.models import Anomaly, Decision, Incident, TimelineEvent
from incidents.observations import Observation, digest
from incidents.risk import Graded
from incidents.states import Severity

Members = Sequence[tuple[News, Verdict]]
REOPEN_WINDOW = timedelta(minutes=30)  # after a resolution; what comes then is a recurrence (X9.1)
RECURRENCE_OF = "aiops/recurrence-of"
MAX_LABELS = 64
MAX_EVENTS = 50  # timeline events of one incident in one batch; the last one says how many more there were
RECURRENCE = Verdict(
    "recur", "reopen-window", "The last incident of this workload was resolved less than 30 minutes ago"
)


class Previous(NamedTuple):
    """The incident that a new one repeats."""

    name: str
    correlation_id: str


def graded(observation: Observation) -> Graded:
    severity = observation.severity or risk.severity_of(observation.signal_type)
    return Graded(observation.signal_type, severity, observation.source)


def incident(name: str, key: str, members: Members, previous: Previous | None, at: datetime) -> Incident:
    """A new incident for `members`; the worst signal of the thing itself says what it is about."""
    observations = [news.observation for news, _ in members]
    signals = {graded(one) for one in observations}
    own = [one for one in observations if one.correlation_key == key]
    lead = max(own, key=lambda one: (risk.weight_of(one.signal_type, graded(one).severity), one.weight or 0))
    first = own[0]
    score = risk.score(signals)
    cluster = first.cluster
    return Incident(
        name=name,
        namespace=first.namespace or "default",
        labels=_labels(lead),
        annotations={RECURRENCE_OF: previous.name} if previous else {},
        cluster=cluster,
        cluster_name=cluster.name if cluster else "",
        correlation_key=key,
        correlation_id=previous.correlation_id if previous else f"corr-{digest(name)[:12]}",
        severity=risk.severity(signals, score),
        risk_score=score,
        signal_type=lead.signal_type,
        source=lead.source,
        detection_source=lead.origin,
        description=_description(lead),
        resource_kind=first.kind[:63],
        resource_name=first.name[:253],
        started_at=min(began_at(one, at) for one in observations),
        detected_at=at,
        max_remediation_attempts=settings.AIOPS_MAX_ATTEMPTS,
        timeline_count=event_count(members),
        due_at=at,
        created_at=at,
        updated_at=at,
    )


def began_at(observation: Observation, at: datetime) -> datetime:
    """When it began; a clock that runs ahead does not make it begin after we saw it."""
    return min(observation.event_time or at, at)


def _labels(observation: Observation) -> dict[str, str]:
    labels = dict(list(observation.labels.items())[:MAX_LABELS])
    labels["platform.chatcli.io/signal"] = observation.signal_type
    labels["platform.chatcli.io/resource"] = observation.name
    return labels


def _description(observation: Observation) -> str:
    text = observation.description or f"{observation.signal_type} on {observation.kind}/{observation.name}"
    return redact(text)[:1024]


def anomaly(incident: Incident, news: News, at: datetime) -> Anomaly:
    observation = news.observation
    severity = graded(observation).severity
    weight = observation.weight if observation.weight is not None else risk.weight_of(observation.signal_type, severity)
    evidence = redact_details(dict(observation.evidence))
    if observation.event_time is not None and not observation.is_sighting:
        evidence[STARTS_AT] = observation.event_time.isoformat()
    return Anomaly(
        incident=incident,
        cluster=observation.cluster,
        source=observation.source,
        origin=observation.origin,
        signal_type=observation.signal_type,
        condition=observation.condition[:63],
        fingerprint=observation.fingerprint,
        namespace=observation.namespace or incident.namespace,
        resource_kind=observation.kind[:63],
        resource_name=observation.name[:253],
        object_kind=observation.object_kind[:63],
        object_name=observation.object_name[:253],
        description=_description(observation),
        reason=observation.reason[:253],
        severity=severity,
        weight=weight,
        labels=dict(list(observation.labels.items())[:MAX_LABELS]),
        evidence=evidence,
        count=news.sightings,
        first_seen_at=observation.event_time or at,
        last_seen_at=at,
        detected_at=at,
        cleared_at=at if news.is_over else None,
        cleared_by=Anomaly.Cleared.SOURCE if news.is_over else "",
    )


def event_count(members: Sequence[object]) -> int:
    return min(len(members), MAX_EVENTS)


def events(incident: Incident, anomalies: Sequence[Anomaly], at: datetime) -> list[TimelineEvent]:
    """`event_count` Detections, one per new signal; the caller adds them to the incident's count."""
    shown = anomalies if len(anomalies) <= MAX_EVENTS else anomalies[: MAX_EVENTS - 1]
    rows = [
        _event(incident, row.origin, row.description, at, severity=row.severity, facts=_facts(row)) for row in shown
    ]
    if len(shown) < len(anomalies):
        more = f"{len(anomalies) - len(shown)} more signals at the same time"
        rows.append(_event(incident, anomalies[-1].origin, more, at))
    return rows


def _event(
    incident: Incident, origin: str, text: str, at: datetime, *, severity: str = "", facts: dict[str, str] | None = None
) -> TimelineEvent:
    return TimelineEvent(
        incident=incident,
        at=at,
        type=TimelineEvent.Type.DETECTION,
        source=origin,
        message=text,
        severity=severity,
        details=facts or {},
    )


def _facts(row: Anomaly) -> dict[str, str]:
    facts = {
        "signalType": row.signal_type,
        "resource": f"{row.resource_kind}/{row.resource_name}",
        "object": f"{row.object_kind}/{row.object_name}" if row.object_name else "",
        "reason": row.reason,
    }
    return {name: value for name, value in facts.items() if value}


def decisions(incident: Incident, members: Members, previous: Previous | None, at: datetime) -> list[Decision]:
    """Why each signal is in this incident."""
    rows = [_decision(incident, verdict, _inputs(news.observation), at) for news, verdict in members[:MAX_EVENTS]]
    if previous is not None:
        rows.append(_decision(incident, RECURRENCE, {"previous": previous.name}, at))
    return rows


def severity_decision(incident: Incident, was: str, becomes: Severity | str, at: datetime) -> Decision:
    verdict = Verdict(
        "severity", "risk-score", f"From {was} to {becomes}, since severity follows the risk score upwards"
    )
    return _decision(incident, verdict, {"riskScore": incident.risk_score, "was": was}, at, verdict_word=str(becomes))


def _inputs(observation: Observation) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "signalType": observation.signal_type,
        "origin": observation.origin,
        "resource": f"{observation.kind}/{observation.name}",
        "fingerprint": observation.fingerprint,
    }
    if observation.parent:
        kind, _, name = observation.parent
        inputs["parent"] = f"{kind}/{name}"
    return inputs


WORDS = {"open": "opened", "correlate": "joined", "absorb": "joined", "recur": "recurrence"}


def _decision(
    incident: Incident, verdict: Verdict, inputs: Mapping[str, Any], at: datetime, *, verdict_word: str = ""
) -> Decision:
    return Decision(
        incident=incident,
        at=at,
        stage=verdict.stage,
        rule=verdict.rule,
        verdict=verdict_word or WORDS[verdict.stage],
        reason=verdict.reason,
        inputs=dict(inputs),
    )
