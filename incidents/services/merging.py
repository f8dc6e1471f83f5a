"""Two incidents turn out to be one problem."""

from datetime import datetime

from django.db import transaction

from aiops.audit.actor import Actor
from aiops.errors import Conflict, Invalid
from incidents import risk
from incidents.models import Anomaly, Decision, Incident
from incidents.services import closing, scoring
from incidents.services.changes import Change, Type, tell, write
from incidents.states import IncidentState

MERGED_INTO = "aiops/merged-into"  # annotation of the one that ends


@transaction.atomic
def merge(*, incident: Incident, into: Incident, reason: str = "", actor: Actor, at: datetime) -> Incident:
    """Close `incident` and move its anomalies to `into`, which is returned.

    Raises `Invalid` when they are the same, `Conflict` when one of them is resolved, `LostRace` when one changed meanwhile.
    """
    if incident.pk == into.pk:
        raise Invalid("An incident cannot be merged into itself", fields={"into": ["Names the incident itself."]})
    _lock(incident, into)
    closing.refuse_resolved(incident)
    if into.state == IncidentState.RESOLVED:
        raise Conflict("The incident to merge into is resolved", f"{into.name} was closed: {into.resolution}")
    because = f": {reason}" if reason else ""
    _take_over(incident, into, because, actor, at)
    resolution = f"Merged into {into.name}{because}"
    ended = Change(
        type=Type.MERGE,
        message=f"{resolution} (by {actor})",
        details={"into": into.name, "reason": reason},
        action="incident.merge",
    )
    annotations = incident.annotations | {MERGED_INTO: into.name}
    closing.close(incident, ended, resolution=resolution, at=at, annotations=annotations)
    closing.finish([incident], ended, actor=actor, at=at)
    return into


def _lock(*incidents: Incident) -> None:
    """Hold both rows, in the order in which everybody takes them."""
    rows = Incident.objects.select_for_update().filter(pk__in=[incident.pk for incident in incidents]).order_by("pk")
    list(rows.values_list("pk", flat=True))


def _take_over(incident: Incident, into: Incident, because: str, actor: Actor, at: datetime) -> None:
    Anomaly.objects.filter(incident=incident).update(incident=into)
    signals = scoring.signals_of([into.pk])[into.pk]
    score = max(into.risk_score, risk.score(signals))
    severity = risk.highest(into.severity, risk.severity(signals, score))
    joined = Change(type=Type.MERGE, message=f"Took over {incident.name}{because}", details={"from": incident.name})
    write(
        into,
        joined,
        at=at,
        risk_score=score,
        severity=into.severity if into.severity_frozen else severity,
        started_at=min(into.started_at, incident.started_at),
    )
    Decision.objects.create(
        incident=into,
        at=at,
        stage="correlate",
        rule="merged-by-a-person",
        verdict="joined",
        reason=f"{actor} merged {incident.name}{because}"[:4096],
        inputs={"from": incident.name, "riskScore": score},
    )
    tell(into, joined, actor=actor, at=at)
