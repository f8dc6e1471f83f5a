"""Maintenance windows: laid down by people, asked for by whoever would raise an alarm."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from aiops.audit import services as audit
from aiops.audit.actor import Actor
from aiops.statements import Slot, Statement
from federation import maintenance
from federation.maintenance import Place
from federation.models import Cluster, MaintenanceWindow

MAX_WINDOWS = 1_000
Suppress = MaintenanceWindow.Suppress


# one that does not repeat and is over is left out by the database
BEGUN = Statement(
    lambda: MaintenanceWindow.objects.filter(
        Q(ends_at__gt=Slot("at")) | ~Q(rrule=""), enabled=True, starts_at__lte=Slot("at")
    ).order_by("pk")[:MAX_WINDOWS]
)


@dataclass(frozen=True, slots=True)
class OpenWindow:
    window: MaintenanceWindow
    until: datetime


def open_windows(*, at: datetime, suppress: str | None = None) -> list[OpenWindow]:
    """The windows that are open now, one query; with `suppress` only those of that kind."""
    ends = [(window, maintenance.open_until(window, at)) for window in BEGUN.all(at=at)]
    ends = [(window, until) for window, until in ends if suppress is None or window.suppress == suppress]
    return [OpenWindow(window, until) for window, until in ends if until is not None]


def covering(windows: Sequence[OpenWindow], place: Place) -> OpenWindow | None:
    """Of those that cover the place the one that lasts longest; None when none does."""
    fitting = [one for one in windows if maintenance.covers(one.window, place)]
    return max(fitting, key=lambda one: one.until, default=None)


def place_of(cluster: Cluster | None, *, name: str = "", namespace: str, labels: dict[str, str] | None = None) -> Place:
    """Where a signal comes from; `name` is that of a cluster which is not registered."""
    if cluster is None:
        return Place(cluster=name, namespace=namespace, labels=labels)
    return Place(cluster.name, cluster.environment, cluster.tier, namespace, {**cluster.labels, **(labels or {})})


@transaction.atomic
def save(*, window: MaintenanceWindow, actor: Actor, at: datetime) -> MaintenanceWindow:
    """Create or change a window. Raises `Invalid` whose `fields` name the offending members."""
    maintenance.check(window)
    is_new = window.pk is None
    window.updated_at = at
    if is_new:
        window.created_at = at
    else:
        window.version += 1
    window.save()
    details = {"startsAt": window.starts_at.isoformat(), "endsAt": window.ends_at.isoformat(), "rrule": window.rrule}
    _record("create" if is_new else "update", window, actor, at, details | {"suppress": window.suppress})
    return window


@transaction.atomic
def remove(*, window: MaintenanceWindow, actor: Actor, at: datetime) -> None:
    _record("delete", window, actor, at, {})
    window.delete()


def _record(verb: str, window: MaintenanceWindow, actor: Actor, at: datetime, details: dict[str, Any]) -> None:
    record = audit.Record(
        action=f"maintenance-window.{verb}",
        actor=actor,
        resource_type="Config",
        resource=window.name,
        namespace=window.namespace,
        event_type="config_changed",
        details=details,
    )
    audit.record(record, at=at)
