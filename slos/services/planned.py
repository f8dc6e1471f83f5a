"""The maintenance windows of the fleet, as spans of time that an SLO leaves out."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from federation import maintenance
from federation.maintenance import Place
from federation.models import MaintenanceWindow
from slos.models import SLO
from slos.slices import seconds

MOST = 500  # occurrences of one window that are looked at
Span = tuple[int, int]


def spans(slos: Collection[SLO], since: datetime, until: datetime) -> dict[int, list[Span]]:
    """By key of the SLO: the occurrences between the two times that cover it. One query."""
    return of_places({slo.pk: _place(slo) for slo in slos}, since, until)


def of_places(places: Mapping[int, Place], since: datetime, until: datetime) -> dict[int, list[Span]]:
    """By key of the place: the occurrences between the two times that cover it. One query."""
    found: dict[int, list[Span]] = {key: [] for key in places}
    # whole hours, so that a rule is followed once an hour and not once a batch
    start = since.replace(minute=0, second=0, microsecond=0)
    end = until.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    for window in MaintenanceWindow.objects.filter(enabled=True, starts_at__lt=end).order_by("pk"):
        covered = [key for key, place in places.items() if maintenance.covers(window, place)]
        if covered:
            some = _occurrences(
                starts_at=window.starts_at,
                ends_at=window.ends_at,
                rrule=window.rrule,
                zone=window.timezone,
                since=start,
                until=end,
            )
            for key in covered:
                found[key] += some
    return found


def _place(slo: SLO) -> Place:
    labels = {**slo.labels, "service": slo.service}
    if slo.cluster is None:
        return Place(namespace=slo.namespace, labels=labels)
    cluster = slo.cluster
    return Place(cluster.name, cluster.environment, cluster.tier, slo.namespace, {**cluster.labels, **labels})


@lru_cache(maxsize=256)
def _occurrences(
    *, starts_at: datetime, ends_at: datetime, rrule: str, zone: str, since: datetime, until: datetime
) -> tuple[Span, ...]:
    window = MaintenanceWindow(starts_at=starts_at, ends_at=ends_at, rrule=rrule, timezone=zone)
    length = ends_at - starts_at
    found: list[Span] = []
    going_on = maintenance.open_until(window, since)
    if going_on is not None:
        found.append((seconds(going_on - length), seconds(going_on)))
    begin: datetime | None = since
    for _ in range(MOST):
        begin = maintenance.next_start(window, begin) if begin is not None else None
        if begin is None or begin >= until:
            break
        found.append((seconds(begin), seconds(begin + length)))
    return tuple(found)
