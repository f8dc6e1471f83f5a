"""The rows that tell a story, as text for the database: times in UTC, JSON as text, None for NULL."""

from collections.abc import Callable, Mapping
from datetime import date
from operator import itemgetter
from random import Random
from typing import Any

import orjson
from django.db import models
from django.db.models import Model
from django.db.models.fields import NOT_PROVIDED

Value = str | None
Pick = Callable[[Mapping[str, Value]], tuple[Value, ...]]
EPOCH_DAY = date(1970, 1, 1).toordinal()
CLOCK = [f"{hour:02d}:{minute:02d}:{second:02d}" for hour in range(24) for minute in range(60) for second in range(60)]


def as_json(value: Any) -> str:
    return orjson.dumps(value).decode()


class Clock:
    """Writes times; the days are remembered, since formatting millions of times takes longer than anything else here."""

    def __init__(self) -> None:
        self._days: dict[int, str] = {}

    def __call__(self, seconds: int) -> Value:
        """None for 0, which stands for "never"."""
        if not seconds:
            return None
        number, rest = divmod(seconds, 86_400)
        day = self._days.get(number)
        if day is None:
            day = self._days[number] = date.fromordinal(EPOCH_DAY + number).isoformat()
        return f"{day} {CLOCK[rest]}"


class Table:
    """The columns of a model and what stands in them when nothing is said, so that a new column needs no change here.

    A row is a line of PostgreSQL's COPY text format. Which values are given is the same for thousands of rows, so the rest of
    the line is prepared once.
    """

    def __init__(self, model: type[Model], *, with_id: bool = False) -> None:
        self.model = model
        fields = [one for one in model._meta.concrete_fields if with_id or not one.primary_key]
        self.columns = [str(one.column) for one in fields]
        self._defaults = [(one.attname, _default(one)) for one in fields]
        self._prepared: dict[tuple[str, ...], tuple[str, Pick]] = {}

    def line(self, values: Mapping[str, Value]) -> str:
        names = tuple(values)
        prepared = self._prepared.get(names)
        if prepared is None:
            prepared = self._prepared[names] = self._prepare(names)
        form, in_order = prepared
        row = in_order(values)
        return form % (tuple(["\\N" if value is None else value for value in row]) if None in row else row)

    def _prepare(self, names: tuple[str, ...]) -> tuple[str, Pick]:
        given = [name for name, _ in self._defaults if name in names]
        assert len(given) == len(names), f"{self.model.__name__} has not all of {names}"
        cells = ["%s" if name in names else _text(default).replace("%", "%%") for name, default in self._defaults]
        return "\t".join(cells) + "\n", itemgetter(*given)


def _text(value: Value) -> str:
    return "\\N" if value is None else value


def _default(field: Any) -> Value:
    if field.default is NOT_PROVIDED:
        return None if field.null else ""
    value = field.get_default()
    if value is None:
        return None
    if isinstance(field, models.JSONField):
        return as_json(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def uid(random: Random) -> str:
    """A random (version 4) UUID, 32 hexadecimal digits."""
    bits = random.getrandbits(128)
    bits = bits & ~(0xF << 76) | (0x4 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    return f"{bits:032x}"
