"""The one guarded way in which a state changes."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Protocol, cast

from django.db import connection, models

from aiops import bulk
from aiops.errors import InvalidTransition, LostRace
from aiops.statements import execute


class Versioned(Protocol):
    pk: Any
    version: int
    state: str


def change(row: models.Model, *, beside: models.Model | None = None, **changes: Any) -> None:
    """Write `changes` if nobody wrote the row since we read it. Raises `LostRace` otherwise.

    The UPDATE names the version it read, so of two racing callers exactly one wins (and If-Match is free).
    `QuerySet.update` skips `auto_now`, so timestamps travel as arguments. `beside` is a new row that tells of the change: it is
    stored with it or not at all, on PostgreSQL in the same round trip; it gets no key here.
    """
    versioned = cast(Versioned, row)
    changes["version"] = versioned.version + 1
    sql, fields = _compare_and_set(type(row), tuple(changes))
    values = [_stored(field, value) for field, value in zip(fields, changes.values(), strict=True)]
    parameters = [*values, row.pk, versioned.version]
    is_written = _written_with(beside, sql, parameters) if beside is not None else execute(sql, parameters)
    if not is_written:
        raise LostRace(f"{row} changed meanwhile", "Read it again and repeat the request.")
    for field, value in changes.items():
        setattr(row, field, value)


def _written_with(beside: models.Model, sql: str, parameters: list[Any]) -> bool:
    model = type(beside)
    if connection.vendor == "postgresql":
        text = f"WITH changed AS ({sql} RETURNING 1) {bulk.insertion(model)}, changed"
        return bool(execute(text, [*parameters, bulk.document([beside], bulk.stored(model))]))
    is_written = bool(execute(sql, parameters))
    if is_written:
        bulk.create([beside])
    return is_written


@lru_cache(maxsize=512)
def _compare_and_set(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, list[Any]]:
    """The UPDATE and its fields. The ORM would compile it anew every time."""
    quote = connection.ops.quote_name
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    assigned = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    key = quote(cast(Any, model._meta.pk).column)
    table = quote(model._meta.db_table)
    sql = f"UPDATE {table} SET {assigned} WHERE {key} = %s AND version = %s"  # noqa: S608 - names of our own columns
    return sql, fields


def _stored(field: Any, value: Any) -> Any:
    if isinstance(value, models.Model):
        value = value.pk
    return field.get_db_prep_save(value, connection)


def transition(row: models.Model, to: str, *, allowed: Mapping[str, Collection[str]], **changes: Any) -> str:
    """Move `row` to the state `to`; returns the state it had.

    Raises `InvalidTransition` when the table of legal moves does not know the move, `LostRace` as `change` does.
    """
    was: str = cast(Versioned, row).state
    if to not in allowed[was]:
        raise InvalidTransition(f"{row} cannot go from {was} to {to}")
    change(row, state=to, **changes)
    return was
