"""What is promised, what was measured, and what that means for the budget."""

from slos.models.alert import EXHAUSTED, NO_DATA, BurnAlert
from slos.models.history import (
    Adjustment,
    Attribution,
    DailyHistory,
    Exclusion,
    HourlyHistory,
    Measurement,
    TargetChange,
    Totals,
    Transition,
)
from slos.models.incident_sla import LIVE, ClockKind, ClockState, IncidentSLA, SLAClock, SLAPause
from slos.models.slo import (
    SLO,
    BudgetingMethod,
    CalendarUnit,
    IndicatorSource,
    MeasurementSource,
    NoData,
    SLOType,
    Status,
)

__all__ = [
    "EXHAUSTED",
    "LIVE",
    "NO_DATA",
    "SLO",
    "Adjustment",
    "Attribution",
    "BudgetingMethod",
    "BurnAlert",
    "CalendarUnit",
    "ClockKind",
    "ClockState",
    "DailyHistory",
    "Exclusion",
    "HourlyHistory",
    "IncidentSLA",
    "IndicatorSource",
    "Measurement",
    "MeasurementSource",
    "NoData",
    "SLAClock",
    "SLAPause",
    "SLOType",
    "Status",
    "TargetChange",
    "Totals",
    "Transition",
]
