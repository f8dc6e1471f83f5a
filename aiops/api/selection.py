"""Which rows a list shows, as constant SQL where that is possible (`aiops.statements`) and by the ORM where it is not."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from aiops.api.filters import Condition
from aiops.api.pagination import Page, total_of
from aiops.apikeys.scopes import Scope
from aiops.statements import Shapes, Slot, Unmappable
from aiops.tallies import reading
from aiops.tallies.sources import Source, sources

FAR = 1_000  # rows before a page that is looked up by its keys

shapes = Shapes()


def equals(column: str, value: Any) -> Condition:
    return Condition((column,), {column: value}, lambda rows: rows.filter(**{column: Slot(column)}), column)


def scope_conditions(scope: Scope, *, namespace: str | None, cluster: str | None) -> list[Condition]:
    """The scope of a key as conditions: one for each side that it narrows."""
    sides = ((namespace, scope.namespaces), (cluster, scope.clusters))
    return [within(column, sorted(allowed)) for column, allowed in sides if column is not None and allowed is not None]


def within(column: str, allowed: Sequence[str]) -> Condition:
    """One of several values. Their number is a part of the shape."""
    values = {f"{column} {number}": one for number, one in enumerate(allowed)}
    slots = [Slot(name) for name in values]
    return Condition((column, len(allowed)), values, lambda rows: rows.filter(**{f"{column}__in": slots}), column)


@dataclass(frozen=True, slots=True)
class Columns:
    """How the rows of a list are read: as instances when `names` is empty. `raw` are JSON columns nobody looks into."""

    ordering: Sequence[Any]
    names: Sequence[str]
    raw: Sequence[str]
    key: str = ""  # a unique column that the indexes of the list hold


@dataclass(frozen=True, slots=True)
class Reading:
    """How single objects are read other than as instances: all that a document shows in one statement.

    `shape` makes dicts of the rows: `values()` with `pk`, which may name what belongs to the object. When that gives several
    rows for one object, `shape` orders them. `raw` are JSON columns nobody looks into.
    """

    shape: Callable[[QuerySet[Any]], QuerySet[Any, dict[str, Any]]]
    raw: Sequence[str] = ()

    def is_one(self, rows: Sequence[Any]) -> bool:
        """Whether all rows are of the same object."""
        return len({row["pk"] for row in rows}) == 1


class Remembered:
    """Figures of this process by what they are about and a stamp; those that came first go first."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.known: dict[Hashable, Any] = {}
        self.lock = Lock()

    def get(self, key: Hashable) -> Any:
        return self.known.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        with self.lock:
            while len(self.known) >= self.maximum:
                del self.known[next(iter(self.known))]
            self.known[key] = value


totals = Remembered(2_000)
newest_hours: dict[str, tuple[str, reading.Hours]] = {}  # by model, with their stamp


def hours_at(model: str, stamp: str) -> reading.Hours:
    known = newest_hours.get(model)
    if known is not None and known[0] == stamp and not connection.in_atomic_block:
        return known[1]
    hours = reading.hours_of(model)
    if not connection.in_atomic_block:
        newest_hours[model] = (stamp, hours)
    return hours


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

    def total(self, tallied: Sequence[str], stamp: str) -> int:
        """`totalCount`: exact. From the tally where its dimensions are all that is asked for, else counted once per stamp.

        `tallied` are the tables that the rows depend on, the listed one first, `stamp` is theirs.
        """
        if not stamp or connection.in_atomic_block:  # inside a transaction a stamp may be taken back
            return self.count()
        key = (self.shape, tuple(self.values.items()), stamp)
        known = totals.get(key)
        if known is None:
            where = self._dimensions(sources[tallied[0]])
            known = self.count() if where is None else reading.count(tallied[0], where)
            totals.put(key, known)
        return int(known)

    def _dimensions(self, source: Source) -> dict[str, list[str]] | None:
        """The conditions as values of the tally's dimensions; None when one of them is about something else."""
        if self.conditions is None:
            return None
        names = {column: dimension for dimension, column in source.columns.items()}
        where: dict[str, set[str]] = {}
        for one in self.conditions:
            if one.column not in names:
                return None
            values = set(one.values.values())
            dimension = names[one.column]
            where[dimension] = where.get(dimension, values) & values
        return {dimension: sorted(values) for dimension, values in where.items()}

    def count(self) -> int:
        """Without the ordering and the joins that only a page needs."""
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

    def some(self, size: int, beside: Mapping[str, Any]) -> Sequence[Any]:
        """The first rows as instances that have the annotations `beside`, in the order of the model."""
        if self.conditions is not None:
            statement = shapes.statement(
                (*self.shape, "some", size), lambda: self._narrowed().annotate(**beside)[:size]
            )
            try:
                return statement.all(**self.values)
            except Unmappable:
                pass
        return list(self.plain().annotate(**beside)[:size])

    def read(self, reading: Reading) -> Iterable[Any]:
        """All rows as the reading makes them."""
        if self.conditions is not None:
            statement = shapes.statement(
                (*self.shape, reading), lambda: reading.shape(self._narrowed()), raw=reading.raw
            )
            try:
                return statement.all(**self.values)
            except Unmappable:
                pass
        return reading.shape(self.plain())

    def page(self, page: Page, total: int, columns: Columns) -> Iterable[Any]:
        """The rows of a page. Past the end nothing is asked."""
        if page.offset >= total:
            return []
        if self.conditions is not None:
            try:
                is_far = page.offset >= FAR and columns.key
                return (self._far if is_far else self._found)(columns, page.size, page.offset)
            except Unmappable:
                pass
        rows = page.of_rows(self.plain().order_by(*columns.ordering), total)
        return rows.values(*columns.names) if columns.names else rows

    def jumped(self, page: Page, source: Source, stamp: str) -> tuple["Asked", Page]:
        """For a far page of all rows, newest first: the same rows beginning with the hour that holds the page (`Hours`)."""
        hours = hours_at(source.model, stamp)
        place = hours.locate(page.offset)
        if place is None:
            return self, page
        end, offset = place
        before = Condition("hour", {"hour": end}, lambda rows: rows.filter(**{f"{source.time}__lt": Slot("hour")}))
        return replace(self, conditions=[before]), replace(page, number=1, skipped=offset)

    def _far(self, columns: Columns, size: int, offset: int) -> list[Any]:
        """The page by its keys, which an index holds: the rows before it are walked over there and not fetched.

        Measured on page 22,500 of 10^6 incidents in one state: 2,300 -> 290 ms.
        """
        keys = [row[columns.key] for row in self._found(replace(columns, names=(columns.key,), raw=()), size, offset)]
        asked = replace(self, conditions=[within(columns.key, keys)]) if keys else self
        return asked._found(columns, size, 0) if keys else []

    def _found(self, columns: Columns, size: int, offset: int) -> list[Any]:
        def build() -> QuerySet[Any]:
            rows = self._narrowed().order_by(*columns.ordering)
            return (rows.values(*columns.names) if columns.names else rows)[:size]

        # the limit stands in the SQL, so that PostgreSQL plans for a page; the offset is a value
        if not offset:
            return shapes.statement((*self.shape, size), build, raw=columns.raw).all(**self.values)
        shape = (*self.shape, size, "offset")
        statement = shapes.statement(shape, build, raw=columns.raw, around="{} OFFSET %s", more=("offset",))
        return statement.all(**self.values, offset=offset)
