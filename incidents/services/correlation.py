"""Makes a few incidents out of many observations.

One batch is one transaction with a number of statements that does not depend on the size of the batch. Whoever brings news
first takes the row that counts the day's incidents and only then looks again, so of ten workers who see the same thing at once
one opens the incident and nine find it open. Locks are taken in one order everywhere: the day's row, incidents
by key, anomalies, the audit chain. What two days or a merge could still race is kept by unique constraints; the batch is then
done once more.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, QuerySet

from aiops import bulk
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.notifications import services as notifications
from aiops.sequences import services as sequences
from aiops.sequences.models import DailySequence
from federation.maintenance import Place
from federation.models import Cluster
from federation.services import windows
from incidents import grouping, risk
from incidents.grouping import Batch, Known, Outcome, Placement
from incidents.models import Anomaly, Incident
from incidents.observations import Observation
from incidents.services import closing, opening, scoring, suppression
from incidents.services.changes import Change, Type, audit_record, message, quiet_windows
from incidents.services.merging import MERGED_INTO
from incidents.signals import incident_opened
from incidents.states import IncidentState

MISSES = 3  # looks in a row without the signal until it counts as gone
RECOVERED = "Recovered by itself: none of its signals is present any more"
OPENED = Change(type=Type.DETECTION, message="Opened", action="incident.open", event_type="issue_created")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: the five counts add up to `received`, `outcomes` has one word per observation, in order."""

    received: int = 0
    opened: int = 0
    updated: int = 0
    resolved: int = 0
    suppressed: int = 0
    duplicates: int = 0
    incidents: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)


def observe(*, observations: Sequence[Observation], at: datetime, actor: Actor = SYSTEM) -> Receipt:
    """Store a batch: join open incidents, open new ones, clear what is over. All of it or nothing."""
    if not observations:
        return Receipt()
    try:
        return _observe(observations, at, actor)
    except IntegrityError:
        return _observe(observations, at, actor)


def planned(observations: Sequence[Observation], at: datetime) -> Sequence[Observation]:
    """The batch in which what happens under planned maintenance is mere information: it joins open incidents, opens none."""
    open_ones = windows.open_windows(at=at, suppress=windows.Suppress.INCIDENTS)
    if not open_ones:
        return observations
    return [
        replace(item, informational=True) if item.firing and windows.covering(open_ones, _place(item)) else item
        for item in observations
    ]


def _place(item: Observation) -> Place:
    return windows.place_of(item.cluster, name=item.place, namespace=item.namespace, labels=dict(item.labels))


def firing(incident: Incident) -> QuerySet[Anomaly]:
    """The anomalies that the last look still showed."""
    return Anomaly.objects.filter(incident=incident, cleared_at=None, misses=0)


@transaction.atomic
def _observe(observations: Sequence[Observation], at: datetime, actor: Actor) -> Receipt:
    batch = grouping.sort_out(observations, _newest(observations))
    counter, handed_in = None, observations
    if batch.may_open:
        counter = sequences.lock(prefix="INC", at=at)
        observations = planned(observations, at)
        # what others did while we waited for the counter is visible now
        batch = grouping.sort_out(observations, _newest(observations))
    incidents = _lock(Q(pk__in=batch.ended_incidents) | Q(correlation_key__in=batch.keys))
    by_key = {incident.correlation_key: incident for incident in incidents}
    placement = grouping.place(batch.news, by_key)
    outcomes = grouping.finish(batch, placement, by_key)

    opened, previous = _open(placement, by_key, counter, at)
    joined = {key: by_key[key] for key in placement.taken if key in by_key}
    everyone = joined | opened
    _store(placement, everyone, previous, at)
    raised = _reassess(placement, joined, at)
    _clear(batch.ended, at)
    _announce(opened.values(), raised, at)
    over = [incident for incident in incidents if incident.pk in batch.ended_incidents]
    over += [everyone[key] for key, members in placement.taken.items() if any(news.is_over for news, _ in members)]
    records = [audit_record(incident, OPENED, actor=actor) for incident in opened.values()]
    records += _settle(over, at)
    _sight_again(batch, at)
    suppression.remember(observations=handed_in, outcomes=outcomes, at=at)
    audit.record(*records, at=at)
    return _receipt(outcomes, batch.touched | {incident.name for incident in everyone.values()})


def _receipt(outcomes: Sequence[Outcome], touched: Iterable[str]) -> Receipt:
    counts = Counter(outcomes)
    return Receipt(
        received=len(outcomes),
        opened=counts[Outcome.OPENED],
        updated=counts[Outcome.UPDATED],
        resolved=counts[Outcome.RESOLVED],
        suppressed=counts[Outcome.SUPPRESSED],
        duplicates=counts[Outcome.DUPLICATE],
        incidents=sorted(touched),
        outcomes=[outcome.value for outcome in outcomes],
    )


# --- reading ---------------------------------------------------------------------------------------------------------


def _newest(observations: Iterable[Observation]) -> dict[str, Known]:
    """The newest anomaly of each fingerprint: the open one, if one is open."""
    prints = {observation.fingerprint for observation in observations}
    newest = Anomaly.objects.filter(fingerprint__in=prints).order_by().values("fingerprint").annotate(newest=Max("pk"))
    rows = Anomaly.objects.filter(pk__in=newest.values("newest")).order_by()
    columns = ("incident_id", "incident__name", "first_seen_at", "cleared_at", "cleared_by", "evidence")
    return {row[0]: Known(*row[1:]) for row in rows.values_list("fingerprint", "pk", *columns)}


def _lock(which: Q) -> list[Incident]:
    """Hold the open ones among these incidents; in order of their keys, as everybody does.

    Asked for by the end that an open one has not: by its state, PostgreSQL walks through all that are open, whose number it
    knows badly while a storm makes them many (100 among 14,700: 10.5 -> 1.3 ms).
    """
    rows = Incident.objects.filter(which, resolved_at=None).order_by("pk").select_for_update() if which else ()
    return [row for row in rows if row.state != IncidentState.RESOLVED]


def _previous(keys: Collection[str], at: datetime) -> dict[str, opening.Previous]:
    """By correlation key: the incident that was resolved last, if that is less than 30 minutes ago (X9.1)."""
    rows = Incident.objects.filter(
        correlation_key__in=keys, state=IncidentState.RESOLVED, resolved_at__gte=at - opening.REOPEN_WINDOW
    ).order_by("resolved_at", "pk")
    return {
        key: opening.Previous(name, correlation_id)
        for key, name, correlation_id, annotations in rows.values_list(
            "correlation_key", "name", "correlation_id", "annotations"
        )
        if MERGED_INTO not in annotations
    }


# --- writing ---------------------------------------------------------------------------------------------------------


def _open(
    placement: Placement, by_key: Collection[str], counter: DailySequence | None, at: datetime
) -> tuple[dict[str, Incident], dict[str, opening.Previous]]:
    keys = placement.to_open(by_key)
    if not keys or counter is None:  # without a counter there was nothing but information, which opens nothing
        return {}, {}
    previous = _previous(keys, at)
    names = sequences.take(counter, len(keys))
    rows = bulk.create(
        opening.incident(name, key, placement.taken[key], previous.get(key), at)
        for name, key in zip(names, keys, strict=True)
    )
    return dict(zip(keys, rows, strict=True)), previous


def _store(
    placement: Placement, incidents: dict[str, Incident], previous: dict[str, opening.Previous], at: datetime
) -> None:
    """The anomalies of the news, and their traces in timeline and decisions."""
    placed = [(incidents[key], members, previous.get(key)) for key, members in placement.taken.items()]
    if not placed:
        return
    found = [
        (incident, [opening.anomaly(incident, news, at) for news, _ in members]) for incident, members, _ in placed
    ]
    bulk.create(row for _, rows in found for row in rows)
    bulk.create(event for incident, rows in found for event in opening.events(incident, rows, at))
    bulk.create(row for incident, members, before in placed for row in opening.decisions(incident, members, before, at))


def _reassess(placement: Placement, joined: dict[str, Incident], at: datetime) -> list[Incident]:
    """Risk and severity of incidents that got further signals; returns those that became more severe."""
    if not joined:
        return []
    # what is as bad as can be becomes no worse, and one with hundreds of signals usually is
    open_ended = [row.pk for row in joined.values() if not risk.is_utmost(row.risk_score, row.severity)]
    signals = scoring.signals_of(open_ended)
    raised, decisions = [], []
    for key, incident in joined.items():
        members = placement.taken[key]
        incident.risk_score = max(incident.risk_score, risk.score(signals[incident.pk]))
        severity = risk.severity(signals[incident.pk], incident.risk_score)
        if risk.is_worse(severity, incident.severity) and not incident.severity_frozen:
            decisions.append(opening.severity_decision(incident, incident.severity, severity, at))
            incident.severity = severity
            raised.append(incident)
        began = (opening.began_at(news.observation, at) for news, _ in members)
        incident.started_at = min(incident.started_at, *began)
        incident.timeline_count += opening.event_count(members)
        incident.version += 1
        incident.updated_at = at
    columns = ["risk_score", "severity", "started_at", "timeline_count", "version", "updated_at"]
    bulk.update(joined.values(), columns)
    bulk.create(decisions)
    return raised


def _clear(ended: Collection[int], at: datetime) -> int:
    if not ended:
        return 0
    still_open = Anomaly.objects.filter(pk__in=ended, cleared_at=None)
    pks = list(still_open.select_for_update().order_by("pk").values_list("pk", flat=True))
    return Anomaly.objects.filter(pk__in=pks).update(cleared_at=at, cleared_by=Anomaly.Cleared.SOURCE)


def _announce(opened: Iterable[Incident], raised: Iterable[Incident], at: datetime) -> None:
    opened, raised = list(opened), list(raised)
    if not opened and not raised:
        return
    quiet = quiet_windows(at)
    messages = [
        message(incident, event, body=incident.description, at=at, quiet=quiet)
        for event, incidents in (("incident_created", opened), ("incident_severity_raised", raised))
        for incident in incidents
    ]
    notifications.announce(*messages, at=at)
    for incident in opened:
        incident_opened.send(sender=Incident, incident=incident)


def _settle(incidents: Iterable[Incident], at: datetime) -> list[audit.Record]:
    """Close those of `incidents` (held by us) whose last anomaly is cleared, unless a plan or a person is at work."""
    candidates = {row.pk: row for row in incidents if row.state not in closing.NOT_BY_ITSELF}
    if not candidates:
        return []
    sick = Anomaly.objects.filter(incident__in=candidates, cleared_at=None).order_by()
    still = set(sick.values_list("incident", flat=True).distinct())
    return closing.settle(
        incidents=[row for pk, row in candidates.items() if pk not in still], resolution=RECOVERED, at=at
    )


def _sight_again(batch: Batch, at: datetime) -> None:
    """Count repeated sightings. The incident is not touched: a poll that shows nothing new changes no version."""
    seen = [*batch.sighted, *batch.renewed]
    if not seen:
        return
    # who holds such a row is changing it: our sighting comes too late, and waiting could deadlock
    rows_free = Anomaly.objects.filter(pk__in=seen, cleared_at=None).select_for_update(skip_locked=True)
    free = set(rows_free.values_list("pk", flat=True))
    Anomaly.objects.filter(pk__in=free).update(count=F("count") + 1, misses=0, last_seen_at=at)
    rows = [
        Anomaly(pk=pk, evidence={**known.evidence, **_began(observation)})
        for pk, (known, observation) in batch.renewed.items()
        if pk in free
    ]
    bulk.update(rows, ["evidence"])


def _began(observation: Observation) -> dict[str, str]:
    return {grouping.STARTS_AT: observation.event_time.isoformat()} if observation.event_time else {}


# --- what a look no longer shows -------------------------------------------------------------------------------------


@transaction.atomic
def clear_missing(
    *,
    cluster: Cluster,
    origin: str,
    seen: Collection[str],
    covered: Callable[[str], bool] | Collection[str],
    at: datetime,
) -> int:
    """Note what `origin` did not see (`seen` are fingerprints) at a complete look at `cluster`.

    After three such looks an anomaly is cleared, and an incident without any is resolved. `covered` says which kinds of
    objects the look included: of the others nothing is known. Returns how many anomalies were cleared.
    """
    covers = covered if callable(covered) else frozenset(covered).__contains__
    rows = Anomaly.objects.filter(cluster=cluster, origin=origin, cleared_at=None).order_by("pk")
    missed: list[int] = []
    gone: dict[int, int] = {}
    columns = ("pk", "incident_id", "fingerprint", "misses", "object_kind", "resource_kind")
    for pk, incident_id, fingerprint, misses, object_kind, resource_kind in rows.values_list(*columns):
        if fingerprint in seen or not covers(object_kind or resource_kind):
            continue
        if misses + 1 >= MISSES:
            gone[pk] = incident_id
        else:
            missed.append(pk)
    records: list[audit.Record] = []
    cleared = 0
    if gone:
        incidents = _lock(Q(pk__in=set(gone.values())))
        cleared = _clear(gone, at)
        records = _settle(incidents, at)
    if missed:
        free = Anomaly.objects.filter(pk__in=missed, cleared_at=None).select_for_update(skip_locked=True)
        pks = list(free.values_list("pk", flat=True))
        Anomaly.objects.filter(pk__in=pks).update(misses=F("misses") + 1)
    audit.record(*records, at=at)
    return cleared
