# ruff: noqa: S608 - all SQL here is made of the names of our own tables and columns
"""Folding: the lines of `Change` become parts of the sums. Nobody who reads sees a difference."""

from django.db import connection, transaction

from aiops.tallies.models import Change, Hour, Stamp, Tally
from aiops.tallies.sources import DIMENSIONS

CHANGE, TALLY, HOUR, STAMP = (model._meta.db_table for model in (Change, Tally, Hour, Stamp))
BATCH = 50_000  # lines folded in one transaction
BATCHES = 100  # in one run
MANY = 500  # folded lines leave so many dead ones that readers would wade through them until autovacuum comes
LOCK = 0x7A11  # PostgreSQL's advisory lock of whoever folds
CELLS = ", ".join(DIMENSIONS)

INTO = (
    f"INSERT INTO {TALLY} (source, {CELLS}, rows) SELECT source, {CELLS}, SUM(rows) FROM %(lines)s "
    f"GROUP BY source, {CELLS} ON CONFLICT (source, {CELLS}) DO UPDATE SET rows = {TALLY}.rows + excluded.rows",
    f"INSERT INTO {HOUR} (source, hour, rows) SELECT source, hour, SUM(rows) FROM %(lines)s "
    f"GROUP BY source, hour ON CONFLICT (source, hour) DO UPDATE SET rows = {HOUR}.rows + excluded.rows",
    f"INSERT INTO {STAMP} (source, folded) SELECT source, SUM(id) FROM %(lines)s "
    f"GROUP BY source ON CONFLICT (source) DO UPDATE SET folded = {STAMP}.folded + excluded.folded",
)


def fold() -> int:
    """Fold what there is; returns the number of lines. Nothing happens while another process folds."""
    folded = 0
    for _ in range(BATCHES):
        with transaction.atomic():
            number = _fold_postgresql() if connection.vendor == "postgresql" else _fold_sqlite()
        folded += number
        if number < BATCH:
            break
    if folded >= MANY and connection.vendor == "postgresql" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM {CHANGE}")
    return folded


def _fold_postgresql() -> int:
    # one statement: lines that others commit meanwhile are neither summed nor removed
    lines = (
        f"gone AS (DELETE FROM {CHANGE} WHERE id IN (SELECT id FROM {CHANGE} ORDER BY id LIMIT {BATCH}) RETURNING *)"
    )
    parts = [f"part_{number} AS ({one % {'lines': 'gone'}})" for number, one in enumerate(INTO)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(f"WITH {', '.join((lines, *parts))} SELECT COUNT(*) FROM gone")
        return int(cursor.fetchone()[0])


def _fold_sqlite() -> int:
    # the transaction has the write lock since it began (settings: IMMEDIATE)
    lines = f"(SELECT * FROM {CHANGE} ORDER BY id LIMIT {BATCH}) WHERE true"
    with connection.cursor() as cursor:
        for one in INTO:
            cursor.execute(one % {"lines": lines})
        cursor.execute(f"DELETE FROM {CHANGE} WHERE id IN (SELECT id FROM {CHANGE} ORDER BY id LIMIT {BATCH})")
        return int(cursor.rowcount)
