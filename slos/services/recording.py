"""Writes down what an evaluation found: slices, sums, budget, status, alerts, and who burned the budget.

One batch is one transaction. Whoever evaluates an SLO holds its lease and writes nothing once that is lost, so of two workers
one counts; a definition that changed meanwhile is evaluated anew instead.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from slos import budget, burn_rate, objectives, windows
from slos.budget import Budget
from slos.burn_rate import Reading
from slos.models import SLO, Adjustment, Status, Transition
from slos.services import alerts, attribution, history
from slos.services.history import Measured, Written
from slos.slices import Sums, moment
from slos.sources.base import Answer
from slos.sources.incidents import Outage
from slos.windows import Window

ENOUGH = 0.5  # of a window that was measured must have data
LAST_HOUR = timedelta(hours=1)
NO_DATA = "no data"
TOO_LITTLE = "insufficient data"
CONTRADICTION = "more good than total events"
NO_LATENCY = "no query says the latency"
UNKNOWN: dict[str, Any] = {
    "current": None,
    "sli": None,
    "sli_with_maintenance": None,
    "target_met": None,
    "budget_consumed": None,
    "budget_consumed_with_maintenance": None,
    "burn_rates": {},
    "forecast": {},
}


@dataclass(frozen=True, slots=True)
class Look:
    """One SLO at the end of an evaluation. `official` leaves planned maintenance out, `whole` does not."""

    slo: SLO
    window: Window
    written: Written
    official: Sums
    whole: Sums
    readings: dict[timedelta, Reading]
    adjusted: float
    end: int

    @property
    def error_rate(self) -> float | None:
        return burn_rate.bad_share(self.official.good, self.official.total)


def record(
    answers: Sequence[Answer], *, claim: UUID, outages: Mapping[int, Sequence[Outage]], at: datetime
) -> list[SLO]:
    """Store the answers of a batch; returns the SLOs as they are now, without those that somebody else took or changed."""
    with transaction.atomic():
        held = _hold({answer.question.slo.pk: answer.question.slo.version for answer in answers}, claim)
        answers = [answer for answer in answers if answer.question.slo.pk in held]
        for answer in answers:
            answer.question.slo.status = held[answer.question.slo.pk].status
        _missed([answer for answer in answers if answer.error], claim, at)
        good = [answer for answer in answers if not answer.error]
        looks = _looks(good, at)
        states = [alerts.State(look.slo, look.readings, _budget(look), _is_silent(look)) for look in looks]
        active = alerts.update(states, at=at, outages=outages)
        for look, answer in zip(looks, good, strict=True):
            _finish(look, answer, active.get(look.slo.pk, []), claim, at)
        attribution.write(
            [(look.slo, look.window, look.official, look.written, look.end) for look in looks], outages, at
        )
        return [answer.question.slo for answer in answers]


def _hold(versions: Mapping[int, int], claim: UUID) -> dict[int, SLO]:
    rows = SLO.objects.filter(pk__in=versions, claim=claim).order_by("pk").select_for_update(of=("self",))
    found = {row.pk: row for row in rows}
    changed = [pk for pk, row in found.items() if row.version != versions[pk]]
    SLO.objects.filter(pk__in=changed).update(lease_until=None, claim=None)
    return {pk: row for pk, row in found.items() if pk not in changed}


# --- measured --------------------------------------------------------------------------------------------------------


def _looks(answers: Sequence[Answer], at: datetime) -> list[Look]:
    if not answers:
        return []
    slos = [answer.question.slo for answer in answers]
    for answer in answers:
        answer.question.slo.measured_since = _since(answer.question.slo, answer)
    ends = {answer.question.slo.pk: answer.question.recent.end for answer in answers}
    spans = {slo.pk: objectives.window(slo, moment(ends[slo.pk])) for slo in slos}
    oldest = min(window.start for window in spans.values())
    excluded = history.exclusions(slos, min(oldest, at - history.KEEP_SLICES), at)
    written = history.write([_measured(answer, excluded[answer.question.slo.pk]) for answer in answers])
    long = history.totals({slo.pk: spans[slo.pk] for slo in slos if spans[slo.pk].elapsed > history.FINE})
    far = _far_readings(slos, ends)
    adjusted = _adjustments(spans)
    looks = []
    for slo in slos:
        whole = long.get(slo.pk)
        if whole is None:
            whole = _fine(slo, written[slo.pk], spans[slo.pk], ends[slo.pk], excluded[slo.pk])
        last = written[slo.pk].timeline.last(ends[slo.pk])
        slo.data_until = slo.data_until if last is None else moment(last)
        near = _readings(slo, written[slo.pk], ends[slo.pk], excluded[slo.pk])
        looks.append(
            Look(
                slo=slo,
                window=spans[slo.pk],
                written=written[slo.pk],
                official=_official(whole),
                whole=whole,
                readings=near | far[slo.pk],
                adjusted=adjusted.get(slo.pk, 0.0),
                end=ends[slo.pk],
            )
        )
    return looks


def _measured(answer: Answer, excluded: Sequence[tuple[int, int]]) -> Measured:
    question = answer.question
    return Measured(
        slo=question.slo,
        grid=question.grid,
        end=question.recent.end,
        recent=answer.recent,
        older=answer.older,
        excluded=excluded,
    )


def _fine(slo: SLO, written: Written, window: Window, end: int, excluded: Iterable[tuple[int, int]]) -> Sums:
    return written.timeline.sums(end, window.elapsed, objectives.grid(slo), excluded)


def _official(whole: Sums) -> Sums:
    return Sums(
        good=whole.good - whole.excluded_good,
        total=whole.total - whole.excluded_total,
        slices=whole.slices,
        value_sum=whole.value_sum,
        value_count=whole.value_count,
    )


def _readings(slo: SLO, written: Written, end: int, excluded: Collection[tuple[int, int]]) -> dict[timedelta, Reading]:
    grid = objectives.grid(slo)
    near = (length for length in objectives.look_backs(slo) if length <= history.FINE)
    return {length: written.timeline.reading(end, length, grid, excluded) for length in near}


def _far_readings(slos: Sequence[SLO], ends: Mapping[int, int]) -> dict[int, dict[timedelta, Reading]]:
    """Of rules that look back further than slices are kept: by the hour, as long windows are. Two queries per length."""
    wanted: dict[timedelta, list[SLO]] = defaultdict(list)
    for slo in slos:
        for length in objectives.look_backs(slo):
            if length > history.FINE:
                wanted[length].append(slo)
    found: dict[int, dict[timedelta, Reading]] = defaultdict(dict)
    for length, some in wanted.items():
        sums = history.totals({slo.pk: windows.rolling(length, moment(ends[slo.pk])) for slo in some})
        for slo in some:
            official = _official(sums[slo.pk])
            coverage = min(1.0, official.slices * objectives.grid(slo).width / length.total_seconds())
            found[slo.pk][length] = Reading(good=official.good, total=official.total, coverage=coverage)
    return found


def _adjustments(spans: Mapping[int, Window]) -> dict[int, float]:
    oldest = min(window.start for window in spans.values())
    found: dict[int, float] = {}
    rows = Adjustment.objects.filter(slo__in=spans, at__gt=oldest).order_by()
    for pk, at, minutes in rows.values_list("slo_id", "at", "minutes"):
        if at > spans[pk].start:
            found[pk] = found.get(pk, 0.0) + minutes
    return found


def _budget(look: Look) -> Budget | None:
    if look.error_rate is None or _complaint(look):
        return None
    return budget.spend(
        look.window, budget=objectives.budget_ratio(look.slo), error_rate=look.error_rate, adjusted=look.adjusted
    )


def _complaint(look: Look) -> str:
    """Why nothing can be said about the window; empty when something can."""
    slo = look.slo
    if _contradicts(look):
        return CONTRADICTION
    if slo.data_until is None or _is_silent(look) or not look.official.total > 0:
        return NO_DATA
    if _coverage(look) < ENOUGH:
        return TOO_LITTLE
    if objectives.judge(slo, sli=1.0, latency=_latency(look)) is None:
        return NO_LATENCY
    return ""


def _contradicts(look: Look) -> bool:
    """A mistake of today must show today, not when it outweighs a month."""
    hour = look.readings[LAST_HOUR]
    return burn_rate.contradicts(look.whole.good, look.whole.total) or burn_rate.contradicts(hour.good, hour.total)


def _is_silent(look: Look) -> bool:
    return alerts.is_silent(look.slo, moment(look.end))


def _coverage(look: Look) -> float:
    """The share of the window that has data, counted from when there was any."""
    start = max(look.window.start, look.slo.measured_since or look.window.start)
    expected = (moment(look.end) - start).total_seconds() / objectives.grid(look.slo).width
    return min(1.0, look.whole.slices / expected) if expected >= 1 else 1.0


def _latency(look: Look) -> float | None:
    return look.official.value_sum / look.official.value_count if look.official.value_count else None


def _finish(look: Look, answer: Answer, active: Sequence[object], claim: UUID, at: datetime) -> None:
    slo = look.slo
    complaint = _complaint(look)
    columns: dict[str, Any] = {
        "status_reason": complaint,
        "invalid": complaint == CONTRADICTION,
        "good": look.official.good,
        "total": look.official.total,
        "coverage": _coverage(look),
        "window_start": look.window.start,
        "window_end": look.window.end if look.window.is_calendar else look.window.at,
        "budget_total": budget.allowed_minutes(look.window, objectives.budget_ratio(slo)),
        "warnings": _warnings(look, answer),
        "evaluated_at": at,
        "measured_since": slo.measured_since,
        "measured_until": moment(look.end),
        "data_until": slo.data_until,
        "failures": 0,
        **UNKNOWN,
    }
    if not complaint:
        columns |= _figures(look, active)
    becomes = columns.pop("status", Status.WARNING)
    _save(slo, becomes, complaint or _reason(active), columns, claim=claim, at=at)


def _since(slo: SLO, answer: Answer) -> datetime | None:
    ends = [one.end for one in (*answer.older, *answer.recent)]
    if not ends:
        return slo.measured_since
    first = moment(min(ends) - answer.question.grid.width)
    return first if slo.measured_since is None else min(first, slo.measured_since)


def _figures(look: Look, active: Sequence[object]) -> dict[str, Any]:
    slo, error_rate, spent = look.slo, look.error_rate, _budget(look)
    assert error_rate is not None
    assert spent is not None
    verdict = objectives.judge(slo, sli=1 - error_rate, latency=_latency(look))
    assert verdict is not None
    whole = burn_rate.bad_share(look.whole.good, look.whole.total)
    share = objectives.budget_ratio(slo)
    rates = {
        windows.spell(length): burn_rate.burn_rate(reading.error_rate, share)
        for length, reading in sorted(look.readings.items())
    }
    reported = {windows.spell(length): rates[windows.spell(length)] for length in burn_rate.REPORTED}
    return {
        "current": verdict.current,
        "target_met": verdict.target_met,
        "sli": 1 - error_rate,
        "sli_with_maintenance": None if whole is None else 1 - whole,
        "budget_consumed": spent.consumed,
        "budget_consumed_with_maintenance": None
        if whole is None
        else budget.spend(look.window, budget=share, error_rate=whole, adjusted=look.adjusted).consumed,
        "burn_rates": rates,
        "forecast": forecast_of(budget.forecast(spent, window=look.window, burn_rates=reported)),
        "status": budget.status(spent, target_met=verdict.target_met, alerts=active),
    }


def forecast_of(found: budget.Forecast) -> dict[str, Any]:
    """The forecast as it is stored; times as text."""
    return {
        "exhaustionDate": _text(found.exhaustion),
        "earliest": _text(found.earliest),
        "latest": _text(found.latest),
        "daysRemaining": found.days_remaining,
        "trend": found.trend.value,
    }


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _warnings(look: Look, answer: Answer) -> list[str]:
    slo = look.slo
    share = objectives.budget_ratio(slo)
    found = [*answer.warnings, *burn_rate.warnings(objectives.rules(slo), budget=share)]
    if objectives.counts_events(slo) and budget.is_small(look.official.total, share):
        allowed = look.official.total * float(share)
        found.append(f"The budget allows {allowed:.1f} bad events in the window: a single failure weighs a lot")
    return found


def _reason(active: Sequence[object]) -> str:
    return f"{len(active)} burn-rate alerts fire" if active else ""


def _save(slo: SLO, becomes: str, reason: str, columns: dict[str, Any], *, claim: UUID, at: datetime) -> None:
    """Write the row if the lease is still ours, and the transition if the status changed. `columns` may set `due_at`."""
    if becomes != slo.status or slo.status_since is None:
        if slo.status_since is not None:
            Transition.objects.create(slo=slo, at=at, was=slo.status, becomes=becomes, reason=reason[:1024])
        columns["status_since"] = at
    columns = {"due_at": next_due(slo, at), **columns, "status": becomes, "lease_until": None, "claim": None}
    SLO.objects.filter(pk=slo.pk, claim=claim).update(**columns)
    for name, value in columns.items():
        setattr(slo, name, value)


def next_due(slo: SLO, at: datetime) -> datetime:
    """The next full interval of the SLO's own phase, so that a thousand SLOs spread over it and none drifts."""
    interval = timedelta(seconds=settings.AIOPS_SLO_INTERVAL)
    last = slo.due_at or at
    missed = max(0, (at - last) // interval)
    return last + (missed + 1) * interval


# --- not measured ----------------------------------------------------------------------------------------------------


def _missed(answers: Sequence[Answer], claim: UUID, at: datetime) -> None:
    for answer in answers:
        slo = answer.question.slo
        # a question that is too much for its source is asked less often
        later = timedelta(seconds=settings.AIOPS_SLO_INTERVAL) * min(slo.failures, 4) if answer.is_away else timedelta()
        miss(slo, error=answer.error, claim=claim, due_at=next_due(slo, at) + later, at=at)
    alerts.miss([answer.question.slo for answer in answers], at=at)


def miss(slo: SLO, *, error: str, claim: UUID, due_at: datetime, at: datetime) -> None:
    """No answer. What was known stays for a while; alerts stay as they are: silence neither fires nor clears them."""
    columns: dict[str, Any] = {
        "status_reason": f"query error: {error}"[:1024],
        "failures": slo.failures + 1,
        "budget_total": budget.allowed_minutes(objectives.window(slo, at), objectives.budget_ratio(slo)),
    }
    becomes = slo.status
    if slo.evaluated_at is None or at - slo.evaluated_at > objectives.silence(slo):
        columns |= UNKNOWN
        becomes = Status.WARNING
    _save(slo, becomes, columns["status_reason"], columns | {"due_at": due_at}, claim=claim, at=at)


def postpone(slos: Sequence[SLO], *, source: str, error: str, claim: UUID, due_at: datetime, at: datetime) -> list[SLO]:
    """Their source is away: try again at `due_at`. Returns them without those that somebody else took or changed."""
    with transaction.atomic():
        held = _hold({slo.pk: slo.version for slo in slos}, claim)
        ours = [slo for slo in slos if slo.pk in held]
        for slo in ours:
            miss(slo, error=error, claim=claim, due_at=due_at, at=at)
        alerts.miss(ours, source=source, at=at)
    return ours


def refuse(slo: SLO, *, reason: str, claim: UUID, at: datetime) -> None:
    """Nobody can be asked. The next look is after somebody changed the definition, or in an interval if it may help."""
    with transaction.atomic():
        columns = UNKNOWN | {"status_reason": reason[:1024], "failures": slo.failures + 1}
        if not objectives.is_askable(slo):
            columns["due_at"] = None
        _save(slo, Status.WARNING, reason, columns, claim=claim, at=at)
