"""How an incident ends: a person says so, or all of its signals are gone."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from aiops import bulk
from aiops.api.formats import format_time
from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM, Actor
from aiops.errors import Conflict
from aiops.notifications import services as notifications
from incidents.models import Anomaly, Incident
from incidents.services import postmortems, timeline
from incidents.services.changes import Change, Type, audit_record, message, quiet_windows, write
from incidents.signals import incident_resolved
from incidents.states import IncidentState

S = IncidentState
Cleared = Anomaly.Cleared
BY_HAND = "Manually resolved via dashboard"  # the contract's literal
# of these only the one who changed the cluster can say that it is well again: a running plan, or a person
NOT_BY_ITSELF = frozenset({S.REMEDIATING, S.CONTAINED})


def refuse_resolved(incident: Incident) -> None:
    if incident.state == S.RESOLVED:
        raise Conflict("Incident is already resolved", f"{incident.name} was closed: {incident.resolution}")


@transaction.atomic
def resolve(*, incident: Incident, resolution: str = "", actor: Actor, at: datetime) -> Incident:
    """Close the incident by hand, from any state. Raises `Conflict` if it is closed already (INC-10 to INC-15).

    Its anomalies are forgotten, so the same alert opens a new incident at once (INC-13).
    """
    refuse_resolved(incident)
    resolution = resolution or BY_HAND
    annotations = incident.annotations | {
        "aiops.chatcli.io/resolved-by": actor.role,
        "aiops.chatcli.io/resolved-at": format_time(at),
        "aiops.chatcli.io/manual-resolution": "true",
    }
    change = _resolution(f"Resolved by {actor}: {resolution}", source="api")
    close(incident, change, resolution=resolution, at=at, annotations=annotations)
    clear([incident], by=Cleared.RESOLVED, at=at)
    finish([incident], change, actor=actor, at=at)
    return incident


@transaction.atomic
def recover(*, incident: Incident, resolution: str, at: datetime, actor: Actor = SYSTEM) -> Incident:
    """Close it because it is well again: a verified plan, or by itself. Raises `Conflict` if it is closed already."""
    refuse_resolved(incident)
    change = _resolution(resolution)
    close(incident, change, resolution=resolution, at=at)
    clear([incident], by=Cleared.SOURCE, at=at)
    finish([incident], change, actor=actor, at=at)
    return incident


def settle(*, incidents: Sequence[Incident], resolution: str, at: datetime) -> list[audit.Record]:
    """Close many incidents at once whose signals are gone; the caller holds their rows locked in its transaction.

    Returns the audit records, which the caller writes last (the audit chain is held until commit).
    """
    if not incidents:
        return []
    change = _resolution(resolution)
    Incident.objects.filter(pk__in=[incident.pk for incident in incidents]).update(
        state=S.RESOLVED, resolved_at=at, resolution=resolution, due_at=None, requires_human_action=False, updated_at=at,
        version=F("version") + 1, timeline_count=F("timeline_count") + 1,
    )  # fmt: skip
    for incident in incidents:
        incident.state, incident.resolved_at, incident.resolution, incident.due_at = S.RESOLVED, at, resolution, None
        incident.requires_human_action, incident.updated_at = False, at
        incident.version += 1
        incident.timeline_count += 1
    bulk.create(timeline.event(incident, change.entry(), at) for incident in incidents)
    return _announce(incidents, change, actor=SYSTEM, at=at)


def close(incident: Incident, change: Change, *, resolution: str, at: datetime, **columns: object) -> None:
    write(
        incident,
        change,
        at=at,
        to=S.RESOLVED,
        resolved_at=at,
        resolution=resolution,
        requires_human_action=False,  # required_action stays as history (INC-11)
        due_at=None,
        **columns,
    )


def clear(incidents: Sequence[Incident], *, by: str, at: datetime) -> None:
    """Nothing of these incidents fires any more."""
    open_ones = Anomaly.objects.filter(incident__in=incidents, cleared_at=None)
    # in order of their keys, so that two who clear at once cannot wait for each other
    pks = list(open_ones.select_for_update().order_by("pk").values_list("pk", flat=True))
    if pks:
        Anomaly.objects.filter(pk__in=pks).update(cleared_at=at, cleared_by=by)


def finish(incidents: Sequence[Incident], change: Change, *, actor: Actor, at: datetime) -> None:
    """What follows a closed incident: postmortem, message, signal, audit record."""
    audit.record(*_announce(incidents, change, actor=actor, at=at), at=at)


def _announce(incidents: Sequence[Incident], change: Change, *, actor: Actor, at: datetime) -> list[audit.Record]:
    postmortems.write_all(incidents=incidents, at=at)
    quiet = quiet_windows(at)
    messages = [
        message(incident, "incident_resolved", body=change.message, at=at, quiet=quiet) for incident in incidents
    ]
    notifications.announce(*messages, at=at)
    for incident in incidents:
        incident_resolved.send(sender=Incident, incident=incident)
    return [audit_record(incident, change, actor=actor, resolution=incident.resolution) for incident in incidents]


def _resolution(text: str, source: str = "decision-engine") -> Change:
    return Change(
        type=Type.RESOLUTION,
        source=source,
        message=text,
        action="incident.resolve",
        event_type="issue_resolved",
    )
