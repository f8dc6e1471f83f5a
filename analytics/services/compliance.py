"""The compliance report (api.md 9.8): what happened, what was promised, who decided, and the evidence for it.

Sums come from the roll-ups; the evidence is a bounded number of rows, newest first, with how many there are altogether.
Without any sample a mean is 0, and the number of samples beside it says so.
"""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from aiops.audit import services as audit
from aiops.audit.models import AuditEvent, AuditVerdict
from analytics.families import APPROVALS, AUDIT, INCIDENTS, PLAN_FAMILY
from analytics.metrics import ratio
from analytics.services.questions import Question
from analytics.services.reading import Reader, Where
from incidents.states import IncidentState, Severity
from runbooks.models import ApprovalRequest
from runbooks.states import ApprovalState
from slos.models import ClockKind, ClockState, SLAClock

NANOSECONDS = 1_000_000_000
SHOWN = 100  # rows of evidence of a kind
SHORT_LOG = 2_000  # records; a log that nobody has verified yet is verified at once when it is no longer than that
# building the query for a measure costs more than reading it, so only these are asked for
COUNTED = (
    "total", *(state.lower() for state in IncidentState.values), "attempts", "detect_sum", "detect_count", "resolve_sum",
    "resolve_count", "detection_sum", "acknowledge_sum", "acknowledge_count", "sla_promised", "sla_broken",
    *(f"{kind.value}_broken" for kind in ClockKind),
)  # fmt: skip

Members = dict[str, Any]


def report(question: Question) -> Members:
    """The member `spec`, names and units as the contract has them."""
    incidents = Reader(INCIDENTS, question.span, question.where)
    sums = incidents.total(*COUNTED)
    approvals = Reader(APPROVALS, question.span, question.where).total(*APPROVALS.measures)
    return {
        "Period": {"Start": question.since, "End": question.until},
        "IncidentMetrics": _incidents(incidents, sums),
        "RemediationMetrics": _remediations(question),
        "SLAMetrics": _sla(sums),
        "ApprovalMetrics": _approvals(question, approvals),
        "AuditSummary": _audit(question),
        "Evidence": {
            "SLAViolations": _violation_evidence(question, sums),
            "Approvals": _approval_evidence(question, approvals),
            "AuditChain": chain_verdict(),
        },
    }


def _mean(total: int, count: int) -> int:
    """Nanoseconds, from whole seconds."""
    return total * NANOSECONDS // count if count else 0


def _incidents(reader: Reader, sums: dict[str, int]) -> Members:
    severities = reader.sums("total", by=("severity",))
    total = sums["total"]
    return {
        "TotalIncidents": total,
        "BySeverity": {name: severities.get((name,), {"total": 0})["total"] for name in Severity.values},
        "ByState": {name: sums[name.lower()] for name in IncidentState.values if sums[name.lower()]},
        "MTTD": _mean(sums["detect_sum"], sums["detect_count"]),
        "MTTDSamples": sums["detect_count"],
        "MTTDCoverage": ratio(sums["detect_count"], total),
        "MTTR": _mean(sums["resolve_sum"], sums["resolve_count"]),
        "MTTRSamples": sums["resolve_count"],
        "MTTRCoverage": ratio(sums["resolve_count"], sums["detect_count"]),
        "MeanRemediationAttempts": round(sums["attempts"] / total, 2) if total else 0.0,
    }


def _remediations(question: Question) -> Members:
    reader = Reader(PLAN_FAMILY, question.span, question.where)
    by_action = reader.sums("total", "completed", "failed", "rolled_back", by=("action",))
    total, completed, failed = 0, 0, 0
    actions: dict[str, Members] = {}
    for (action,), sums in sorted(by_action.items()):
        went_wrong = sums["failed"] + sums["rolled_back"]
        actions[action] = {"Count": sums["total"], "Success": sums["completed"], "Failed": went_wrong}
        total, completed, failed = total + sums["total"], completed + sums["completed"], failed + went_wrong
    return {
        "TotalRemediations": total,
        "SuccessRate": round(completed / (completed + failed), 2) if completed + failed else 0.0,
        "FinishedRemediations": completed + failed,
        "SuccessRateCoverage": ratio(completed + failed, total),
        "ByActionType": actions,
        "AutoRemediatedCount": completed,
        "AgenticCount": 0,  # plans come from runbooks only
    }


# --- promises ------------------------------------------------------------------------------------------------------------


def _broken_promises(question: Question) -> QuerySet[SLAClock]:
    clocks = SLAClock.objects.filter(breached_at__isnull=False)
    return question.rows(
        clocks.exclude(state=ClockState.CANCELLED),
        "incident__detected_at",
        cluster="incident__cluster_name",
        namespace="incident__namespace",
        severity="incident__severity",
    )


def _sla(sums: dict[str, int]) -> Members:
    total = sums["total"]
    return {
        "CompliancePercentage": round(100 * (total - sums["sla_broken"]) / total, 1) if total else 100.0,
        "IncidentsWithSLA": sums["sla_promised"],
        "Coverage": ratio(sums["sla_promised"], total),
        "ResponseSLAViolations": sums["response_broken"],
        "MitigationSLAViolations": sums["mitigation_broken"],
        "ResolutionSLAViolations": sums["resolution_broken"],
        "AverageResponseTime": _mean(sums["acknowledge_sum"], sums["acknowledge_count"]),
        "ResponseTimeSamples": sums["acknowledge_count"],
        "ResponseTimeCoverage": ratio(sums["acknowledge_count"], sums["detect_count"]),
        "AverageResolutionTime": _mean(sums["resolve_sum"] - sums["detection_sum"], sums["resolve_count"]),
        "ResolutionTimeSamples": sums["resolve_count"],
        "ResolutionTimeCoverage": ratio(sums["resolve_count"], sums["detect_count"]),
    }


def _violation_evidence(question: Question, sums: dict[str, int]) -> Members:
    clocks = _broken_promises(question).select_related("incident").order_by("-breached_at", "pk")
    return {
        "Total": sum(sums[f"{kind.value}_broken"] for kind in ClockKind),
        "Items": [
            {
                "Incident": clock.incident.name,
                "Namespace": clock.incident.namespace,
                "Severity": clock.severity,
                "SLA": clock.sla_name,
                "Kind": clock.kind,
                "DueAt": clock.due_at,
                "BreachedAt": clock.breached_at,
                "EndedAt": clock.ended_at,
            }
            for clock in clocks[:SHOWN]
        ],
    }


# --- decisions -----------------------------------------------------------------------------------------------------------


def _approval_rows(question: Question) -> QuerySet[ApprovalRequest]:
    return question.rows(
        ApprovalRequest.objects.all(),
        "created_at",
        cluster="incident__cluster_name",
        namespace="namespace",
        severity="incident__severity",
    )


def _approvals(question: Question, sums: dict[str, int]) -> Members:
    # a pending request past its time counts as expired (APR-4), whether or not a sweep has seen it
    overdue = _approval_rows(question).filter(state=ApprovalState.PENDING, expires_at__lte=question.at).count()
    return {
        "TotalRequests": sums["total"],
        "AutoApproved": sums["auto_approved"],
        "ManualApproved": sums["approved"] - sums["auto_approved"],
        "Rejected": sums["rejected"],
        "Expired": sums["expired"] + overdue,
        "AverageDecisionTime": _mean(sums["decision_sum"], sums["decision_count"]),
        "DecisionTimeSamples": sums["decision_count"],
        "DecisionTimeCoverage": ratio(sums["decision_count"], sums["total"]),
    }


def _approval_evidence(question: Question, sums: dict[str, int]) -> Members:
    decided = _approval_rows(question).exclude(state=ApprovalState.PENDING).select_related("incident")
    decided = decided.order_by("-created_at", "name")
    return {
        "Total": sums["approved"] + sums["rejected"] + sums["expired"],
        "Items": [
            {
                "Name": row.name,
                "Namespace": row.namespace,
                "Incident": row.incident.name,
                "Action": row.action,
                "State": row.state,
                "Requester": row.requester or None,
                "DecidedBy": row.decided_by or None,
                "DecidedAt": row.decided_at,
                "AutoApproved": row.auto_approved,
                "DutiesSeparated": not row.decided_by or row.decided_by != row.requester,
            }
            for row in decided[:SHOWN]
        ],
    }


# --- the audit log -------------------------------------------------------------------------------------------------------


def _audit(question: Question) -> Members:
    """Records say neither cluster nor severity of an incident: only the namespace narrows them."""
    reader = Reader(AUDIT, question.span, Where(namespaces=question.where.namespaces))
    found = reader.sums("total", by=("severity", "event_type"))
    severities: dict[str, int] = {}
    events: dict[str, int] = {}
    for (severity, event_type), sums in sorted(found.items()):
        severities[severity] = severities.get(severity, 0) + sums["total"]
        if event_type:
            events[event_type] = events.get(event_type, 0) + sums["total"]
    return {"TotalEvents": sum(severities.values()), "BySeverity": severities, "ByEventType": events}


def chain_verdict() -> Members:
    """What the last walk along the chains found; `unknown` until there was one."""
    verdict = AuditVerdict.objects.first()
    if verdict is not None:
        return _verdict(verdict.broken, records=verdict.records, checked_at=verdict.checked_at)
    records = AuditEvent.objects.order_by().values("pk")[: SHORT_LOG + 1].count()
    if records <= SHORT_LOG:
        return _verdict(next(audit.verify(), ""), records=records, checked_at=None)
    return {"Verdict": "unknown", "Records": audit.length(), "CheckedAt": None, "Broken": None}


def _verdict(broken: str, *, records: int, checked_at: datetime | None) -> Members:
    return {
        "Verdict": "broken" if broken else "intact",
        "Records": records,
        "CheckedAt": checked_at,
        "Broken": broken or None,
    }
