# ruff: noqa: S608 - all SQL here is made of the names of our own tables and columns
"""The triggers that append to `Change`, and the first count of a table.

`install` runs after every migration and `remove` before, because SQLite rebuilds a table to change it and would trip over
triggers that name it. Where triggers are missing the table is counted anew, under the lock that creating them takes.
"""

from typing import Any

from django.db import connections, transaction

from aiops.tallies import services
from aiops.tallies.models import Change, Hour, Stamp, Tally
from aiops.tallies.sources import DIMENSIONS, Source, sources

PREFIX = "tallies_note"
INSERT, UPDATE, DELETE = "insert", "update", "delete"
CHANGE, TALLY, HOUR, STAMP = (model._meta.db_table for model in (Change, Tally, Hour, Stamp))
COLUMNS = ", ".join((*DIMENSIONS, "hour"))


def install(using: str) -> None:
    connection = connections[using]
    with transaction.atomic(using), connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        existing = _existing(using)
        for source in sources.values():
            if not {CHANGE, TALLY, HOUR, STAMP, source.table} <= tables:
                continue
            statements = _postgresql(source) if connection.vendor == "postgresql" else _sqlite(source)
            missing = set(statements) - existing
            for name in sorted(missing):
                for statement in statements[name]:
                    cursor.execute(statement)
            # an empty one may have been emptied by TRUNCATE, which no trigger sees
            if missing or _is_empty(source, cursor):
                _count(source, cursor, connection.vendor)
    # the count of a million rows is 200,000 lines, 19 ms for every reader until somebody folds them
    services.fold()


def remove(using: str) -> None:
    connection = connections[using]
    with connection.cursor() as cursor:
        for name in sorted(_existing(using)):
            if connection.vendor == "postgresql":
                cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = %s", [name])
                for (table,) in cursor.fetchall():
                    cursor.execute(f"DROP TRIGGER {name} ON {table}")
            else:
                cursor.execute(f"DROP TRIGGER {name}")


def recount(using: str) -> None:
    """Count all tables anew, after rows were written around the triggers. For the transaction that wrote them."""
    connection = connections[using]
    with transaction.atomic(using), connection.cursor() as cursor:
        for source in sources.values():
            _count(source, cursor, connection.vendor)


def _existing(using: str) -> set[str]:
    connection = connections[using]
    names = "SELECT tgname FROM pg_trigger WHERE tgname LIKE %s"
    if connection.vendor == "sqlite":
        names = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE %s"
    with connection.cursor() as cursor:
        cursor.execute(names, [f"{PREFIX}%"])
        return {name for (name,) in cursor.fetchall()}


def _is_empty(source: Source, cursor: Any) -> bool:
    cursor.execute(f"SELECT 1 FROM {source.table} LIMIT 1")
    return cursor.fetchone() is None


def _count(source: Source, cursor: Any, vendor: str) -> None:
    """Count the table anew. Its lines stay behind with nothing to add, so that the stamp differs from every one before."""
    if vendor == "postgresql":
        cursor.execute(f"LOCK TABLE {source.table} IN SHARE ROW EXCLUSIVE MODE")
    for table in (TALLY, HOUR):
        cursor.execute(f"DELETE FROM {table} WHERE source = %s", [source.model])
    cursor.execute(f"UPDATE {CHANGE} SET rows = 0 WHERE source = %s", [source.model])
    cursor.execute(_append(source, [f"SELECT {_cells(source, 'r', vendor)}, 1 AS one FROM {source.table} r"]))
    nothing = f"INSERT INTO {CHANGE} (source, rows, {COLUMNS}) VALUES (%s, 0, '', '', '', '', 0)"
    cursor.execute(nothing, [source.model])


def _cells(source: Source, row: str, vendor: str) -> str:
    cells = [
        f"COALESCE({row}.\"{source.columns[one]}\", '') AS {one}" if one in source.columns else f"'' AS {one}"
        for one in DIMENSIONS
    ]
    hour = "0"
    if source.time and vendor == "postgresql":
        hour = f'FLOOR(EXTRACT(EPOCH FROM {row}."{source.time}") / 3600)::int'
    elif source.time:
        hour = f"CAST(strftime('%s', {row}.\"{source.time}\") AS INTEGER) / 3600"
    return ", ".join((*cells, f"{hour} AS hour"))


def _append(source: Source, rows: list[str]) -> str:
    """One line for each combination of values, also where nothing is more or less: the stamp has to differ."""
    return (
        f"INSERT INTO {CHANGE} (source, rows, {COLUMNS}) SELECT '{source.model}', SUM(one), {COLUMNS} "
        f"FROM ({' UNION ALL '.join(rows)}) changed GROUP BY {COLUMNS}"
    )


# --- PostgreSQL: one trigger per statement, over its transition tables ------------------------------------------------------

REFERENCING = {
    INSERT: "NEW TABLE AS new_rows",
    UPDATE: "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    DELETE: "OLD TABLE AS old_rows",
}
TRANSITIONS = {INSERT: (("new_rows", 1),), UPDATE: (("new_rows", 1), ("old_rows", -1)), DELETE: (("old_rows", -1),)}


def _postgresql(source: Source) -> dict[str, list[str]]:
    statements = {}
    for event, transitions in TRANSITIONS.items():
        name = f"{PREFIX}_{source.table}_{event}"
        rows = [
            f"SELECT {_cells(source, 'r', 'postgresql')}, {one} AS one FROM {table} r" for table, one in transitions
        ]
        statements[name] = [
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\n"
            f"BEGIN\n{_append(source, rows)};\nRETURN NULL;\nEND $$",
            f"CREATE TRIGGER {name} AFTER {event.upper()} ON {source.table} REFERENCING {REFERENCING[event]} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        ]
    return statements


# --- SQLite: one trigger per row; writers take turns anyway ------------------------------------------------------------------

ROWS = {INSERT: (("NEW", 1),), UPDATE: (("NEW", 1), ("OLD", -1)), DELETE: (("OLD", -1),)}


def _sqlite(source: Source) -> dict[str, list[str]]:
    statements = {}
    for event, changed in ROWS.items():
        name = f"{PREFIX}_{source.table}_{event}"
        rows = [f"SELECT {_cells(source, row, 'sqlite')}, {one} AS one" for row, one in changed]
        statements[name] = [
            f"CREATE TRIGGER {name} AFTER {event.upper()} ON {source.table} FOR EACH ROW "
            f"BEGIN {_append(source, rows)}; END"
        ]
    return statements
