"""The rows that tell a story, as text for the database: times in UTC, JSON as text, None for NULL."""

from collections.abc import Mapping
from datetime import date
from random import Random
from typing import Any

import orjson
from django.db import models
from django.db.models import Model
from django.db.models.fields import NOT_PROVIDED

Value = str | None
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
    """The columns of a model and what stands in them when nothing is said, so that a new column needs no change here."""

    def __init__(self, model: type[Model], *, with_id: bool = False) -> None:
        self.model = model
        fields = [one for one in model._meta.concrete_fields if with_id or not one.primary_key]
        self.names = [one.attname for one in fields]
        self.columns = [one.column for one in fields]
        self._defaults = [(one.attname, _default(one)) for one in fields]

    def row(self, values: Mapping[str, Value]) -> list[Value]:
        known = values.get
        return [known(name, default) for name, default in self._defaults]


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
