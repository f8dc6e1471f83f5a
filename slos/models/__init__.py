"""What is promised, what was measured, and what that means for the budget."""

from slos.models.alert import EXHAUSTED, BurnAlert
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
    "SLO",
    "Adjustment",
    "Attribution",
    "BudgetingMethod",
    "BurnAlert",
    "CalendarUnit",
    "DailyHistory",
    "Exclusion",
    "HourlyHistory",
    "IndicatorSource",
    "Measurement",
    "MeasurementSource",
    "NoData",
    "SLOType",
    "Status",
    "TargetChange",
    "Totals",
    "Transition",
]
