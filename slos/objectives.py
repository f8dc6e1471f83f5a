"""What the fields of an SLO mean to the arithmetic: budget, window, rules, the value that people see. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from slos import burn_rate, promql, windows
from slos.burn_rate import Rule
from slos.models import SLO, BudgetingMethod, IndicatorSource, SLOType
from slos.slices import Grid
from slos.windows import Calendar, Window

EVENTS = Grid(width=300)  # wide enough for four scrapes, so that rates exist
INSTANTS = Grid(width=60)
HUNDRED = Decimal(100)
DEFAULT_PERCENTILE = Decimal(99)
TOLERANCE = 1e-9
PROMETHEUS = "prometheus"  # before the slash in labels of clusters


@dataclass(frozen=True, slots=True)
class Verdict:
    """The value in the unit of the target, and whether it is good enough (SLO-2)."""

    current: float
    target_met: bool


def budget_ratio(slo: SLO) -> Decimal:
    """The share that may be bad (X9.24): 99.9 % leave exactly 0.001, which doubles do not."""
    if slo.type == SLOType.ERROR_RATE:
        return slo.target / HUNDRED
    good = percentile(slo) if slo.type == SLOType.LATENCY else slo.target
    return max(Decimal(0), 1 - good / HUNDRED)


def percentile(slo: SLO) -> Decimal:
    """Of a latency SLO: as stored, else as its query asks for."""
    if slo.latency_percentile is not None:
        return slo.latency_percentile
    if slo.source == IndicatorSource.PROMETHEUS and slo.query and not promql.complaint_about(slo.query):
        found = promql.percentile(slo.query)
        if found is not None:
            return Decimal(str(found))
    return DEFAULT_PERCENTILE


def judge(slo: SLO, *, sli: float, latency: float | None) -> Verdict | None:
    """None when the value cannot be said: a latency SLO whose latency nobody measures."""
    target = float(slo.target)
    if slo.type == SLOType.LATENCY:
        return None if latency is None else Verdict(latency, latency <= target + TOLERANCE)
    if slo.type == SLOType.ERROR_RATE:
        current = round((1 - sli) * 100, 10)
        return Verdict(current, current <= target + TOLERANCE)
    current = round(sli * 100, 10)
    return Verdict(current, current >= target - TOLERANCE)


def window(slo: SLO, at: datetime) -> Window:
    """Raises `ValueError` for a calendar that does not exist."""
    if not slo.is_calendar:
        return windows.rolling(slo.window_length, at)
    return windows.period(
        Calendar(slo.calendar_unit, slo.calendar_count, slo.calendar_start, slo.time_zone),
        at,
    )


def match_labels(slo: SLO) -> dict[str, str]:
    """Labels that every selector of the queries asks for: those that the SLO names, and those of its cluster.

    A Prometheus that serves many clusters tells them apart by labels; a cluster that is registered with the label
    `prometheus/<label>` says which ones are its own. They hold where the cluster's Prometheus is asked.
    """
    found: dict[str, str] = {}
    if slo.cluster is not None and not slo.prometheus_url:
        for name, value in slo.cluster.labels.items():
            prefix, _, label = name.partition("/")
            if prefix == PROMETHEUS and promql.is_label(label):
                found[label] = value
    own: dict[str, str] = slo.match_labels
    return found | own


def rules(slo: SLO) -> list[Rule]:
    """The burn-rate rules that apply, a person's or the default ones."""
    return burn_rate.rules(slo.burn_rate_rules, window=slo.window_length, budget=budget_ratio(slo))


def look_backs(slo: SLO) -> set[timedelta]:
    """The lengths of time over which burn rates are of interest: those that are shown, and those of the rules."""
    return set(burn_rate.REPORTED).union(*((rule.short, rule.long) for rule in rules(slo)))


def is_askable(slo: SLO) -> bool:
    """Whether an evaluation, now or later, can find anything."""
    return slo.source != IndicatorSource.UNSUPPORTED


def complaint_about_source(slo: SLO) -> str:
    """Why nobody can be asked; empty when somebody can."""
    return "" if is_askable(slo) else f"query error: data source {slo.data_source} is not supported"


def complaint_about(slo: SLO) -> str:
    """Why the definition cannot be evaluated; what the library stored is checked, but its source may be unsupported."""
    if complaint := complaint_about_source(slo):
        return complaint
    try:
        window(slo, slo.updated_at)
        rules(slo)
    except (ValueError, KeyError, TypeError) as error:
        return f"the definition is not valid: {error}"
    return ""


def counts_events(slo: SLO) -> bool:
    """Whether totals are numbers of events, so that too few of them say little."""
    return slo.source == IndicatorSource.PROMETHEUS and bool(slo.total_query) and not has_slices(slo)


def has_slices(slo: SLO) -> bool:
    return slo.budgeting_method != BudgetingMethod.OCCURRENCES and bool(slo.slice_seconds)


def grid(slo: SLO) -> Grid:
    """How the SLO is cut into slices."""
    if has_slices(slo):
        width = max(60, (slo.slice_seconds or 60) // 60 * 60)
        return Grid(width=width, step=width)
    if slo.source != IndicatorSource.PROMETHEUS:
        return INSTANTS
    if slo.total_query:
        return EVENTS
    if promql.complaint_about(slo.query) or promql.looks_back(slo.query):
        return EVENTS
    return INSTANTS


def silence(slo: SLO) -> timedelta:
    """How long nothing may come in until the SLO counts as unmeasured."""
    return max(timedelta(minutes=15), timedelta(seconds=2 * grid(slo).width))
