"""The one guarded way in which a state changes."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast

from django.db import models

from aiops.errors import InvalidTransition, LostRace


class Versioned(Protocol):
    pk: Any
    version: int
    state: str


def change(row: models.Model, **changes: Any) -> None:
    """Write `changes` if nobody wrote the row since we read it. Raises `LostRace` otherwise.

    The UPDATE names the version it read, so of two racing callers exactly one wins (and If-Match is free).
    `QuerySet.update` skips `auto_now`, so timestamps travel as arguments.
    """
    versioned = cast(Versioned, row)
    changes["version"] = versioned.version + 1
    if not type(row)._default_manager.filter(pk=row.pk, version=versioned.version).update(**changes):
        raise LostRace(f"{row} changed meanwhile", "Read it again and repeat the request.")
    for field, value in changes.items():
        setattr(row, field, value)


def transition(row: models.Model, to: str, *, allowed: Mapping[str, Collection[str]], **changes: Any) -> str:
    """Move `row` to the state `to`; returns the state it had.

    Raises `InvalidTransition` when the table of legal moves does not know the move, `LostRace` as `change` does.
    """
    was: str = cast(Versioned, row).state
    if to not in allowed[was]:
        raise InvalidTransition(f"{row} cannot go from {was} to {to}")
    change(row, state=to, **changes)
    return was
