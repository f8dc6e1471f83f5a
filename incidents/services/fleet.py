"""Finds what several clusters suffer from together, raises one incident for it, and tells the members apart from chance.

Level-triggered: a sweep looks at all recent incidents, so that it does not matter in which order clusters reported them. The
fleet incident is an incident like any other, without a cluster, so that nothing but a person acts on it; it ends when its
members have.
"""

from collections.abc import Mapping
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from aiops.notifications import services as notifications
from incidents import fleet
from incidents.fleet import Candidate, Cause, Group
from incidents.models import Anomaly, FleetCorrelation, Incident
from incidents.observations import Observation, digest
from incidents.services import correlation, timeline
from incidents.services.changes import message
from incidents.states import IncidentState, Severity, Source

logger = structlog.get_logger(__name__)

ORIGIN = "federation"
PLACE = "fleet"  # stands where others have their cluster
LIMIT = 5_000  # incidents that are compared, the newest
MAX_NAMES = 10


def correlate(*, at: datetime) -> int:
    """Compare recent incidents of all clusters. Returns how many correlations were opened, changed or closed."""
    found = {group.key: group for group in fleet.groups(_candidates(at))}
    known = {row.key: row for row in FleetCorrelation.objects.filter(closed_at=None).prefetch_related("members")}
    changed = sum(_store(group, known.get(key), at) for key, group in found.items())
    return changed + sum(_close_if_over(row, at) for key, row in known.items() if key not in found)


def _candidates(at: datetime) -> list[Candidate]:
    recent = (
        Incident.objects.filter(cluster__isnull=False)
        # of those that are over only what may have been the beginning of a cascade
        .filter(~Q(state=IncidentState.RESOLVED) | Q(cluster__environment="staging"))
        .filter(started_at__gt=at - fleet.CASCADE_WINDOW)
        .order_by("-started_at", "-pk")
        .values_list(
            "pk", "cluster__name", "cluster__environment", "signal_type", "resource_kind", "namespace",
            "resource_name", "started_at", "cluster__region", "state",
        )
    )[:LIMIT]  # fmt: skip
    rows = list(recent)
    if len({row[1] for row in rows}) < fleet.CAUSE_CLUSTERS:
        return []  # one cluster shares nothing
    causes = _causes({row[0]: (row[4], row[8]) for row in rows})
    return [
        Candidate(*row[:9], causes=causes.get(row[0], frozenset()), is_open=row[9] != IncidentState.RESOLVED)
        for row in rows
    ]


def _causes(incidents: Mapping[int, tuple[str, str]]) -> dict[int, frozenset[Cause]]:
    """What each incident, given with kind and region, may share with others."""
    rows = Anomaly.objects.filter(incident__in=list(incidents), cleared_at=None)
    found: dict[int, set[Cause]] = {}
    for pk, signal_type, text, evidence in rows.values_list("incident", "signal_type", "description", "evidence"):
        kind, region = incidents[pk]
        facts = evidence if isinstance(evidence, dict) else {}
        shared = fleet.causes(signal_type=signal_type, kind=kind, region=region, text=text, evidence=facts)
        found.setdefault(pk, set()).update(shared)
    return {pk: frozenset(shared) for pk, shared in found.items()}


# --- opening and changing --------------------------------------------------------------------------------------------


def _store(group: Group, row: FleetCorrelation | None, at: datetime) -> bool:
    members = {one.pk for one in group.members}
    if row is not None:
        members |= {one.pk for one in row.members.all() if one.state != IncidentState.RESOLVED}
        if members <= {one.pk for one in row.members.all()} and _is_same(row, group):
            return False
    try:
        with transaction.atomic():
            _write(group, row, members, at)
    except IntegrityError:
        return False  # another worker was faster; the next sweep sees what it wrote
    _raise_incident(group, at)
    return True


def _is_same(row: FleetCorrelation, group: Group) -> bool:
    return row.elevated >= group.elevated and row.cascade >= group.cascade


def _write(group: Group, row: FleetCorrelation | None, members: set[int], at: datetime) -> None:
    if row is None:
        row = FleetCorrelation.objects.create(
            correlation_id=f"xcluster-{digest(group.key, at.isoformat())[:12]}",
            kind=group.kind,
            key=group.key,
            subject=group.subject[:512],
            signal_type=group.signal_type,
            first_id=group.first.pk,
            opened_at=at,
        )
    row.members.set(members)
    incidents = list(Incident.objects.filter(pk__in=members).order_by("pk").select_for_update())
    row.clusters = sorted({one.cluster_name for one in incidents})
    row.first = min(incidents, key=lambda one: (one.detected_at, one.pk))
    if group.elevated and not row.elevated:
        row.kind = group.kind
    row.elevated |= group.elevated
    row.cascade |= group.cascade
    row.save()
    for incident in incidents:
        _join(incident, row, at)
    logger.info("fleet_correlation", correlation=row.correlation_id, subject=row.subject, clusters=row.clusters)


def _join(incident: Incident, row: FleetCorrelation, at: datetime) -> None:
    """Give a member the common id and, because of the spread, the highest severity; it stays the incident that it is."""
    raised = (
        row.elevated
        and incident.state != IncidentState.RESOLVED
        and incident.severity != Severity.CRITICAL
        and not incident.severity_frozen
    )
    if incident.correlation_id == row.correlation_id and not raised:
        return
    was = incident.severity
    columns: dict[str, object] = {"correlation_id": row.correlation_id, "updated_at": at, "version": F("version") + 1}
    if raised:
        columns["severity"] = Severity.CRITICAL
    Incident.objects.filter(pk=incident.pk).update(**columns)
    incident.correlation_id = row.correlation_id
    incident.severity = Severity.CRITICAL if raised else was
    where = ", ".join(row.clusters[:MAX_NAMES])
    timeline.decide(
        incident=incident,
        at=at,
        stage="correlate",
        rule=str(row.kind),
        verdict="elevated" if raised else "correlated",
        reason=f"{row.subject} is seen in {where}",
        inputs={"correlationId": row.correlation_id, "clusters": row.clusters, "was": was},
    )
    if raised:
        body = f"{row.subject} is seen in {len(row.clusters)} clusters: {where}"
        notifications.announce(message(incident, "incident_severity_raised", body=body, at=at), at=at)


# --- the fleet incident ----------------------------------------------------------------------------------------------


def _raise_incident(group: Group, at: datetime) -> None:
    """One incident for what is common; a cascade or a shared cause alone is a hint beside the members, not a problem more."""
    if group.elevated:
        correlation.observe(observations=[_observation(group.key, group, firing=True)], at=at)


def _observation(key: str, group: Group | FleetCorrelation, *, firing: bool) -> Observation:
    first = group.first
    if isinstance(first, Candidate):
        kind, name, namespace, event_time = first.kind, first.name, first.namespace, first.started_at
    else:
        kind, name, namespace = first.resource_kind, first.resource_name, first.namespace
        event_time = first.started_at
    where = ", ".join(group.clusters[:MAX_NAMES])
    return Observation(
        origin=ORIGIN,
        source=Source.WATCHER if firing else Source.EVENTS,
        signal_type=group.signal_type,
        condition="cross_cluster",
        fingerprint=digest(ORIGIN, key),
        kind=kind,
        name=name,
        namespace=namespace,
        description=f"{group.subject} in {len(group.clusters)} clusters: {where}",
        reason="the same signal of the same workload in several clusters",
        severity=Severity.CRITICAL,
        weight=95,
        labels={"cluster": PLACE},
        evidence={"clusters": ", ".join(group.clusters)},
        event_time=event_time,
        firing=firing,
    )


def _close_if_over(row: FleetCorrelation, at: datetime) -> bool:
    """It is over when all of its members are."""
    if any(one.state != IncidentState.RESOLVED for one in row.members.all()):
        return False
    with transaction.atomic():
        closed = FleetCorrelation.objects.filter(pk=row.pk, closed_at=None).update(closed_at=at)
    if closed and row.elevated:
        correlation.observe(observations=[_observation(row.key, row, firing=False)], at=at)
    return bool(closed)
