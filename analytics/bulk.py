"""Inserts many rows at once: COPY on PostgreSQL, which takes a quarter of the time of INSERT, batches elsewhere."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from django.db import connection, models

BATCH = 5_000


def insert(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Insert `rows` of values for the fields `names`; returns how many. Values are what the database driver takes.

    JSON values are given as text. Nothing is validated and no signal is sent.
    """
    by_name = {field.name: str(field.column) for field in model._meta.concrete_fields}
    columns = [by_name[name] for name in names]
    quoted = ", ".join(map(connection.ops.quote_name, columns))
    table = connection.ops.quote_name(model._meta.db_table)
    if connection.vendor == "postgresql":
        return _copy(f"COPY {table} ({quoted}) FROM STDIN", rows)
    marks = ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO {table} ({quoted}) VALUES ({marks})"  # noqa: S608 - names of our own columns
    total, rest = 0, iter(rows)
    with connection.cursor() as cursor:
        while batch := list(islice(rest, BATCH)):
            cursor.executemany(statement, batch)
            total += len(batch)
    return total


def _copy(statement: str, rows: Iterable[Sequence[Any]]) -> int:
    total = 0
    with connection.cursor() as cursor, cursor.cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            total += 1
    return total


def insert_lines(model: type[models.Model], columns: Sequence[str], lines: Sequence[str]) -> None:
    """Insert rows that are lines of PostgreSQL's COPY text format without escapes: no value holds a tab, line break or
    backslash, except `\\N` for NULL. SQLite turns the texts into what the columns hold.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    quoted = ", ".join(map(connection.ops.quote_name, columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.cursor.copy(f"COPY {table} ({quoted}) FROM STDIN") as copy:
                for first in range(0, len(lines), BATCH):
                    copy.write("".join(lines[first : first + BATCH]))
            return
        marks = ", ".join(["%s"] * len(columns))
        rows = ([None if value == "\\N" else value for value in line[:-1].split("\t")] for line in lines)
        cursor.executemany(f"INSERT INTO {table} ({quoted}) VALUES ({marks})", list(rows))  # noqa: S608 - our own names
