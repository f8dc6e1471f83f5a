"""Which rows a list shows, as constant SQL where that is possible (`aiops.statements`) and by the ORM where it is not."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from aiops.api.filters import Condition
from aiops.api.pagination import Page, total_of
from aiops.apikeys.scopes import Scope
from aiops.statements import Shapes, Slot, Unmappable

shapes = Shapes()


def equals(column: str, value: Any) -> Condition:
    return Condition((column,), {column: value}, lambda rows: rows.filter(**{column: Slot(column)}))


def scope_conditions(scope: Scope, *, namespace: str | None, cluster: str | None) -> list[Condition]:
    """The scope of a key as conditions: one for each side that it narrows. The number of places is a part of the shape."""
    sides = ((namespace, scope.namespaces), (cluster, scope.clusters))
    return [_within(column, sorted(allowed)) for column, allowed in sides if column is not None and allowed is not None]


def _within(column: str, allowed: Sequence[str]) -> Condition:
    values = {f"{column} {number}": one for number, one in enumerate(allowed)}
    slots = [Slot(name) for name in values]
    return Condition((column, len(allowed)), values, lambda rows: rows.filter(**{f"{column}__in": slots}))


@dataclass(frozen=True, slots=True)
class Asked:
    """The rows of one request. `plain` is the same as an ordinary query set, for what cannot be constant SQL."""

    owner: type  # of the shape: the view
    rows: QuerySet[Any]  # before any condition
    plain: Callable[[], QuerySet[Any]]
    conditions: Sequence[Condition] | None

    @property
    def shape(self) -> tuple[Any, ...]:
        return (self.owner, *(one.shape for one in self.conditions or ()))

    @property
    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in self.conditions or ():
            found.update(one.values)
        return found

    def _narrowed(self) -> QuerySet[Any]:
        rows = self.rows.all()
        for one in self.conditions or ():
            rows = one.narrow(rows)
        return rows

    def count(self) -> int:
        """Exact, without the ordering and the joins that only a page needs."""
        if self.conditions is None:
            return total_of(self.plain())
        statement = shapes.statement(
            (*self.shape, "count"),
            lambda: self._narrowed().order_by().select_related(None).prefetch_related(None).values("pk"),
            around="SELECT COUNT(*) FROM ({}) counted",
        )
        try:
            return int(statement.rows(**self.values)[0][0])
        except Unmappable:
            return total_of(self.plain())

    def page(
        self, page: Page, total: int, *, ordering: Sequence[Any], columns: Sequence[str], raw: Iterable[str]
    ) -> Iterable[Any]:
        """The rows of a page: dicts of `columns`, or instances when there are none. Past the end nothing is asked."""
        if page.offset >= total:
            return []

        def build() -> QuerySet[Any]:
            rows = self._narrowed().order_by(*ordering)
            return (rows.values(*columns) if columns else rows)[: page.size]

        if self.conditions is not None:
            shape = (*self.shape, page.size, page.offset > 0)
            # the limit stands in the SQL, so that PostgreSQL plans for a page; the offset is a value
            around = "{} OFFSET %s" if page.offset else "{}"
            statement = shapes.statement(shape, build, raw=raw, around=around, more=("offset",) if page.offset else ())
            try:
                return statement.all(**self.values, **({"offset": page.offset} if page.offset else {}))
            except Unmappable:
                pass
        rows = page.of_rows(self.plain().order_by(*ordering), total)
        return rows.values(*columns) if columns else rows
