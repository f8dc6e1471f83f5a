"""The library of runbooks: create, change, delete, import. Values come checked from `runbooks/definitions.py`.

Every effective change makes a version, and one audit record in the same transaction. Races end in a conflict: two creations by
the unique constraint, two changes by the version that the UPDATE names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from aiops import documents as yaml
from aiops.audit.actor import Actor
from aiops.audit.models import AuditEvent
from aiops.audit.services import Record, record
from aiops.errors import Conflict, Invalid, LostRace
from incidents.models import Incident
from incidents.states import ACTIVE
from runbooks import definitions, documents
from runbooks.matching import AUTO_GENERATED
from runbooks.models import RemediationPlan, Runbook, RunbookVersion
from runbooks.states import RUNNING

FIRST_REVISION = "1.0.0"
BUILT_IN_FOLDER = Path(__file__).resolve().parent.parent / "library"
# what an update may change, as `definitions.read` names it
CHANGEABLE = frozenset(
    {
        "category",
        "description",
        "severity",
        "automated",
        "approval_required",
        "rollback_on_failure",
        "steps",
        "match_conditions",
        "trigger",
        "max_attempts",
        "labels",
    }
)


@transaction.atomic
def create(*, values: Mapping[str, Any], actor: Actor, at: datetime) -> Runbook:
    """Add a runbook. Raises `Conflict` when the namespace has one of that name."""
    runbook = _insert(values, actor, at)
    record(
        _record("runbook.create", runbook, actor, {"version": runbook.revision, "category": runbook.category}), at=at
    )
    return runbook


@transaction.atomic
def update(*, runbook: Runbook, values: Mapping[str, Any], actor: Actor, at: datetime) -> Runbook:
    """Change what `values` names; nothing happens when that changes nothing (RB-4).

    Raises `Invalid` for a `name` or `namespace` that is not the runbook's, `LostRace` when somebody else was faster.
    """
    _refuse_renaming(runbook, values)
    changed = _change(runbook, values, actor, at)
    if changed:
        record(_record("runbook.update", runbook, actor, {"version": runbook.revision, "changed": changed}), at=at)
    return runbook


@transaction.atomic
def delete(*, runbook: Runbook, actor: Actor, at: datetime) -> None:
    """Remove the runbook; plans and incidents keep its name (RB-6). Raises `Conflict` while it is in use (RB-5)."""
    # no plan can be made from it while the row is locked
    locked = Runbook.objects.select_for_update().filter(pk=runbook.pk, version=runbook.version)
    if not locked.exists():
        raise LostRace(f"{runbook} changed meanwhile", "Read it again and repeat the request.")
    user = _user_of(runbook)
    if user:
        raise Conflict(f"Runbook {runbook.name} is in use", f"It is used by {user}.")
    Runbook.objects.filter(pk=runbook.pk).delete()
    record(_record("runbook.delete", runbook, actor, {"version": runbook.revision}), at=at)


@dataclass(slots=True)
class Imported:
    """What became of each document: names, and for the rejected ones {document, name, reason}."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)


@transaction.atomic
def load(
    *,
    found: Sequence[yaml.Document],
    actor: Actor,
    at: datetime,
    covers: Callable[[str], bool] = lambda namespace: True,
) -> Imported:
    """Create or update (merge) a runbook per document; a document that is none is rejected alone (X9.9).

    `covers` says which namespaces the actor may write to.
    """
    result = Imported()
    for document in found:
        try:
            body = documents.body_of(document)
            outcome = _load_one(body, actor, at, covers)
        except (Invalid, Conflict) as refusal:
            result.rejected.append(
                {"document": document.number, "name": documents.name_of(document), "reason": _reason(refusal)}
            )
        else:
            getattr(result, outcome).append(body["name"])
    if result.created or result.updated:
        details = {"created": result.created, "updated": result.updated}
        record(
            Record("runbook.import", actor, "Runbook", "import", event_type="config_changed", details=details), at=at
        )
    return result


def load_built_in(*, actor: Actor, at: datetime) -> int:
    """Bring the runbooks that we ship up to date; returns how many are new or changed.

    What people did is respected: a runbook that they changed is left alone, and one that they deleted stays away.
    """
    by_people = Runbook.objects.exclude(created_by=actor.name, updated_by__in=["", actor.name])
    settled = set(by_people.values_list("namespace", "name"))
    deletions = AuditEvent.objects.filter(action="runbook.delete").exclude(user=actor.name)
    settled |= set(deletions.filter(resource__in=_built_in_names()).values_list("namespace", "resource"))
    shipped = [document for document in built_in() if _key(documents.body_of(document)) not in settled]
    result = load(found=shipped, actor=actor, at=at)
    if result.rejected:
        raise Invalid("A built-in runbook is not valid", str(result.rejected[0]))
    return len(result.created) + len(result.updated)


def _built_in_names() -> list[str]:
    return [documents.name_of(document) for document in built_in()]


@lru_cache(maxsize=1)
def built_in() -> tuple[yaml.Document, ...]:
    """The documents in `runbooks/library/`."""
    files = sorted(BUILT_IN_FOLDER.glob("*.yaml"))
    return tuple(document for file in files for document in yaml.read(file.read_text(encoding="utf-8")))


# --- parts -------------------------------------------------------------------------------------------------------------------


def _insert(values: Mapping[str, Any], actor: Actor, at: datetime) -> Runbook:
    labels = values.get("labels") or {}
    runbook = Runbook(
        **values,
        auto_generated=labels.get(AUTO_GENERATED) == "true",
        revision=FIRST_REVISION,
        created_by=actor.name[:253],
        created_at=at,
        updated_at=at,
    )
    try:
        with transaction.atomic():
            runbook.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(f"Runbook {runbook.name} exists already in namespace {runbook.namespace}") from error
    _add_version(runbook, before="", by=runbook.created_by, at=at)
    return runbook


def _change(runbook: Runbook, values: Mapping[str, Any], actor: Actor, at: datetime) -> list[str]:
    """Write what differs; returns the names of the changed columns."""
    changes = {
        column: value for column, value in values.items() if column in CHANGEABLE and getattr(runbook, column) != value
    }
    if not changes:
        return []
    before = documents.export(runbook)
    if "labels" in changes:
        changes["auto_generated"] = changes["labels"].get(AUTO_GENERATED) == "true"
    runbook.change(**changes, revision=_next_revision(runbook.revision), updated_by=actor.name[:253], updated_at=at)
    _add_version(runbook, before=before, by=runbook.updated_by, at=at)
    return sorted(changes.keys() & CHANGEABLE)


def _next_revision(revision: str) -> str:
    """RB-4: minor + 1, patch 0."""
    major, minor, _ = revision.split(".")
    return f"{major}.{int(minor) + 1}.0"


def _add_version(runbook: Runbook, *, before: str, by: str, at: datetime) -> None:
    after = documents.export(runbook)
    RunbookVersion.objects.create(
        runbook=runbook,
        revision=runbook.revision,
        updated_by=by,
        updated_at=at,
        diff=documents.diff(before, after) if before else "",
        document=after,
    )


def _refuse_renaming(runbook: Runbook, values: Mapping[str, Any]) -> None:
    reasons = {
        member: ["Cannot be changed."]
        for member in ("name", "namespace")
        if member in values and values[member] != getattr(runbook, member)
    }
    if reasons:
        raise Invalid("A runbook keeps its name and namespace", fields=reasons)


def _user_of(runbook: Runbook) -> str:
    """What uses the runbook, for people; empty when nothing does."""
    plan = RemediationPlan.objects.filter(runbook=runbook, state__in=RUNNING).values_list("name", flat=True).first()
    if plan:
        return f"plan {plan}"
    incidents = Incident.objects.filter(runbook=runbook.name, state__in=ACTIVE).values_list("name", flat=True)
    incident = incidents.first()
    return f"incident {incident}" if incident else ""


def _load_one(body: Mapping[str, Any], actor: Actor, at: datetime, covers: Callable[[str], bool]) -> str:
    """Returns the list of `Imported` that the document belongs to. Raises `Invalid`."""
    namespace, name = _key(body)
    existing = Runbook.objects.filter(namespace=namespace, name=name).first()
    values = definitions.read(body, merge=existing is not None)
    if not covers(namespace):
        raise Invalid("The key's scope does not cover that namespace")
    if existing is None:
        _insert(values, actor, at)
        return "created"
    return "updated" if _change(existing, values, actor, at) else "unchanged"


def _key(body: Mapping[str, Any]) -> tuple[str, str]:
    """Namespace and name as they would be stored; nonsense finds nothing and is refused by the validation."""
    namespace, name = body.get("namespace"), body.get("name")
    return (
        namespace.strip() if isinstance(namespace, str) else "default",
        name.strip() if isinstance(name, str) else "",
    )


def _reason(refusal: Invalid | Conflict) -> str:
    fields: Iterable[tuple[str, list[str]]] = getattr(refusal, "fields", {}).items()
    named = "; ".join(f"{path}: {reasons[0]}" for path, reasons in fields)
    return named or refusal.message


def _record(action: str, runbook: Runbook, actor: Actor, details: dict[str, Any]) -> Record:
    return Record(
        action,
        actor,
        "Runbook",
        runbook.name,
        namespace=runbook.namespace,
        event_type="config_changed",
        details=details,
    )
