"""The same JSON as the product's, written down by hand."""

from datetime import UTC, datetime
from typing import Any

import orjson

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
Row = tuple[Any, ...]


def dumps(document: Any) -> bytes:
    return orjson.dumps(document, option=OPTIONS)


def age(since: datetime, until: datetime) -> str:
    seconds = max(0, int((until - since).total_seconds()))
    if seconds >= 86_400:
        return f"{seconds // 86_400}d"
    if seconds >= 3_600:
        return f"{seconds // 3_600}h"
    return f"{seconds // 60}m" if seconds >= 60 else f"{seconds}s"


def item(row: Row, now: datetime) -> dict[str, Any]:
    (
        name, namespace, severity, state, kind, resource, description, source, signal_type, risk, detected, resolved,
        resolution, assigned, attempts, attempts_max, human, required, chaos, acknowledged, snoozed, cluster, labels,
        annotations, created,
    ) = row  # fmt: skip
    return {
        "resource": f"{kind}/{resource}",
        "resourceRef": {"kind": kind, "name": resource, "namespace": namespace},
        "acknowledged": acknowledged is not None,
        "snoozed": snoozed is not None and now < snoozed,
        "assignedTo": assigned or None,
        "requiresHumanAction": human,
        "requiredAction": required or None,
        "chaosInduced": bool(chaos),
        "chaosExperiment": chaos or None,
        "name": name,
        "namespace": namespace,
        "severity": severity,
        "state": state,
        "description": description,
        "source": source,
        "signalType": signal_type or None,
        "riskScore": risk,
        "detectedAt": detected,
        "resolvedAt": resolved,
        "resolution": resolution or None,
        "age": age(detected, resolved or now),
        "remediationAttempts": attempts,
        "maxRemediationAttempts": attempts_max,
        "cluster": cluster or None,
        "labels": labels,
        "annotations": annotations,
        "creationTimestamp": created,
    }


def page(rows: list[Row], *, total: int, number: int, size: int) -> bytes:
    now = datetime.now(UTC)
    metadata = {"totalCount": total, "page": number, "pageSize": size}
    items = [item(row, now) for row in rows]
    return dumps({"apiVersion": "v1", "kind": "IncidentList", "metadata": metadata, "items": items})


def incident(row: Row) -> bytes:
    (
        _, name, namespace, uid, created, updated, version, labels, annotations, kind, resource, severity, description,
        signal_type, source, detection_source, correlation, runbook, escalation_policy, cluster, acknowledged, snooze_until,
        assigned, human, required, chaos, state, risk, acknowledged_by, message, snoozed_by, snoozed_at, snooze_reason,
        detected, escalated, resolved, timeline_count, attempts, attempts_max, resolution,
        analysis, recommendation, confidence, related, burned,
    ) = row  # fmt: skip
    now = datetime.now(UTC)
    meta = {"name": name, "namespace": namespace, "uid": uid}
    tail = {"labels": labels, "annotations": annotations}
    analyzed = {
        "rootCause": analysis,
        "recommendation": recommendation or "",
        "confidence": confidence,
        "relatedEvents": related,
    }
    return dumps(
        {
            "apiVersion": "v1",
            "kind": "Incident",
            "metadata": {
                **meta, "createdAt": created, "updatedAt": updated, "resourceVersion": str(version), **tail
            },
            "resourceMeta": {**meta, "creationTimestamp": created, **tail},
            "spec": {
                "resource": f"{kind}/{resource}",
                "resourceRef": {"kind": kind, "name": resource, "namespace": namespace},
                "severity": severity,
                "description": description,
                "signalType": signal_type or None,
                "source": source,
                "detectionSource": detection_source or None,
                "correlationId": correlation or None,
                "runbook": runbook or None,
                "escalationPolicy": escalation_policy or None,
                "cluster": cluster or None,
            },
            "status": {
                "acknowledged": acknowledged is not None,
                "snoozed": snooze_until is not None and now < snooze_until,
                "assignedTo": assigned or None,
                "requiresHumanAction": human,
                "requiredAction": required or None,
                "chaosInduced": bool(chaos),
                "chaosExperiment": chaos or None,
                "state": state,
                "riskScore": risk,
                "analysisResult": None if analysis is None else analyzed,
                "acknowledgedBy": acknowledged_by or None,
                "acknowledgedAt": acknowledged,
                "message": message or None,
                "snoozedBy": snoozed_by or None,
                "snoozedAt": snoozed_at,
                "snoozeUntil": snooze_until,
                "snoozeReason": snooze_reason or None,
                "detectedAt": detected,
                "escalatedAt": escalated,
                "resolvedAt": resolved,
                "lastUpdated": updated,
                "timelineCount": timeline_count,
                "remediationAttempts": attempts,
                "maxRemediationAttempts": attempts_max,
                "resolution": resolution or None,
                "budgetBurned": burned,
            },
        }
    )  # fmt: skip


def timeline(rows: list[Row]) -> bytes:
    name, namespace = rows[0][:2]
    events = [
        {"timestamp": at, "type": type_, "source": source, "message": message, "severity": severity or None, "details": details}
        for _, _, at, type_, source, message, severity, details in rows
        if at is not None
    ]  # fmt: skip
    metadata = {"name": name, "namespace": namespace, "eventCount": len(events)}
    return dumps({"apiVersion": "v1", "kind": "IncidentTimeline", "metadata": metadata, "events": events})
