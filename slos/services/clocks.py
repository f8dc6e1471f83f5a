"""The clocks of incident SLAs: started with the incident, judged when they are due, not when something else happens.

A clock is a row with the time at which it is looked at next. What stops it is read from the incident itself (acknowledged,
assigned, repaired, contained, resolved), with the time at which that happened, so a look that comes late judges no worse.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, DateTimeField, F, QuerySet, Value
from django.db.models.functions import Greatest

from aiops.audit.actor import SYSTEM, Actor
from aiops.errors import Conflict, LostRace
from federation.services.windows import place_of
from incidents.models import Incident, TimelineEvent
from incidents.states import IncidentState
from slos import sla
from slos.models import LIVE, ClockKind, ClockState, IncidentSLA, SLAClock, SLAPause
from slos.services import planned, sla_messages
from slos.slices import moment

BATCH = 200
MOST_SLAS = 500
REMIND_EVERY = timedelta(hours=1)  # of a promise that is broken and still open
MERGED = "Merged into"  # the resolution of a duplicate (X3)
Type = TimelineEvent.Type
RESPONSES = frozenset({Type.ACKNOWLEDGEMENT, Type.ASSIGNMENT, Type.REMEDIATION_ACTION})


# --- which promise ---------------------------------------------------------------------------------------------------------


def fitting(incident: Incident) -> IncidentSLA | None:
    """The most specific SLA that is meant for the incident: service before namespace before environment."""
    environment = incident.cluster.environment if incident.cluster else ""
    service = incident.labels.get("service") or incident.resource_name
    wanted = {"service": service, "incident_namespace": incident.namespace, "environment": environment}
    rows = IncidentSLA.objects.filter(enabled=True, severity=incident.severity).order_by("name", "pk")[:MOST_SLAS]
    found = [row for row in rows if all(getattr(row, scope) in {"", value} for scope, value in wanted.items())]
    return max(found, key=_specificity, default=None)


def _specificity(row: IncidentSLA) -> int:
    return 4 * bool(row.service) + 2 * bool(row.incident_namespace) + bool(row.environment)


def _promises(row: IncidentSLA) -> dict[str, int]:
    seconds = {
        ClockKind.RESPONSE: row.response_seconds,
        ClockKind.MITIGATION: row.mitigation_seconds,
        ClockKind.RESOLUTION: row.resolution_seconds,
    }
    return {str(kind): allowed for kind, allowed in seconds.items() if allowed}


# --- start, settle -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def start(*, incident: Incident, at: datetime) -> list[SLAClock]:
    """Start the clocks that are promised and do not run yet; none for experiments and duplicates."""
    if incident.chaos_experiment or _is_duplicate(incident):
        return []
    row = fitting(incident)
    if row is None:
        return []
    known = set(SLAClock.objects.filter(incident=incident).values_list("kind", flat=True))
    pauses = _pauses(incident)
    clocks = []
    for kind, allowed in _promises(row).items():
        if kind not in known:
            clock = SLAClock(incident=incident, kind=kind, started_at=incident.started_at)
            _promise(clock, row, allowed, incident)
            _schedule(clock, pauses, at)
            clocks.append(clock)
    # another worker may have started them meanwhile: one clock per incident and kind
    SLAClock.objects.bulk_create(clocks, ignore_conflicts=True)
    return list(SLAClock.objects.filter(incident=incident, kind__in=[clock.kind for clock in clocks]))


def _promise(clock: SLAClock, row: IncidentSLA, allowed: int, incident: Incident) -> None:
    clock.sla, clock.sla_name, clock.severity = row, row.name, incident.severity
    clock.allowed_seconds = allowed
    clock.business_hours = row.business_hours or {"timezone": "UTC"} if row.business_hours_only else {}


@dataclass(frozen=True, slots=True)
class _Pauses:
    spans: tuple[sla.Span, ...]
    is_open: bool


def _pauses(incident: Incident) -> _Pauses:
    rows = list(SLAPause.objects.filter(incident=incident))
    spans = tuple((row.started_at, row.ended_at) for row in rows if row.ended_at is not None)
    return _Pauses(spans, any(row.ended_at is None for row in rows))


def _schedule(clock: SLAClock, pauses: _Pauses, at: datetime) -> None:
    """Compute when the clock warns and is due. A paused one is due at no time; what is broken stays so."""
    if pauses.is_open and clock.breached_at is not None:
        clock.next_at = None
        return
    if pauses.is_open:
        clock.warn_at = clock.due_at = clock.next_at = None
        clock.state = ClockState.PAUSED
        return
    calendar, allowed = sla.read_calendar(clock.business_hours), timedelta(seconds=clock.allowed_seconds)
    clock.warn_at = sla.warn_at(calendar, clock.started_at, allowed, pauses.spans)
    clock.due_at = sla.due_at(calendar, clock.started_at, allowed, pauses.spans)
    clock.state = ClockState.RUNNING
    clock.next_at = clock.warn_at
    if clock.breached_at is not None and clock.due_at is not None and clock.due_at <= at:
        clock.state, clock.next_at = ClockState.BREACHED, at + REMIND_EVERY
    elif clock.warned_at is not None and clock.warn_at is not None and clock.warn_at <= at:
        clock.state, clock.next_at = ClockState.AT_RISK, clock.due_at


@transaction.atomic
def settle(*, incident: Incident, at: datetime) -> int:
    """Stop the clocks whose promise was kept or came late, and set those right whose severity changed.

    Returns how many stopped. Raises `LostRace` when another worker looks at the same clock.
    """
    live = list(SLAClock.objects.filter(incident=incident, state__in=LIVE))
    if not live:
        return 0
    if _is_duplicate(incident):
        for clock in live:
            clock.change(state=ClockState.CANCELLED, next_at=None, ended_at=at)
        return len(live)
    reached = _reached(incident)
    pauses = _pauses(incident)
    stopped = 0
    for clock in live:
        clock.incident = incident
        answered_at = reached.get(clock.kind)
        if answered_at is not None:
            _stop(clock, answered_at, pauses, at)
            stopped += 1
        elif clock.severity != incident.severity:
            _change_promise(clock, incident, pauses, at)
    if pauses.is_open and incident.resolved_at is not None:
        SLAPause.objects.filter(incident=incident, ended_at__isnull=True).update(
            ended_at=Greatest(F("started_at"), Value(incident.resolved_at, DateTimeField())), ended_by=SYSTEM.name
        )
    return stopped


def _is_duplicate(incident: Incident) -> bool:
    return incident.state == IncidentState.RESOLVED and incident.resolution.startswith(MERGED)


def _reached(incident: Incident) -> dict[str, datetime]:
    """When the incident was answered, contained and resolved, as far as it was."""
    found: dict[str, datetime] = {}
    events = incident.timeline.filter(type__in=[*RESPONSES, Type.CONTAINMENT]).order_by("at", "pk")
    for event in events.only("type", "at", "details"):
        if event.type == Type.CONTAINMENT:
            found.setdefault(ClockKind.MITIGATION, event.at)
        elif event.type != Type.ASSIGNMENT or event.details.get("assignedTo"):
            found.setdefault(ClockKind.RESPONSE, event.at)
    if incident.resolved_at is not None:
        for kind in ClockKind:
            found.setdefault(kind, incident.resolved_at)
    return found


def _stop(clock: SLAClock, answered_at: datetime, pauses: _Pauses, at: datetime) -> None:
    open_pause = SLAPause.objects.filter(incident=clock.incident_id, ended_at__isnull=True).first()
    spans = [*pauses.spans, *([(open_pause.started_at, at)] if open_pause else [])]
    calendar = sla.read_calendar(clock.business_hours)
    allowed = timedelta(seconds=clock.allowed_seconds)
    taken = sla.elapsed(calendar, clock.started_at, answered_at, spans)
    if taken > allowed:
        spans += _maintenance(clock.incident, clock.started_at, answered_at)
        taken = sla.elapsed(calendar, clock.started_at, answered_at, spans)
    in_time = taken <= allowed
    due_at = clock.due_at or sla.due_at(calendar, clock.started_at, allowed, pauses.spans)
    clock.change(
        state=ClockState.MET if in_time else ClockState.MISSED,
        ended_at=answered_at,
        taken_seconds=int(taken.total_seconds()),
        due_at=due_at,
        breached_at=None if in_time else clock.breached_at or due_at,
        next_at=None,
    )
    if not in_time and clock.reminded_at is None:
        # it came late, and nobody had been told: the look was later still
        sla_messages.breached(clock, at=at)


def _change_promise(clock: SLAClock, incident: Incident, pauses: _Pauses, at: datetime) -> None:
    """Another severity, another promise, counted from the original start."""
    row = fitting(incident)
    allowed = _promises(row).get(clock.kind) if row is not None else None
    if row is None or allowed is None:
        clock.change(state=ClockState.CANCELLED, severity=incident.severity, next_at=None, ended_at=at)
        return
    _promise(clock, row, allowed, incident)
    clock.warned_at = clock.breached_at = clock.reminded_at = None
    _schedule(clock, pauses, at)
    _write(clock)


def _write(clock: SLAClock) -> None:
    names = (
        "sla",
        "sla_name",
        "severity",
        "allowed_seconds",
        "business_hours",
        "state",
        "warn_at",
        "due_at",
        "next_at",
    )
    marks = ("warned_at", "breached_at", "reminded_at")
    clock.change(**{name: getattr(clock, name) for name in (*names, *marks)})


# --- time passes -------------------------------------------------------------------------------------------------------------


def advance_due(*, at: datetime) -> int:
    """Start what was not started, settle what changed, warn and tell of what is due. Returns how many clocks were looked at."""
    looked = 0
    for incident in _unstarted():
        looked += len(start(incident=incident, at=at))
    changed = SLAClock.objects.filter(state__in=LIVE).exclude(severity=F("incident__severity"))
    due = SLAClock.objects.filter(next_at__lte=at).order_by("next_at", "pk")
    for incident_id in _incidents(changed, due):
        try:
            looked += _look(incident_id, at)
        except LostRace:
            continue  # another worker took it
    return looked


def _incidents(*rows: Iterable[SLAClock]) -> list[int]:
    found: dict[int, None] = {}
    for clocks in rows:
        found |= dict.fromkeys(clocks.values_list("incident_id", flat=True)[:BATCH])  # type: ignore[attr-defined]
    return list(found)


def _unstarted() -> list[Incident]:
    """Open incidents that some SLA wants and that have no clock. What is older than the SLA is left alone."""
    found: dict[int, Incident] = {}
    for row in IncidentSLA.objects.filter(enabled=True).order_by("name", "pk")[:MOST_SLAS]:
        waiting = Incident.objects.open().filter(
            severity=row.severity, sla_clocks__isnull=True, chaos_experiment="", detected_at__gte=row.created_at
        )
        if row.incident_namespace:
            waiting = waiting.filter(namespace=row.incident_namespace)
        for incident in waiting.select_related("cluster").order_by("detected_at", "pk")[:BATCH]:
            found[incident.pk] = incident
    return list(found.values())[:BATCH]


@transaction.atomic
def _look(incident_id: int, at: datetime) -> int:
    """The incident's row is locked first: an acknowledgement comes either before the look or after it."""
    incident = Incident.objects.select_for_update().get(pk=incident_id)
    settle(incident=incident, at=at)
    clocks = list(
        SLAClock.objects.filter(incident=incident, next_at__lte=at, state__in=LIVE).select_related("incident", "sla")
    )
    for clock in clocks:
        clock.incident = incident
        _tick(clock, at)
    return len(clocks)


def _tick(clock: SLAClock, at: datetime) -> None:
    if clock.breached_at is None and _is_put_off(clock, at):
        return
    if clock.due_at is not None and clock.due_at <= at:
        is_first = clock.breached_at is None
        clock.change(
            state=ClockState.BREACHED,
            warned_at=clock.warned_at or at,
            breached_at=clock.breached_at or clock.due_at,
            reminded_at=at,
            next_at=at + REMIND_EVERY,
        )
        sla_messages.breached(clock, at=at, is_first=is_first)
    elif clock.warn_at is not None and clock.warn_at <= at:
        clock.change(state=ClockState.AT_RISK, warned_at=at, next_at=clock.due_at)
        sla_messages.at_risk(clock, at=at)
    else:
        clock.change(next_at=clock.warn_at)


def _is_put_off(clock: SLAClock, at: datetime) -> bool:
    """Whether maintenance that covers the incident leaves more time than was thought; then the clock is set anew.

    Looked at when a clock would warn or break, and not when it starts: a storm of incidents starts thousands.
    """
    assert clock.warn_at is not None
    due_at = clock.due_at or at
    spans = _maintenance(clock.incident, clock.started_at, due_at)
    if not spans:
        return False
    known = _pauses(clock.incident)
    was = clock.warn_at, clock.due_at
    _schedule(clock, _Pauses((*known.spans, *spans), known.is_open), at)
    if (clock.warn_at, clock.due_at) == was:
        return False
    _write(clock)
    return clock.next_at is None or clock.next_at > at


def _maintenance(incident: Incident, since: datetime, until: datetime) -> list[sla.Span]:
    """Planned maintenance of what the incident is about, from `since` to what begins before `until`."""
    place = place_of(incident.cluster, name=incident.cluster_name, namespace=incident.namespace, labels=incident.labels)
    found = planned.of_places({incident.pk: place}, since, until)[incident.pk]
    return [(moment(begin), moment(end)) for begin, end in found if begin < until.timestamp()]


# --- pauses ------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def pause(*, incident: Incident, reason: str, actor: Actor, at: datetime) -> SLAPause:
    """Stop counting, for example while a vendor is asked. Raises `Conflict` when it is resolved or paused already."""
    incident = Incident.objects.select_for_update().get(pk=incident.pk)
    if incident.state == IncidentState.RESOLVED:
        raise Conflict("Incident is already resolved")
    if SLAPause.objects.filter(incident=incident, ended_at__isnull=True).exists():
        raise Conflict("The clocks of the incident are paused already")
    settle(incident=incident, at=at)
    made = SLAPause.objects.create(incident=incident, reason=reason, started_at=at, started_by=actor.name[:253])
    _reschedule(incident, at)
    sla_messages.paused(incident, f"SLA clocks paused: {reason}", action="incident.pause-sla", actor=actor, at=at)
    return made


@transaction.atomic
def resume(*, incident: Incident, actor: Actor = SYSTEM, at: datetime) -> None:
    """Count again. Raises `Conflict` when the clocks are not paused."""
    incident = Incident.objects.select_for_update().get(pk=incident.pk)
    running = SLAPause.objects.filter(incident=incident, ended_at__isnull=True)
    if not running.update(ended_at=at, ended_by=actor.name[:253]):
        raise Conflict("The clocks of the incident are not paused")
    _reschedule(incident, at)
    sla_messages.paused(incident, "SLA clocks run again", action="incident.resume-sla", actor=actor, at=at)


def _reschedule(incident: Incident, at: datetime) -> None:
    pauses = _pauses(incident)
    for clock in SLAClock.objects.filter(incident=incident, state__in=LIVE):
        _schedule(clock, pauses, at)
        _write(clock)


# --- reports -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compliance:
    """Of the promises that fell due in a period. `percent` is None when none did; times are working seconds."""

    met: int
    breached: int
    p50: float | None
    p90: float | None
    p95: float | None

    @property
    def percent(self) -> float | None:
        judged = self.met + self.breached
        return round(100 * self.met / judged, 1) if judged else None


PERIOD = timedelta(days=30)  # over which an SLA is judged


def states_of(row: IncidentSLA) -> dict[str, int]:
    """How many clocks of the SLA are in each state."""
    return dict(SLAClock.objects.filter(sla=row).order_by().values_list("state").annotate(Count("pk")))


def compliance_of(row: IncidentSLA, *, at: datetime) -> dict[str, Compliance]:
    """What became of the promises of the last 30 days, by kind."""
    return {
        kind: _judge(SLAClock.objects.filter(sla=row, kind=kind, due_at__gt=at - PERIOD, due_at__lte=at))
        for kind in _promises(row)
    }


def compliance(*, kind: str, severity: str, since: datetime, until: datetime) -> Compliance:
    """`until` is at most now; a promise that is past due and still open counts as breached."""
    return _judge(SLAClock.objects.filter(kind=kind, severity=severity, due_at__gt=since, due_at__lte=until))


def _judge(due: QuerySet[SLAClock]) -> Compliance:
    judged = due.exclude(state=ClockState.CANCELLED).order_by()
    met = judged.filter(state=ClockState.MET).count()
    breached = judged.exclude(state=ClockState.MET).count()
    rows = judged.filter(taken_seconds__isnull=False).values_list("taken_seconds", flat=True)
    taken = sorted(seconds for seconds in rows[:100_000] if seconds is not None)
    return Compliance(met, breached, *(_percentile(taken, share) for share in (0.5, 0.9, 0.95)))


def _percentile(ordered: list[int], share: float) -> float | None:
    """The nearest rank."""
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) if ordered else None
