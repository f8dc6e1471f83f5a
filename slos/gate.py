"""May a pipeline deliver? Pure: what is left of the budget decides, and what is unknown does not pass."""

from dataclasses import dataclass
from datetime import datetime, timedelta

STALE = timedelta(minutes=30)  # an answer that old says nothing about now
DEFAULT_MINIMUM = 10.0  # percent of the budget


@dataclass(frozen=True, slots=True)
class Verdict:
    allow: bool
    reason: str


def judge(
    *,
    enabled: bool,
    remaining_percent: float | None,
    minimum: float,
    evaluated_at: datetime | None,
    status_reason: str,
    at: datetime,
) -> Verdict:
    """Yes when the SLO is enabled and was measured lately, and at least `minimum` percent of its budget are left."""
    if not enabled:
        return Verdict(False, "The SLO is disabled, so its budget is unknown")
    if remaining_percent is None or evaluated_at is None:
        return Verdict(False, f"The budget is unknown: {status_reason or 'not evaluated yet'}")
    if at - evaluated_at > STALE:
        return Verdict(False, "The budget is unknown: the last evaluation is too old")
    left = f"{remaining_percent:.1f} % of the budget are left"
    if remaining_percent < minimum:
        return Verdict(False, f"{left}, {minimum:g} % are required")
    return Verdict(True, f"{left}, {minimum:g} % are enough")
