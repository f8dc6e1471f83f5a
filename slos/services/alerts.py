"""Burn-rate alerts: rows that fire and clear, and the incidents that correlation makes of them.

An alert is sent to correlation when it begins and when it ends, in the transaction that stores it, so nothing is sent twice.
It joins the open incident of the service that explains it, else it opens one of the SLO's own, which is never remediated.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from aiops.api.formats import format_time
from aiops.notifications import services as notifications
from incidents.models import Anomaly
from incidents.observations import Observation, digest
from incidents.services import correlation
from incidents.states import SEVERITY_RANK, Severity, Source
from slos import burn_rate, objectives
from slos.budget import Budget
from slos.burn_rate import Reading, Rule
from slos.models import EXHAUSTED, NO_DATA, SLO, BurnAlert, IndicatorSource
from slos.sources.incidents import SLO_VIOLATION, Outage

ORIGIN = "slo"
KIND = "SLO"  # what the incident of an SLO is about; no runbook fits it
SOURCE_KIND = "MeasurementSource"  # and of SLOs whose source does not answer
APART = frozenset({EXHAUSTED, NO_DATA})  # alerts that are not about a burn rate
BACK = 0.05  # share of the budget that must be left before an exhaustion counts as over
Outages = Mapping[int, Sequence[Outage]]


@dataclass(frozen=True, slots=True)
class State:
    """What an evaluation found of an SLO. `is_silent`: nothing was measured for too long, not even that there was nothing."""

    slo: SLO
    readings: Mapping[timedelta, Reading]
    budget: Budget | None
    is_silent: bool = False


@dataclass(slots=True)
class _Changes:
    """What one batch does to alerts."""

    opened: list[tuple[SLO, BurnAlert]] = field(default_factory=list)
    kept: list[tuple[SLO, BurnAlert]] = field(default_factory=list)
    cleared: list[tuple[SLO, BurnAlert]] = field(default_factory=list)
    changed: list[BurnAlert] = field(default_factory=list)  # figures of those kept


def update(states: Sequence[State], *, at: datetime, outages: Outages) -> dict[int, list[BurnAlert]]:
    """Fire and clear the alerts of a batch; returns the active ones by key of the SLO. In the caller's transaction."""
    known: dict[int, dict[str, BurnAlert]] = defaultdict(dict)
    for alert in BurnAlert.objects.filter(slo__in=[state.slo.pk for state in states], cleared_at=None).order_by("pk"):
        known[alert.slo_id][alert.window] = alert
    changes = _Changes()
    for state in states:
        alerts = known[state.slo.pk]
        _by_rules(state.slo, state.readings, alerts, changes, at)
        _by_budget(state.slo, state.budget, alerts.get(EXHAUSTED), changes, at)
        _by_data(state, alerts.get(NO_DATA), changes, at)
    _store(changes, at)
    calm = {state.slo.pk for state in states if _is_over(state.slo, state.readings)}
    observations = [*_observations(changes, outages, at), *_let_go(changes.kept, calm, at)]
    correlation.observe(observations=observations, at=at)
    _announce(changes.opened, at)
    active: dict[int, list[BurnAlert]] = defaultdict(list)
    for slo, alert in (*changes.kept, *changes.opened):
        if alert.window not in APART:
            active[slo.pk].append(alert)
    return active


def miss(slos: Sequence[SLO], *, at: datetime, source: str = "") -> None:
    """Tell of SLOs that could not be measured for too long. In the caller's transaction.

    `source`: the server that does not answer. It is what is ill then, so its SLOs of a namespace make one incident.
    """
    silent = [slo for slo in slos if is_silent(slo, at)]
    told = BurnAlert.objects.filter(slo__in=silent, window=NO_DATA, cleared_at=None).values_list("slo", flat=True)
    known = set(told.order_by())
    opened = [(slo, _silence(slo, at)) for slo in silent if slo.pk not in known]
    BurnAlert.objects.bulk_create(alert for _, alert in opened)
    correlation.observe(observations=[_unheard(slo, alert, source) for slo, alert in opened], at=at)
    _announce(opened, at)


def is_silent(slo: SLO, at: datetime) -> bool:
    """Whether the last slice is too long ago; a definition that nothing was measured by yet has as much time."""
    return at - (slo.data_until or slo.updated_at) > objectives.silence(slo)


@transaction.atomic
def withdraw(*, slo: SLO, at: datetime) -> None:
    """Clear every alert of an SLO that is switched off or deleted, and with them its incident."""
    alerts = list(BurnAlert.objects.filter(slo=slo, cleared_at=None).order_by("pk"))
    BurnAlert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(cleared_at=at)
    correlation.observe(observations=[_end(slo, alert, at) for alert in alerts], at=at)


def _by_rules(
    slo: SLO, readings: Mapping[timedelta, Reading], known: Mapping[str, BurnAlert], changes: _Changes, at: datetime
) -> None:
    budget = objectives.budget_ratio(slo)
    names = set(APART)
    for rule in objectives.rules(slo):
        names.add(rule.name)
        short, long = readings[rule.short], readings[rule.long]
        rate = burn_rate.burn_rate(long.error_rate, budget)
        fires = burn_rate.fires(
            rule,
            short=short,
            long=long,
            budget=budget,
            counts_events=objectives.counts_events(slo),
            wanted=slo.minimum_events,
        )
        alert = known.get(rule.name)
        if alert is not None:
            _go_on(slo, alert, fires=fires, is_known=short.error_rate is not None, rate=rate, changes=changes)
        elif fires and rate is not None:
            changes.opened.append((slo, _new(slo, rule, rate, at)))
    # a rule that was taken away cannot clear any more
    changes.cleared += [(slo, alert) for name, alert in known.items() if name not in names]


def _new(slo: SLO, rule: Rule, rate: float, at: datetime) -> BurnAlert:
    return BurnAlert(
        slo=slo, window=rule.name, severity=rule.severity, threshold=rule.factor, burn_rate=rate, fired_at=at
    )


def _go_on(slo: SLO, alert: BurnAlert, *, fires: bool, is_known: bool, rate: float | None, changes: _Changes) -> None:
    """No data neither confirms an alert nor clears it (domain/slo-math.md §6)."""
    if is_known:
        alert.calm = 0 if fires else alert.calm + 1
    if alert.calm >= burn_rate.CALM:
        changes.cleared.append((slo, alert))
        return
    alert.burn_rate = alert.burn_rate if rate is None else rate
    changes.kept.append((slo, alert))
    changes.changed.append(alert)


def _by_budget(slo: SLO, budget: Budget | None, alert: BurnAlert | None, changes: _Changes, at: datetime) -> None:
    """The exhaustion pages once: until a good part of the budget is back, it is the same one."""
    if alert is None:
        if slo.page_on_budget_exhausted and budget is not None and budget.is_exhausted:
            severity, spent = Severity.CRITICAL.value, budget.consumed_ratio
            changes.opened.append(
                (
                    slo,
                    BurnAlert(
                        slo=slo, window=EXHAUSTED, severity=severity, threshold=1.0, burn_rate=spent, fired_at=at
                    ),
                )
            )
        return
    is_back = budget is not None and budget.remaining_ratio >= BACK
    if is_back or not slo.page_on_budget_exhausted:
        changes.cleared.append((slo, alert))
    else:
        changes.kept.append((slo, alert))


def _by_data(state: State, alert: BurnAlert | None, changes: _Changes, at: datetime) -> None:
    """Silence is no failure of the service, but nobody would hear of one (domain/slo-math.md §5)."""
    slo = state.slo
    if alert is None and state.is_silent:
        changes.opened.append((slo, _silence(slo, at)))
    elif alert is not None:
        (changes.kept if state.is_silent else changes.cleared).append((slo, alert))


def _silence(slo: SLO, at: datetime) -> BurnAlert:
    minutes = objectives.silence(slo) / timedelta(minutes=1)
    return BurnAlert(slo=slo, window=NO_DATA, severity=Severity.MEDIUM.value, threshold=minutes, fired_at=at)


def _store(changes: _Changes, at: datetime) -> None:
    BurnAlert.objects.bulk_create(alert for _, alert in changes.opened)
    if changes.changed:
        BurnAlert.objects.bulk_update(changes.changed, ["calm", "burn_rate"])
    BurnAlert.objects.filter(pk__in=[alert.pk for _, alert in changes.cleared]).update(cleared_at=at)


# --- what correlation hears ------------------------------------------------------------------------------------------


def fingerprint(slo: SLO, window: str) -> str:
    return digest(ORIGIN, str(slo.uid), window)


def _observations(changes: _Changes, outages: Outages, at: datetime) -> Iterator[Observation]:
    for slo, alert in changes.opened:
        if alert.window == NO_DATA:
            yield _unheard(slo, alert)
            continue
        # that the budget is gone may stay true for weeks: it must not hold the incident of a service open so long
        cause = None if alert.window == EXHAUSTED else _cause(outages.get(slo.pk, ()))
        yield _begin(slo, alert, cause)
    for slo, alert in changes.cleared:
        yield _end(slo, alert, at)


def _cause(outages: Sequence[Outage]) -> Outage | None:
    """The incident that burns the budget: the one of the service that lasts the longest."""
    return next((outage for outage in outages if outage.end is None), None)


def _begin(slo: SLO, alert: BurnAlert, cause: Outage | None) -> Observation:
    labels = {"service": slo.service, "slo": slo.name, "window": alert.window}
    cluster = slo.cluster
    if cause is not None:
        cluster = cause.cluster
        if cluster is None and cause.place:
            labels["cluster"] = cause.place
    return Observation(
        origin=ORIGIN,
        source=_source(slo),
        signal_type=SLO_VIOLATION,
        condition="budget_exhausted" if alert.window == EXHAUSTED else "burn_rate",
        fingerprint=fingerprint(slo, alert.window),
        kind=KIND,
        name=slo.name,
        namespace=slo.namespace,
        cluster=cluster,
        description=_description(slo, alert),
        reason=alert.window,
        severity=Severity(alert.severity),
        labels=labels,
        evidence={
            "window": alert.window,
            "burnRate": round(alert.burn_rate or 0.0, 4),
            "threshold": alert.threshold,
            "target": float(slo.target),
        },
        event_time=alert.fired_at,
        parent=(cause.kind, cause.namespace, cause.resource) if cause else None,
    )


def _unheard(slo: SLO, alert: BurnAlert, source: str = "") -> Observation:
    since = slo.data_until or slo.updated_at
    return Observation(
        origin=ORIGIN,
        source=_source(slo),
        signal_type=SLO_VIOLATION,
        condition="no_data",
        fingerprint=fingerprint(slo, alert.window),
        kind=SOURCE_KIND if source else KIND,
        name=source[:253] or slo.name,
        namespace=slo.namespace,
        cluster=slo.cluster,
        description=_description(slo, alert),
        reason=alert.window,
        severity=Severity(alert.severity),
        labels={"slo": slo.name, "window": alert.window},
        evidence={"window": alert.window, "since": format_time(since), "target": float(slo.target)},
        event_time=min(since, alert.fired_at),
    )


def _end(slo: SLO, alert: BurnAlert, at: datetime) -> Observation:
    return Observation(
        origin=ORIGIN,
        source=_source(slo),
        signal_type=SLO_VIOLATION,
        fingerprint=fingerprint(slo, alert.window),
        kind=KIND,
        name=slo.name,
        namespace=slo.namespace,
        cluster=slo.cluster,
        ended_at=max(at, alert.fired_at),
        firing=False,
    )


def _source(slo: SLO) -> Source:
    return Source.PROMETHEUS if slo.source == IndicatorSource.PROMETHEUS else Source.EVENTS


def _description(slo: SLO, alert: BurnAlert) -> str:
    if alert.window == EXHAUSTED:
        return f"SLO {slo.name}: the error budget of {slo.service} is used up ({alert.burn_rate:.0%} of it)"
    if alert.window == NO_DATA:
        since = f"since {format_time(slo.data_until)}" if slo.data_until else "so far"
        return f"SLO {slo.name}: nothing was measured of {slo.service} {since}"
    return (
        f"SLO {slo.name}: {slo.service} spends its error budget {alert.burn_rate:.1f} times as fast as allowed "
        f"(windows {alert.window}, threshold {alert.threshold:g})"
    )


def _is_over(slo: SLO, readings: Mapping[timedelta, Reading]) -> bool:
    """Whether the service is well right now, though longer windows still remember that it was not."""
    budget = objectives.budget_ratio(slo)
    shortest = readings[min(readings)]
    return shortest.error_rate is not None and not burn_rate.exceeds(shortest.error_rate, 1.0, budget)


def _let_go(kept: Sequence[tuple[SLO, BurnAlert]], calm: Collection[int], at: datetime) -> Iterator[Observation]:
    """End the part of alerts in incidents whose own signals are gone: a look back over hours must not hold them open."""
    prints = {fingerprint(slo, alert.window): (slo, alert) for slo, alert in kept if slo.pk in calm}
    if not prints:
        return
    joined = dict(
        Anomaly.objects.filter(fingerprint__in=prints, cleared_at=None)
        .exclude(incident__signal_type=SLO_VIOLATION)
        .order_by()
        .values_list("fingerprint", "incident_id")
    )
    sick = set(
        Anomaly.objects.filter(incident__in=joined.values(), cleared_at=None)
        .exclude(signal_type=SLO_VIOLATION)
        .order_by()
        .values_list("incident_id", flat=True)
    )
    for found, incident in joined.items():
        if incident not in sick:
            yield _end(*prints[found], at)


def _announce(opened: Sequence[tuple[SLO, BurnAlert]], at: datetime) -> None:
    """Tell the channels that the SLO itself names; everybody else hears of the incident."""
    notifications.announce(
        *(
            notifications.Message(
                event="slo_alert",
                subject_kind=SLO.KIND,
                subject_name=slo.name,
                severity=alert.severity,
                signal_type=SLO_VIOLATION,
                namespace=slo.namespace,
                resource_kind=SLO.KIND,
                state=alert.window,
                cluster=slo.cluster.name if slo.cluster else "",
                title=f"SLO {slo.name}: {alert.severity}",
                body=_description(slo, alert),
                occurrence=f"{alert.window} {alert.fired_at.isoformat()}",
                channels=tuple(slo.notification_channels),
            )
            for slo, alert in sorted(opened, key=lambda pair: -SEVERITY_RANK[pair[1].severity])
            if slo.notification_channels
        ),
        at=at,
    )
