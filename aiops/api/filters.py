"""Query filters on django-filter, with the contract's rules (api.md 1.10): AND, empty = absent, 400 with `fields`.

@time_bounds("detected_at")
class IncidentFilter(FilterSet):
    severity = EnumFilter(Severity)
    namespace = TextFilter()
    resource = ResourceFilter("resource_kind", "resource_name")
"""

from collections.abc import Callable, Hashable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

import django_filters
from django import forms
from django.db.models import Choices, Model, QuerySet

from aiops.api.exceptions import BadRequest
from aiops.api.formats import parse_time
from aiops.statements import Slot

REMEMBERED_LENGTH = 1_000  # characters of the values of filters that are remembered
SECOND = timedelta(seconds=1)
LAST = datetime.max.replace(tzinfo=UTC)
LATEST = LAST.replace(microsecond=0)
LOWER, UPPER = ("since", "from"), ("until", "to")  # synonyms; of two the narrower counts
TRUE, FALSE = {"true", "1"}, {"false", "0"}

F = TypeVar("F", bound=type["FilterSet"])
Narrow = Callable[[QuerySet[Any]], QuerySet[Any]]


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter as a part of a `Statement`: `shape` is what the SQL depends on, `values` is what comes with each request.

    `narrow` puts a `Slot` of the same name wherever a value belongs. `column` is set where a row fits if that column has one of
    the values, and for no other reason.
    """

    shape: Hashable
    values: Mapping[str, Any]
    narrow: Narrow
    column: str = ""


class EnumFormField(forms.Field):
    def __init__(self, *, values: Mapping[str, Any], **options: Any) -> None:
        self.values = values
        super().__init__(**options)

    def clean(self, value: Any) -> Any:
        if not value:
            return None
        if value.lower() not in self.values:
            raise forms.ValidationError(f"Must be one of: {', '.join(self.values)}.")
        return self.values[value.lower()]


class EnumFilter(django_filters.Filter):  # type: ignore[misc]
    """Any case in, the canonical value in the query. `values` narrows or extends the choices of `enum`."""

    field_class = EnumFormField

    def __init__(self, enum: type[Choices], field_name: str | None = None, **options: Any) -> None:
        self.enum = enum
        super().__init__(field_name, values={str(value).lower(): value for value in enum.values}, **options)


class TextFilter(django_filters.CharFilter):  # type: ignore[misc]
    """Exact and case-sensitive; not trimmed, because names are opaque."""

    def __init__(self, field_name: str | None = None, **options: Any) -> None:
        super().__init__(field_name, strip=False, **options)


class BooleanFormField(forms.Field):
    def clean(self, value: Any) -> bool | None:
        if not value:
            return None
        if value.lower() not in TRUE | FALSE:
            raise forms.ValidationError("Must be true or false.")
        return value.lower() in TRUE


class BooleanFilter(django_filters.Filter):  # type: ignore[misc]
    field_class = BooleanFormField


class IntegerFilter(django_filters.NumberFilter):  # type: ignore[misc]
    field_class = forms.IntegerField


class TimeFormField(forms.Field):
    def clean(self, value: Any) -> datetime | None:
        if not value:
            return None
        try:
            return parse_time(value)
        except ValueError as error:
            raise forms.ValidationError("Must be an RFC 3339 time or a date.") from error


class TimeFilter(django_filters.Filter):  # type: ignore[misc]
    """A bound on a time, inclusive at whole seconds as times are shown (X9.11)."""

    field_class = TimeFormField

    def __init__(self, field_name: str, *, upper: bool, **options: Any) -> None:
        self.upper = upper
        super().__init__(field_name, **options)

    def filter(self, qs: QuerySet[Any], value: datetime | None) -> QuerySet[Any]:
        condition = self.condition(value)
        return qs if condition is None else qs.filter(**{condition[0]: condition[1]})

    def condition(self, value: datetime | None) -> tuple[str, datetime] | None:
        """Lookup and bound; None where every time fits."""
        if value is None:
            return None
        whole = value.replace(microsecond=0)
        # shown <= bound  is  time < the second after the bound;  shown >= bound  is  time >= the bound rounded up
        if self.upper:
            return (f"{self.field_name}__lt", whole + SECOND) if whole < LATEST else None
        if whole == value:
            return f"{self.field_name}__gte", whole
        return (f"{self.field_name}__gte", whole + SECOND) if whole < LATEST else (f"{self.field_name}__gt", LAST)


class ResourceFilter(django_filters.CharFilter):  # type: ignore[misc]
    """`Kind/name`, the kind in any case; without a slash the name in any kind (FLT-6)."""

    def __init__(self, kind: str, name: str, **options: Any) -> None:
        self.kind_column, self.name_column = kind, name
        super().__init__(name, strip=False, **options)

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        kind, slash, name = value.partition("/")
        if not slash:
            return qs.filter(**{self.name_column: value})
        return qs.filter(**{f"{self.kind_column}__iexact": kind, self.name_column: name})


class FilterSet(django_filters.FilterSet):  # type: ignore[misc]
    """Only the filters that the query names are built, so a plain list costs nothing here."""

    def __init__(self, data: Any = None, queryset: Any = None, *, request: Any = None, prefix: Any = None) -> None:
        self.is_bound = True
        self.data = data
        self.queryset = queryset
        self.request = request
        self.form_prefix = prefix
        self.filters = {name: deepcopy(one) for name, one in self.base_filters.items() if data.get(name)}
        for one in self.filters.values():
            one.model, one.parent = queryset.model, self

    @classmethod
    def apply(cls, query: Mapping[str, Any], rows: QuerySet[Any]) -> QuerySet[Any]:
        """The filtered rows. Raises `BadRequest` naming every offending parameter."""
        found = cls(query, rows)
        if not found.filters:
            return rows
        found.values()
        filtered: QuerySet[Any] = found.filter_queryset(rows)
        return filtered

    @classmethod
    def read(cls, query: Mapping[str, Any], rows: QuerySet[Any]) -> dict[str, Any]:
        """The values of the filters that the query names. Raises `BadRequest` as `apply` does."""
        return cls(query, rows).values()

    @classmethod
    def conditions(cls, query: Mapping[str, Any], rows: QuerySet[Any]) -> list[Condition] | None:
        """The same as parts of a statement; None when a filter does not know how. Raises `BadRequest` as `apply` does."""
        asked = tuple((name, value) for name in cls.base_filters if (value := query.get(name)))
        if not asked:
            return []
        if sum(len(value) for _, value in asked) > REMEMBERED_LENGTH:
            return _conditions(cls, rows.model, asked)
        found: list[Condition] | None = _remembered(cls, rows.model, asked)
        return found

    def values(self) -> dict[str, Any]:
        if not self.form.is_valid():
            reasons = {name: [str(reason) for reason in errors] for name, errors in self.form.errors.items()}
            raise BadRequest("The query parameters are not valid", reasons)
        refuse_reversed(self.form.cleaned_data)
        return dict(self.form.cleaned_data)


def _conditions(
    filterset: type[FilterSet], model: type[Model], asked: tuple[tuple[str, str], ...]
) -> list[Condition] | None:
    found = filterset(dict(asked), model._default_manager.none())
    cleaned = found.values()
    conditions = []
    for name, one in found.filters.items():
        condition = condition_of(name, one, cleaned[name])
        if condition is None:
            return None
        conditions.append(condition)
    return conditions


# dashboards ask for the same again and again; Django builds a form and its fields each time
_remembered: Any = lru_cache(maxsize=2_000)(_conditions)


def condition_of(name: str, one: Any, value: Any) -> Condition | None:
    """A filter that only compares a column takes a `Slot` as it takes a value. One that computes is asked, or not known here."""
    if isinstance(one, TimeFilter):
        bound = one.condition(value)
        if bound is None:
            return Condition((name, None), {}, lambda rows: rows)
        lookup, moment = bound
        return Condition((name, lookup), {name: moment}, lambda rows: rows.filter(**{lookup: Slot(name)}))
    if isinstance(one, BooleanFilter):
        return Condition((name, value), {}, lambda rows: one.filter(rows, value))
    if type(one) in (EnumFilter, TextFilter, IntegerFilter):
        return Condition(name, {name: value}, lambda rows: one.filter(rows, Slot(name)), one.field_name)
    if isinstance(one, ResourceFilter) and "/" not in value:
        return Condition(name, {name: value}, lambda rows: rows.filter(**{one.name_column: Slot(name)}))
    return None


def refuse_reversed(bounds: Mapping[str, Any]) -> None:
    """Raises `BadRequest` when the lower bound lies after the upper one (FLT-7)."""
    lower = {name: bounds[name] for name in LOWER if bounds.get(name)}
    upper = {name: bounds[name] for name in UPPER if bounds.get(name)}
    if lower and upper and max(lower.values()) > min(upper.values()):
        reason = ["The lower bound lies after the upper one."]
        raise BadRequest("The time range is reversed", dict.fromkeys((*lower, *upper), reason))


def time_bounds(column: str) -> Callable[[F], F]:
    """Give a filter set `since`/`from` and `until`/`to` on a column (`from` is no Python name, hence a decorator)."""

    def decorate(filterset: F) -> F:
        for names, upper in ((LOWER, False), (UPPER, True)):
            for name in names:
                filterset.base_filters[name] = filterset.declared_filters[name] = TimeFilter(column, upper=upper)
        return filterset

    return decorate
