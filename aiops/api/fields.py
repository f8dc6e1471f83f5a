"""Serializer fields with the contract's types: strict on the way in (CNT-7, CNT-8), canonical on the way out.

A declared camelCase name reads and fills the snake_case attribute by itself, see `aiops.api.serializers`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.core.validators import RegexValidator
from django.db.models import Choices
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.formats import format_age, format_duration, format_percent, parse_duration, parse_time

SLUG = RegexValidator(
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    "Must be lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit.",
)


def _fail_type(expected: str) -> serializers.ValidationError:
    article = "an" if expected[0] in "aeiou" else "a"
    return serializers.ValidationError(f"Must be {article} {expected}.", code="type")


class TextField(serializers.CharField):
    """Text, trimmed. A required one may not be blank, an optional one may."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_blank", not options.get("required", True) or "default" in options)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise _fail_type("string")
        return str(super().to_internal_value(data))

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            raise _fail_type("string")
        return super().run_validation(data)


class EnumField(serializers.ChoiceField):
    """One of an enumeration, spelled exactly. In OpenAPI it is a component with the name of `enum`."""

    def __init__(self, enum: type[Choices], **options: Any) -> None:
        self.enum = enum
        super().__init__(choices=enum.choices, **options)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            raise _fail_type("string")
        if data not in self.enum.values:
            self.fail("invalid_choice", input=data[:64])
        return data


class BooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise _fail_type("boolean")
        return data


class IntegerField(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)  # 5.0 is an integer in JSON
        if not isinstance(data, int) or isinstance(data, bool):
            raise _fail_type("integer")
        return data


class NumberField(serializers.FloatField):
    def to_internal_value(self, data: Any) -> float:
        if not isinstance(data, int | float) or isinstance(data, bool):
            raise _fail_type("number")
        return float(data)

    def to_representation(self, value: Any) -> Any:
        return None if value is None else float(value)


class TimeField(serializers.DateTimeField):
    """UTC with `Z`, whole seconds. The renderer writes datetimes so by itself."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise _fail_type("string")
        try:
            return parse_time(value.strip())
        except ValueError as error:
            raise serializers.ValidationError("Must be an RFC 3339 time.", code="invalid") from error

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "string", "examples": ["8m30s"], "description": "Duration in Go syntax"})
class DurationField(serializers.Field[timedelta, Any, str, Any]):
    """Go syntax in, canonical form out. `minimum` and `maximum` bound it, `minimum` exclusively."""

    def __init__(self, *, above: timedelta | None = None, maximum: timedelta | None = None, **options: Any) -> None:
        self.above, self.maximum = above, maximum
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> timedelta:
        if not isinstance(data, str):
            raise _fail_type("string")
        try:
            value = parse_duration(data.strip())
        except ValueError as error:
            raise serializers.ValidationError("Must be a duration such as 90m or 1h30m.", code="invalid") from error
        if self.above is not None and value <= self.above:
            raise serializers.ValidationError(f"Must be longer than {format_duration(self.above)}.", code="min_value")
        if self.maximum is not None and value > self.maximum:
            raise serializers.ValidationError(f"Must be at most {format_duration(self.maximum)}.", code="max_value")
        return value

    def to_representation(self, value: timedelta) -> str:
        return format_duration(value)


@extend_schema_field({"type": "string", "examples": ["25m"], "description": "Age: one unit, rounded down"})
class AgeField(serializers.Field[Any, Any, str, Any]):
    """Now (or the end, if the row has one) minus the start: `AgeField("detected_at", until="resolved_at")`."""

    def __init__(self, since: str, *, until: str | None = None, **options: Any) -> None:
        self.since, self.until = since, until
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: Any) -> str:
        return self.age_of(value, None)

    def age_of(self, row: Any, now: datetime | None) -> str:
        def read(name: str) -> Any:
            return row[name] if isinstance(row, Mapping) else getattr(row, name)

        end = (read(self.until) if self.until else None) or now or timezone.now()
        return format_age(end - read(self.since))


@extend_schema_field({"type": "string", "pattern": "^[0-9]{1,3}%$", "examples": ["32%"]})
class PercentStringField(serializers.Field[float, Any, str, Any]):
    def to_representation(self, value: float) -> str:
        return format_percent(value)


class ListField(serializers.ListField):
    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and data is not None and not isinstance(data, list):
            raise _fail_type("list")
        return super().run_validation(data)


class MapField(serializers.DictField):
    """An object from string to string: labels, annotations, params."""

    child = TextField(allow_blank=True, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise _fail_type("object")
        return dict(super().to_internal_value(data))


class JsonField(serializers.JSONField):
    """Any JSON value, passed through."""


class ObjectField(JsonField):
    """An object with members of any kind, passed through."""


class NameField(TextField):
    """A DNS-style slug (api.md 1.12)."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 253)
        super().__init__(**options)
        self.validators.append(SLUG)


@extend_schema_field({"type": ["string", "null"]})
class NullableText(serializers.Field[str, Any, str | None, Any]):
    """An empty text in the database is unknown: null in the API (NUL-1)."""

    def to_representation(self, value: str) -> str | None:
        return value or None
