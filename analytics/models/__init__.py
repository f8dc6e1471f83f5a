"""Sums that reports are read from, so that a report over a million incidents costs what one over a thousand does."""

from analytics.models.rollups import (
    ALL,
    ApprovalRollup,
    AuditRollup,
    Grain,
    IncidentRollup,
    LLMRollup,
    OutdatedHour,
    PlanRollup,
    PostMortemRollup,
    Rollup,
    WorkloadRollup,
)
from analytics.models.schedules import ReportKind, ReportSchedule
from analytics.models.usage import Usage

__all__ = [
    "ALL",
    "ApprovalRollup",
    "AuditRollup",
    "Grain",
    "IncidentRollup",
    "LLMRollup",
    "OutdatedHour",
    "PlanRollup",
    "PostMortemRollup",
    "ReportKind",
    "ReportSchedule",
    "Rollup",
    "Usage",
    "WorkloadRollup",
]
