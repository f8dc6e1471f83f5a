"""Reads what the risk of incidents is computed from."""

from collections import defaultdict
from collections.abc import Collection

from incidents.models import Anomaly
from incidents.risk import Graded


def signals_of(incidents: Collection[int]) -> dict[int, set[Graded]]:
    """The distinct signals that each incident has or had, in one query."""
    found: dict[int, set[Graded]] = defaultdict(set)
    rows = Anomaly.objects.filter(incident__in=incidents).order_by()
    for incident, *signal in rows.values_list("incident", "signal_type", "severity", "source").distinct():
        found[incident].add(Graded(*signal))
    return found
