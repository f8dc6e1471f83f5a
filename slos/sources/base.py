import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from slos import objectives
from slos.models import SLO, BudgetingMethod, NoData
from slos.slices import Grid, Slice


@dataclass(frozen=True, slots=True)
class Span:
    """The slices that end at `start`, `start` + `step`, … `end`; seconds since 1970."""

    start: int
    end: int
    step: int

    def ends(self) -> range:
        return range(self.start, self.end + 1, self.step)


@dataclass(frozen=True, slots=True)
class Question:
    """What to measure: `recent` slices are kept one by one, `older` ones only as sums of hours."""

    slo: SLO
    grid: Grid
    recent: Span
    older: tuple[Span, ...] = ()


@dataclass(slots=True)
class Answer:
    """What was measured. `error` is empty when the source answered; `is_away` when it should be left alone for a while."""

    question: Question
    recent: list[Slice] = field(default_factory=list)
    older: list[Slice] = field(default_factory=list)
    error: str = ""
    is_away: bool = False
    warnings: tuple[str, ...] = ()


def by_method(slo: SLO, slices: Iterable[Slice], span: Span) -> Iterator[Slice]:
    """Turn events into what the budgeting method counts (domain/slo-math.md §2). Slices without an answer are gaps.

    For time slices the setting says what silence counts as: probes and heartbeats fail by being silent.
    """
    if not objectives.has_slices(slo):
        yield from slices
        return
    known = {one.end: one for one in slices}
    first = (
        span.start if slo.measured_since else min(known, default=span.end + 1)
    )  # before it began, silence is no failure
    for end in span.ends():
        one = known.get(end)
        if one is None or one.total <= 0:
            silent = _silent(slo, end, is_gap=one is None) if end >= first else None
            if silent is not None:
                yield silent
            continue
        ratio = min(1.0, max(0.0, one.good / one.total))
        if slo.budgeting_method == BudgetingMethod.TIMESLICES:
            target = float(slo.slice_target) if slo.slice_target is not None else 1.0
            ratio = 1.0 if ratio >= target - 1e-12 else 0.0
        yield Slice(end, ratio, 1.0, one.value)


def _silent(slo: SLO, end: int, *, is_gap: bool) -> Slice | None:
    if slo.no_data == NoData.GOOD:
        return Slice(end, 1.0, 1.0)
    if slo.no_data == NoData.BAD:
        return Slice(end, 0.0, 1.0)
    return None if is_gap else Slice(end, 0.0, 0.0)


def is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
