# ruff: noqa: S608 - all SQL here is made of the names of our own tables, columns and families
"""Database triggers that note which hours of the roll-ups a change makes outdated, in the transaction of the change.

A trigger sees every change whoever makes it: services, `QuerySet.update`, the console, a bulk load, a hand at the SQL prompt.
So nothing can be missed, and a roll-up that is not noted here is known to be right. Both databases only append to the
queue: no change ever waits for another one because of it.

`install` runs after every migration and `remove` before (apps.py): SQLite rebuilds a table to change it and would trip over
triggers that name it, PostgreSQL refuses to change a column that a trigger watches. Where nothing of that is planned PostgreSQL
keeps them, so that a million incidents need not be counted again after each update.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from django.db import connections
from django.db.migrations import AlterField, Migration, RemoveField, RenameField
from django.db.models import Model

from aiops.audit.models import AuditEvent
from aiops.llm.models import LLMCall
from analytics.models import OutdatedHour
from incidents.models import AIInsight, Anomaly, Incident, PostMortem
from runbooks.models import ApprovalRequest, PlanStep, RemediationPlan
from slos.models import SLAClock

QUEUE = OutdatedHour._meta.db_table
PREFIX = "analytics_outdate"
INSERT, UPDATE, DELETE = "insert", "update", "delete"
ALWAYS = (INSERT, UPDATE, DELETE)


@dataclass(frozen=True, slots=True)
class Note:
    """A change of `table` outdates the hour of `time` in `families`.

    `via`: (table, column of the changed row that points to it) where the time is that of another row; (table, None) where
    it is that of the rows that point to the changed one. `by`: the column of the other table that is pointed to. `watched`
    restricts updates to those that change a column of it.
    """

    table: str
    families: tuple[str, ...]
    time: str
    via: tuple[str, str | None] | None = None
    events: tuple[str, ...] = ALWAYS
    watched: tuple[str, ...] = ()
    by: str = "id"


def _table(model: type[Model]) -> str:
    return model._meta.db_table


INCIDENT, PLAN = _table(Incident), _table(RemediationPlan)
OF_ITS_INCIDENT = (INCIDENT, "incident_id")
KEYS = ("severity", "cluster_name")  # dimensions that plans, approvals and postmortems take from their incident
NOTES = (
    Note(INCIDENT, ("incident", "workload"), "detected_at"),
    Note(PLAN, ("plan",), "created_at"),
    Note(PLAN, ("incident", "workload"), "detected_at", via=OF_ITS_INCIDENT, watched=("state", "incident_id")),
    Note(_table(PlanStep), ("plan",), "created_at", via=(PLAN, "plan_id"), watched=("action_type", "plan_id", "index")),
    Note(_table(ApprovalRequest), ("approval",), "created_at"),
    Note(_table(ApprovalRequest), ("incident",), "detected_at", via=OF_ITS_INCIDENT),
    Note(_table(PostMortem), ("postmortem",), "created_at"),
    Note(_table(AuditEvent), ("audit",), "at", events=(INSERT,)),  # append-only
    Note(_table(SLAClock), ("incident",), "detected_at", via=OF_ITS_INCIDENT, watched=("state", "breached_at", "kind")),
    Note(_table(AIInsight), ("incident",), "detected_at", via=OF_ITS_INCIDENT, watched=("generated_at", "incident_id")),
    Note(_table(Anomaly), ("incident", "workload"), "detected_at", via=OF_ITS_INCIDENT, watched=("incident_id",)),
    Note(_table(LLMCall), ("llm",), "at"),
    Note(_table(LLMCall), ("incident",), "detected_at", via=(INCIDENT, "subject"), by="name"),
    *(
        Note(INCIDENT, (family,), "created_at", via=(_table(model), None), events=(UPDATE,), watched=KEYS)
        for family, model in (("plan", RemediationPlan), ("approval", ApprovalRequest), ("postmortem", PostMortem))
    ),
)


def install(using: str) -> None:
    """Create what is missing, drop what is no longer wanted. Where triggers were missing, changes may be too: every hour counts
    as outdated then.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        statements = _postgresql() if connection.vendor == "postgresql" else _sqlite()
        existing = _existing(using)
        missing = set(statements) - existing
        tables = {note.table for note in NOTES} | {QUEUE}
        if not missing or not tables <= set(connection.introspection.table_names(cursor)):
            return
        _drop(using, existing - set(statements))
        for name in sorted(missing):
            for statement in statements[name]:
                cursor.execute(statement)
        for note in NOTES:
            if note.via is None:
                cursor.execute(_everything(note, connection.vendor))


def remove(using: str, plan: Iterable[tuple[Migration, bool]]) -> None:
    """Make way for the migrations of `plan`."""
    if connections[using].vendor == "sqlite" or any(_changes_columns(migration) for migration, _ in plan):
        _drop(using, _existing(using))


def _changes_columns(migration: Migration) -> bool:
    """Whether it changes columns of tables that have triggers; new ones are no matter."""
    tables = {note.table for note in NOTES}
    changes = AlterField | RemoveField | RenameField
    return any(
        isinstance(one, changes) and f"{migration.app_label}_{one.model_name_lower}" in tables
        for one in migration.operations
    )


def _drop(using: str, names: set[str]) -> None:
    connection = connections[using]
    with connection.cursor() as cursor:
        for name in sorted(names):
            if connection.vendor == "postgresql":
                cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = %s", [name])
                for (table,) in cursor.fetchall():
                    cursor.execute(f"DROP TRIGGER {name} ON {table}")
                cursor.execute(f"DROP FUNCTION {name}()")
            else:
                cursor.execute(f"DROP TRIGGER {name}")


def _name(number: int, event: str, definition: str) -> str:
    """Names its definition, so that one that changes is another one."""
    return f"{PREFIX}_{number}_{event}_{sha256(definition.encode()).hexdigest()[:8]}"


def _existing(using: str) -> set[str]:
    connection = connections[using]
    names = "SELECT tgname FROM pg_trigger WHERE tgname LIKE %s"
    if connection.vendor == "sqlite":
        names = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE %s"
    with connection.cursor() as cursor:
        cursor.execute(names, [f"{PREFIX}%"])
        return {name for (name,) in cursor.fetchall()}


def _hour(column: str, vendor: str) -> str:
    if vendor == "postgresql":
        return f"(FLOOR(EXTRACT(EPOCH FROM {column}))::bigint / 3600)::int"
    return f"CAST(strftime('%s', {column}) AS INTEGER) / 3600"


def _everything(note: Note, vendor: str) -> str:
    return _append(note.families, f"SELECT DISTINCT {_hour(note.time, vendor)} AS hour FROM {note.table}")


def _append(families: tuple[str, ...], hours: str) -> str:
    """Append every hour that the query `hours` finds, for each family."""
    return " UNION ALL ".join(
        f"{'' if position else f'INSERT INTO {QUEUE} (family, hour) '}"
        f"SELECT '{family}', found.hour FROM ({hours}) found"
        for position, family in enumerate(families)
    )


def _hours(note: Note, changed: str, source: str, vendor: str) -> str:
    """The query for the hours that the changed rows outdate; `changed` names one of them, `source` is where they come from."""
    if note.via is None:
        return f"SELECT DISTINCT {_hour(f'{changed}.{note.time}', vendor)} AS hour{source and f' FROM {source}'}"
    table, key = note.via
    on = f"other.{note.by} = {changed}.{key}" if key else f"other.incident_id = {changed}.id"
    tables = f"{source} JOIN {table} other ON {on}" if source else f"{table} other WHERE {on}"
    return f"SELECT DISTINCT {_hour(f'other.{note.time}', vendor)} AS hour FROM {tables}"


# --- PostgreSQL: one trigger per statement, over its transition tables; per row where only some columns matter ---------------

REFERENCING = {
    INSERT: "NEW TABLE AS new_rows",
    UPDATE: "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    DELETE: "OLD TABLE AS old_rows",
}
TRANSITIONS = {INSERT: ("new_rows",), UPDATE: ("new_rows", "old_rows"), DELETE: ("old_rows",)}
ROWS = {INSERT: ("NEW",), UPDATE: ("NEW", "OLD"), DELETE: ("OLD",)}


def _postgresql() -> dict[str, list[str]]:
    statements = {}
    for number, note in enumerate(NOTES):
        for event in note.events:
            if event == UPDATE and note.watched:
                queries = [_hours(note, row, "", "postgresql") for row in ROWS[event]]
                of = ", ".join(f'"{column}"' for column in note.watched)
                differs = " OR ".join(f'OLD."{one}" IS DISTINCT FROM NEW."{one}"' for one in note.watched)
                when = f"UPDATE OF {of} ON {note.table} FOR EACH ROW WHEN ({differs})"
            else:
                queries = [_hours(note, "changed", f"{rows} changed", "postgresql") for rows in TRANSITIONS[event]]
                when = f"{event.upper()} ON {note.table} REFERENCING {REFERENCING[event]} FOR EACH STATEMENT"
            body = "\n".join(f"{_append(note.families, query)};" for query in queries)
            name = _name(number, event, f"{when}\n{body}")
            statements[name] = [
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\n"
                f"BEGIN\n{body}\nRETURN NULL;\nEND $$",
                f"CREATE TRIGGER {name} AFTER {when} EXECUTE FUNCTION {name}()",
            ]
    return statements


# --- SQLite: one trigger per row; writers take turns, so looking first whether the hour is noted already is safe -------------


def _sqlite() -> dict[str, list[str]]:
    statements = {}
    for number, note in enumerate(NOTES):
        for event in note.events:
            body = " ".join(
                f"{_append((family,), _hours(note, row, '', 'sqlite'))} WHERE NOT EXISTS "
                f"(SELECT 1 FROM {QUEUE} q WHERE q.family = '{family}' AND q.hour = found.hour);"
                for row in ROWS[event]
                for family in note.families
            )
            of = ", ".join(f'"{column}"' for column in note.watched) if event == UPDATE else ""
            when = f"{event.upper()}{of and f' OF {of}'} ON {note.table}"
            name = _name(number, event, f"{when} {body}")
            statements[name] = [f"CREATE TRIGGER {name} AFTER {when} FOR EACH ROW BEGIN {body} END"]
    return statements
