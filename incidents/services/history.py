"""What earlier incidents teach about one."""

from typing import NamedTuple

from django.db.models import QuerySet

from incidents.models import Incident
from incidents.similarity import similarity

CANDIDATES = 100  # the newest of each kind that are compared
LEAST = 0.3
LIMIT = 10


class Similar(NamedTuple):
    incident: Incident
    similarity: float


def similar(incident: Incident, among: QuerySet[Incident], limit: int = LIMIT) -> list[Similar]:
    """At most `limit` earlier incidents, best first: of the same resource or the same symptom. Two queries."""
    earlier = (
        among.filter(detected_at__lte=incident.detected_at).exclude(pk=incident.pk).order_by("-detected_at", "name")
    )
    candidates = {row.pk: row for row in earlier.filter(resource_name=incident.resource_name)[:CANDIDATES]}
    candidates |= {row.pk: row for row in earlier.filter(signal_type=incident.signal_type)[:CANDIDATES]}
    found = [Similar(row, similarity(incident, row)) for row in candidates.values()]
    found = [one for one in found if one.similarity >= LEAST]
    found.sort(key=lambda one: (-one.similarity, -one.incident.detected_at.timestamp(), one.incident.name))
    return found[:limit]
