"""The library of SLOs: create, change, delete, import. Values come checked from `slos/definitions.py`.

Every effective change makes one audit record in the same transaction. Races end in a conflict: two creations by the unique
constraint, two changes by the version that the UPDATE names. The evaluation writes other columns and no version, so the two
never disturb each other.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from aiops import documents as yaml
from aiops.audit.actor import Actor
from aiops.audit.services import Record, record
from aiops.errors import Conflict, Invalid, LostRace
from federation.models import Cluster
from slos import definitions, documents, objectives
from slos.models import SLO, DailyHistory, HourlyHistory, Measurement, Status, TargetChange
from slos.services import alerts
from slos.shapes import Candidate

# what an update may change, as `definitions.read` names it
CHANGEABLE = (
    "service",
    "type",
    "target",
    "target_unit",
    "window",
    "description",
    "enabled",
    "labels",
    "cluster",
    "calendar_unit",
    "calendar_count",
    "calendar_start",
    "time_zone",
    "source",
    "data_source",
    "query",
    "good_query",
    "bad_query",
    "total_query",
    "raw_type",
    "latency_percentile",
    "threshold_op",
    "threshold_value",
    "prometheus_url",
    "match_labels",
    "resource_kind",
    "resource_name",
    "budgeting_method",
    "slice_seconds",
    "slice_target",
    "no_data",
    "burn_rate_rules",
    "notification_channels",
    "page_on_budget_exhausted",
    "minimum_events",
)
# a change of one of these means something else is measured from now on
MEASURED_BY = frozenset(
    {
        "service",
        "type",
        "cluster",
        "source",
        "data_source",
        "query",
        "good_query",
        "bad_query",
        "total_query",
        "raw_type",
        "latency_percentile",
        "threshold_op",
        "threshold_value",
        "prometheus_url",
        "match_labels",
        "resource_kind",
        "resource_name",
        "budgeting_method",
        "slice_seconds",
        "slice_target",
        "no_data",
    }
)
# what was found so far, and the lease: what an evaluation under way finds is about the old definition
MEASURED_ANEW: dict[str, Any] = {
    "measured_since": None,
    "measured_until": None,
    "data_until": None,
    "failures": 0,
    "window_start": None,
    "window_end": None,
    "evaluated_at": None,
    "current": None,
    "budget_consumed": None,
    "status": Status.WARNING,
    "status_reason": "",
    "invalid": False,
}
Covers = Callable[[str, str], bool]  # (namespace, cluster name or "")


@transaction.atomic
def create(*, values: Mapping[str, Any], actor: Actor, at: datetime, covers: Covers = lambda *_: True) -> SLO:
    """Add an SLO; it is evaluated as soon as a worker is free.

    Raises `Conflict` when the namespace has one of that name, `Invalid` when the members do not go together, `covers` being
    asked whether the actor may see the cluster.
    """
    slo = _insert(values, {}, _Door(actor, at, covers))
    record(_record("slo.create", slo, actor, {"service": slo.service, "target": float(slo.target)}), at=at)
    return slo


@transaction.atomic
def update(*, slo: SLO, values: Mapping[str, Any], actor: Actor, at: datetime, covers: Covers = lambda *_: True) -> SLO:
    """Change what `values` names; nothing happens when that changes nothing.

    Raises `Invalid` for a `name` or `namespace` that is not the SLO's, `LostRace` when somebody else was faster.
    """
    _refuse_renaming(slo, values)
    changed = _change(slo, values, None, _Door(actor, at, covers))
    if changed:
        record(_record("slo.update", slo, actor, {"changed": changed}), at=at)
    return slo


@transaction.atomic
def delete(*, slo: SLO, actor: Actor, at: datetime) -> None:
    """Remove the SLO and what was measured; its alerts end, and with them their part in incidents. Raises `LostRace`."""
    if not SLO.objects.select_for_update().filter(pk=slo.pk, version=slo.version).exists():
        raise LostRace(f"{slo} changed meanwhile", "Read it again and repeat the request.")
    alerts.withdraw(slo=slo, at=at)
    SLO.objects.filter(pk=slo.pk).delete()
    record(_record("slo.delete", slo, actor, {"service": slo.service}), at=at)


@dataclass(slots=True)
class Imported:
    """What became of each SLO: names, and for rejected ones {document, name, reason}, for doubts {document, name, warning}."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Door:
    """Who acts, when, and what they may see."""

    actor: Actor
    at: datetime
    covers: Covers


@transaction.atomic
def load(*, found: Sequence[yaml.Document], actor: Actor, at: datetime, covers: Covers = lambda *_: True) -> Imported:
    """Create or update an SLO per objective of each document; what is no SLO is rejected alone (X9.9).

    `covers` says which namespaces and clusters the actor may write to.
    """
    result, door = Imported(), _Door(actor, at, covers)
    for candidate in documents.read(found):
        named = {"document": candidate.document, "name": candidate.name}
        try:
            outcome = _load_one(candidate, door)
        except (Invalid, Conflict) as refusal:
            result.rejected.append(named | {"reason": _reason(refusal)})
        else:
            named["name"] = candidate.body["name"]
            getattr(result, outcome).append(named["name"])
            result.warnings += [named | {"warning": warning} for warning in candidate.warnings]
    if result.created or result.updated:
        details = {"created": result.created, "updated": result.updated}
        record(Record("slo.import", actor, SLO.KIND, "import", event_type="config_changed", details=details), at=at)
    return result


def check(slo: SLO | None, values: Mapping[str, Any]) -> None:
    """Whether `create` (no `slo`) or `update` would take these values, as far as they alone say. Raises `Invalid`."""
    definitions.check(_merged(slo, values) if slo is not None else dict(values))


# --- parts -------------------------------------------------------------------------------------------------------------------


def _insert(values: Mapping[str, Any], imported: Mapping[str, Any], door: _Door) -> SLO:
    columns = definitions.check(dict(values))
    columns["cluster"] = _cluster(columns["cluster"], columns["namespace"], door)
    slo = SLO(**columns, imported=imported, created_at=door.at, updated_at=door.at)
    for name, value in _outlook(slo, door.at).items():
        setattr(slo, name, value)
    try:
        with transaction.atomic():
            slo.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(f"SLO {slo.name} exists already in namespace {slo.namespace}") from error
    return slo


def _change(slo: SLO, values: Mapping[str, Any], imported: Mapping[str, Any] | None, door: _Door) -> list[str]:
    """Write what differs; returns the names of the changed columns."""
    columns = definitions.check(_merged(slo, values))
    if "cluster" in values:
        columns["cluster"] = _cluster(columns["cluster"], slo.namespace, door)
    else:
        columns["cluster"] = slo.cluster
    changes = {name: columns[name] for name in CHANGEABLE if getattr(slo, name) != columns[name]}
    if imported is not None and slo.imported != imported:
        changes["imported"] = dict(imported)
    if not changes:
        return []
    was = slo.target
    anew = bool(MEASURED_BY & changes.keys())
    found = (MEASURED_ANEW if anew else {}) | _outlook(SLO(**columns), door.at)
    slo.change(**changes, **found, updated_at=door.at, lease_until=None, claim=None)
    if anew or not slo.enabled:
        alerts.withdraw(slo=slo, at=door.at)
    if anew:
        for kept in (Measurement, HourlyHistory, DailyHistory):
            kept._default_manager.filter(slo=slo).delete()
    if "target" in changes:
        TargetChange.objects.create(slo=slo, at=door.at, was=was, becomes=slo.target, changed_by=door.actor.name[:253])
    return sorted(changes)


def _outlook(slo: SLO, at: datetime) -> dict[str, Any]:
    """When it is evaluated next. Where nobody can be asked that is never, and the reason is known at once."""
    if objectives.is_askable(slo):
        return {"due_at": at}
    return {"due_at": None, "status_reason": objectives.complaint_about_source(slo)}


def _merged(slo: SLO, values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns as they would be. A changed type brings its own unit and percentile."""
    columns = {name: getattr(slo, name) for name in CHANGEABLE}
    if "type" in values and values["type"] != slo.type:
        columns |= {"target_unit": "", "latency_percentile": None}
    return columns | {name: value for name, value in values.items() if name in CHANGEABLE}


def _cluster(name: str, namespace: str, door: _Door) -> Cluster | None:
    if not name:
        return None
    cluster = Cluster.objects.filter(name=name).first() if door.covers(namespace, name) else None
    if cluster is None:
        raise Invalid("Unknown cluster", fields={"cluster": ["There is no cluster of this name."]})
    return cluster


def _refuse_renaming(slo: SLO, values: Mapping[str, Any]) -> None:
    reasons = {
        member: ["Cannot be changed."]
        for member in ("name", "namespace")
        if member in values and values[member] != getattr(slo, member)
    }
    if reasons:
        raise Invalid("An SLO keeps its name and namespace", fields=reasons)


def _load_one(candidate: Candidate, door: _Door) -> str:
    """Returns the list of `Imported` that the candidate belongs to. Raises `Invalid` or `Conflict`."""
    if candidate.problem:
        raise Invalid(candidate.problem)
    _check_storable(candidate.imported)
    key = candidate.body.get("namespace", "default"), candidate.body["name"]
    existing = SLO.objects.select_related("cluster").filter(namespace=key[0], name=key[1]).first()
    values = definitions.read(candidate.body, merge=existing is not None)
    if not door.covers(str(key[0]), values.get("cluster", "")):
        raise Invalid("The key's scope does not cover that namespace")
    if existing is None:
        _insert(values, candidate.imported, door)
        return "created"
    with transaction.atomic():
        return "updated" if _change(existing, values, candidate.imported, door) else "unchanged"


def _check_storable(kept: Mapping[str, Any]) -> None:
    """YAML knows infinity and NaN, JSON does not. Raises `Invalid`."""
    try:
        json.dumps(kept, allow_nan=False)
    except ValueError as error:
        raise Invalid("Every number must be finite") from error


def _reason(refusal: Invalid | Conflict) -> str:
    fields = getattr(refusal, "fields", {}).items()
    return "; ".join(f"{path}: {reasons[0]}" for path, reasons in fields) or refusal.message


def _record(action: str, slo: SLO, actor: Actor, details: dict[str, Any]) -> Record:
    return Record(
        action, actor, SLO.KIND, slo.name, namespace=slo.namespace, event_type="config_changed", details=details
    )
