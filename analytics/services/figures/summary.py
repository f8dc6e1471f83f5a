"""How it goes altogether (contract/api.md §9.2)."""

from typing import Any

from django.db.models import Count, F

from analytics.families import APPROVALS, INCIDENTS, PLAN_FAMILY, POSTMORTEMS
from analytics.metrics import change, mean, percent, ratio
from analytics.services.questions import Question
from analytics.services.reading import Reader, Sums
from incidents.states import IncidentState, Severity
from runbooks.models import ApprovalRequest, Runbook
from runbooks.states import ApprovalState
from slos.models import SLO, Status

TOP = 5
STATES = tuple(state.value.lower() for state in IncidentState)
MEASURES = (
    "total", "chaos", *STATES, "auto_resolved", "remediated", "resolved_by_remediation", "risk_sum", "detect_count",
    "detect_sum", "resolve_count", "resolve_sum",
)  # fmt: skip
COMPARED = ("total", "auto_resolved", "resolve_count", "resolve_sum")

Members = dict[str, Any]


def summary(question: Question) -> Members:
    by_severity = Reader(INCIDENTS, question.span, question.where).sums(*MEASURES, by=("severity",))
    sums = {name: sum(one[name] for one in by_severity.values()) for name in MEASURES}
    severities = {name: by_severity.get((name,), {}).get("total", 0) for name in Severity.values}
    before = Reader(INCIDENTS, question.span.before(), question.where).total(*COMPARED)
    slos, remediations = _slos(question), _remediations(question)
    return {
        "incidents": _incidents(sums, severities),
        "slos": slos,
        "remediations": remediations,
        "approvals": _approvals(question),
        "trends": _trends(sums, before),
        "totalIssues": sums["total"],
        "openIssues": sums["total"] - sums["resolved"],
        "resolvedIssues": sums["resolved"],
        "containedIssues": sums["contained"],
        "criticalIssues": severities[Severity.CRITICAL],
        "chaosInducedIssues": sums["chaos"],
        "totalRemediations": remediations["total"],
        "successfulRemediations": remediations["successful"],
        "failedRemediations": remediations["failed"],
        "remediatedIssues": sums["remediated"],
        "resolvedByRemediation": sums["resolved_by_remediation"],
        **_postmortems(question),
        "totalRunbooks": question.narrow(Runbook.objects.all(), namespace="namespace").count(),
        "totalSLOs": slos["total"],
        "slosAtRisk": slos["warning"] + slos["breached"],
        "pendingApprovals": _pending(question).filter(expires_at__gt=question.at).count(),
        "avgRiskScore": round(sums["risk_sum"] / sums["total"], 1) if sums["total"] else 0.0,
        "severityBreakdown": severities,
    }


def _incidents(sums: Sums, severities: dict[str, int]) -> Members:
    return {
        "total": sums["total"],
        "bySeverity": severities,
        "byState": {state: sums[state] for state in STATES},
        "autoResolved": sums["auto_resolved"],
        "autoResolvedPercent": percent(sums["auto_resolved"], sums["total"]),
        "avgTimeToDetect": mean(sums["detect_sum"], sums["detect_count"]),
        "avgTimeToResolve": mean(sums["resolve_sum"], sums["resolve_count"]),
        "detectSamples": sums["detect_count"],
        "detectCoverage": ratio(sums["detect_count"], sums["total"]),
        "resolveSamples": sums["resolve_count"],
        "resolveCoverage": ratio(sums["resolve_count"], sums["detect_count"]),
    }


def _trends(now: Sums, before: Sums) -> Members:
    """Against the equally long span before."""

    def rate(part: str, whole: str, sums: Sums) -> float | None:
        return sums[part] / sums[whole] if sums[whole] else None

    return {
        "incidentsVsPrevPeriod": change(now["total"], before["total"]),
        "mttrVsPrevPeriod": change(
            rate("resolve_sum", "resolve_count", now), rate("resolve_sum", "resolve_count", before)
        ),
        "autoResolveVsPrevPeriod": change(rate("auto_resolved", "total", now), rate("auto_resolved", "total", before)),
    }


def _remediations(question: Question) -> Members:
    names = ("total", "completed", "failed", "rolled_back", "duration_count", "duration_sum")
    by_runbook = Reader(PLAN_FAMILY, question.span, question.where).sums(*names, by=("runbook",))
    sums = {name: sum(one[name] for one in by_runbook.values()) for name in names}
    failed = sums["failed"] + sums["rolled_back"]
    used = sorted((-one["total"], runbook) for (runbook,), one in by_runbook.items() if runbook)
    return {
        "total": sums["total"],
        "successful": sums["completed"],
        "failed": failed,
        "successRate": percent(sums["completed"], sums["completed"] + failed),
        "avgExecutionTime": mean(sums["duration_sum"], sums["duration_count"]),
        "executionSamples": sums["duration_count"],
        "executionCoverage": ratio(sums["duration_count"], sums["completed"] + failed),
        "successSamples": sums["completed"] + failed,
        "successCoverage": ratio(sums["completed"] + failed, sums["total"]),
        "topRunbooks": [{"name": name, "count": -count} for count, name in used[:TOP]],
    }


def _pending(question: Question) -> Any:
    return question.narrow(
        ApprovalRequest.objects.filter(state=ApprovalState.PENDING),
        cluster="incident__cluster_name",
        namespace="namespace",
        severity="incident__severity",
    )


def _approvals(question: Question) -> Members:
    sums = Reader(APPROVALS, question.span, question.where).total(
        "total", "approved", "rejected", "expired", "decision_count", "decision_sum"
    )
    # a pending request past its time counts as expired (APR-4), whether or not a sweep has seen it
    overdue = _pending(question).filter(expires_at__lte=question.at, created_at__gte=question.since)
    return {
        "total": sums["total"],
        "approved": sums["approved"],
        "rejected": sums["rejected"],
        "expired": sums["expired"] + overdue.filter(created_at__lte=question.until).count(),
        "avgDecisionTime": mean(sums["decision_sum"], sums["decision_count"]),
        "decisionSamples": sums["decision_count"],
        "decisionCoverage": ratio(sums["decision_count"], sums["total"]),
    }


def _postmortems(question: Question) -> Members:
    sums = Reader(POSTMORTEMS, question.span, question.where).total("total", "requiring_action")
    return {"totalPostMortems": sums["total"], "postMortemsRequiringHumanAction": sums["requiring_action"]}


def _slos(question: Question) -> Members:
    """The present state; severities say nothing about SLOs."""
    rows = question.narrow(SLO.objects.all(), cluster="cluster__name", namespace="namespace")
    counts = dict(rows.order_by().values_list("status").annotate(Count("pk")))
    budgets = rows.filter(budget_consumed__isnull=False, budget_total__gt=0)
    left = [
        max(0.0, 100 * (1 - consumed / total))
        for consumed, total in budgets.order_by().values_list("budget_consumed", F("budget_total"))
    ]
    return {
        "total": sum(counts.values()),
        **{status.value: counts.get(status.value, 0) for status in Status},
        "avgBudgetRemaining": sum(left) / len(left) if left else None,
        "budgetSamples": len(left),
        "budgetCoverage": ratio(len(left), sum(counts.values())),
    }
