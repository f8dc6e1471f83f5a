from typing import Any

from analytics.models import ReportKind
from analytics.reports.document import Chart, ChartKind, Column, Figure, Report, Row, Series, Table, Unit
from analytics.services import compliance
from analytics.services.compliance import NANOSECONDS
from analytics.services.questions import Question
from analytics.services.reports.base import filters

Members = dict[str, Any]


def build(question: Question) -> Report:
    spec = compliance.report(question)
    events = _counts("auditEvents", "Audit events", "eventType", "Event", spec["AuditSummary"]["ByEventType"])
    return Report(
        kind=ReportKind.COMPLIANCE,
        title="Compliance",
        since=question.since,
        until=question.until,
        generated_at=question.at,
        filters=filters(question),
        figures=_figures(spec),
        tables=[
            _violations(spec["Evidence"]["SLAViolations"]),
            _decisions(spec["Evidence"]["Approvals"]),
            _actions(spec["RemediationMetrics"]["ByActionType"]),
            events,
            _counts(
                "auditSeverities",
                "Audit records by severity",
                "severity",
                "Severity",
                spec["AuditSummary"]["BySeverity"],
            ),
        ],
        charts=[_chart(spec["IncidentMetrics"]["BySeverity"])],
        notes=[
            "Promises are measured against the incident SLAs that are configured; without any, none can be broken.",
            "Audit records name no cluster: only a namespace narrows them.",
        ],
    )


def _figures(spec: Members) -> list[Figure]:
    incidents, sla, approvals = spec["IncidentMetrics"], spec["SLAMetrics"], spec["ApprovalMetrics"]
    remediation, chain = spec["RemediationMetrics"], spec["Evidence"]["AuditChain"]
    finished, promised = remediation["FinishedRemediations"], sla["IncidentsWithSLA"]
    return [
        Figure(
            "compliance",
            "Incidents within their SLA",
            sla["CompliancePercentage"] if promised else None,
            Unit.PERCENT,
            promised,
            sla["Coverage"],
        ),
        Figure("responseViolations", "Answered too late", sla["ResponseSLAViolations"]),
        Figure("mitigationViolations", "Contained too late", sla["MitigationSLAViolations"]),
        Figure("resolutionViolations", "Resolved too late", sla["ResolutionSLAViolations"]),
        _time("mttd", "Mean time to detect", incidents, "MTTD"),
        _time("mttr", "Mean time to resolve", incidents, "MTTR"),
        Figure(
            "remediationSuccess",
            "Success of remediations",
            remediation["SuccessRate"] if finished else None,
            Unit.RATIO,
            finished,
            remediation["SuccessRateCoverage"],
        ),
        Figure("approvals", "Approval requests", approvals["TotalRequests"]),
        Figure("autoApproved", "Approved by rule", approvals["AutoApproved"]),
        Figure("manuallyApproved", "Approved by people", approvals["ManualApproved"]),
        Figure("rejected", "Rejected", approvals["Rejected"]),
        Figure("expired", "Expired", approvals["Expired"]),
        Figure("auditRecords", "Audit records", spec["AuditSummary"]["TotalEvents"]),
        Figure("auditChain", "Audit chain", chain["Verdict"], Unit.TEXT, chain["Records"]),
        Figure("auditChainCheckedAt", "Audit chain verified at", chain["CheckedAt"], Unit.TIME),
    ]


def _time(name: str, label: str, found: Members, member: str) -> Figure:
    samples = found[f"{member}Samples"]
    seconds = round(found[member] / NANOSECONDS, 1) if samples else None
    return Figure(name, label, seconds, Unit.SECONDS, samples, found[f"{member}Coverage"])


def _violations(evidence: Members) -> Table:
    columns = [
        Column("Incident", "Incident"),
        Column("Namespace", "Namespace"),
        Column("Severity", "Severity"),
        Column("SLA", "SLA"),
        Column("Kind", "Promise"),
        Column("DueAt", "Due", Unit.TIME),
        Column("BreachedAt", "Broken", Unit.TIME),
        Column("EndedAt", "Kept at last", Unit.TIME),
    ]
    return _evidence("slaViolations", "Broken promises", columns, evidence)


def _decisions(evidence: Members) -> Table:
    columns = [
        Column("Name", "Approval"),
        Column("Incident", "Incident"),
        Column("Action", "Action"),
        Column("State", "Decision"),
        Column("Requester", "Asked by"),
        Column("DecidedBy", "Decided by"),
        Column("DecidedAt", "Decided", Unit.TIME),
        Column("AutoApproved", "By rule"),
        Column("DutiesSeparated", "Duties separated"),
    ]
    return _evidence("approvals", "Who decided", columns, evidence)


def _evidence(name: str, title: str, columns: list[Column], evidence: Members) -> Table:
    rows: list[Row] = [tuple(item[column.name] for column in columns) for item in evidence["Items"]]
    shown = [Column(column.name[0].lower() + column.name[1:], column.label, column.unit) for column in columns]
    return Table(name, title, shown, rows, total=evidence["Total"])


def _actions(found: dict[str, Members]) -> Table:
    columns = [
        Column("action", "Action"),
        Column("count", "Plans", Unit.COUNT),
        Column("success", "Completed", Unit.COUNT),
        Column("failed", "Failed or rolled back", Unit.COUNT),
    ]
    rows: list[Row] = [(name, one["Count"], one["Success"], one["Failed"]) for name, one in found.items()]
    return Table("remediations", "Changes to clusters", columns, rows)


def _counts(name: str, title: str, key: str, label: str, found: dict[str, int]) -> Table:
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    rows: list[Row] = list(ranked)
    return Table(name, title, [Column(key, label), Column("count", "Records", Unit.COUNT)], rows)


def _chart(severities: dict[str, int]) -> Chart:
    values = [float(count) for count in severities.values()]
    return Chart("Incidents by severity", ChartKind.RANKING, list(severities), [Series("incidents", values)])
