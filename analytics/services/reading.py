"""Answers "how many, how long" for any span of time: whole buckets from the roll-ups, the rest from the raw rows.

What no roll-up can say, because the span begins or ends within an hour or because an hour changed a moment ago
(`OutdatedHour`), is counted from the raw rows. So an answer is exact at any time, whether or not a worker keeps up, and its
cost depends on how much happens in an hour, not on how much there is.

An answer takes a dozen statements, and building them from QuerySets took most of its time. So those over the roll-ups are put
together as text, and those over the raw rows are built once for each shape (aiops.statements).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Aggregate, Count, F, Max, Q, QuerySet, Sum, Value

from aiops.statements import Row, Shapes, Slot, fetch
from analytics import histograms
from analytics.families import FAMILIES, Family, HourOf
from analytics.histograms import Histogram
from analytics.models import ALL, Grain, OutdatedHour
from analytics.periods import HOUR, Cover, Span, bucket_start, cover, moment_of

Key = tuple[Any, ...]
Sums = dict[str, int]
Names = dict[str, frozenset[str]]  # by dimension
LONG = 400 * 24 * HOUR  # seconds; a longer span is first cut to where there are rows
OUTDATED = (
    f"SELECT DISTINCT hour FROM {OutdatedHour._meta.db_table} "  # noqa: S608 - the name of our own table
    "WHERE family = %s AND hour >= %s AND hour <= %s"
)


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows count. None means all of them."""

    clusters: frozenset[str] | None = None
    namespaces: frozenset[str] | None = None
    severities: frozenset[str] | None = None

    def named(self) -> Names:
        wanted = (("cluster", self.clusters), ("namespace", self.namespaces), ("severity", self.severities))
        return {name: names for name, names in wanted if names is not None}


EVERYWHERE = Where()


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement over raw rows looks like: sums of `measures`, how often each value of `timing` occurs, or `timings` of
    each row.

    `spans`: how many spans of time; `names`: how many values of each restricted dimension.
    """

    family: str
    spans: int
    by: tuple[str, ...]
    per_hour: bool
    names: tuple[tuple[str, int], ...]
    measures: tuple[str, ...] = ()
    timing: str = ""
    timings: tuple[str, ...] = ()


@dataclass
class Reader:
    """One family of rows in one span of time."""

    family: Family
    span: Span
    where: Where = EVERYWHERE

    def total(self, *measures: str) -> Sums:
        """The sums over everything; zeros where there is nothing."""
        found = self.sums(*measures)
        return found.get((), dict.fromkeys(measures, 0))

    def sums(
        self,
        *measures: str,
        by: Sequence[str] = (),
        per: int | None = None,
        among: Mapping[str, Collection[str]] | None = None,
    ) -> dict[Key, Sums]:
        """The measures by dimensions, and with `per` also by bucket of that grain (its first hour, last in the key).

        `among` restricts dimensions of `by` to some values.
        """
        found = _Found(self.family, measures, len(by), per)
        names = self.where.named() | {name: frozenset(values) for name, values in (among or {}).items()}
        summed = [f'CAST({self._function(name)}("{name}") AS bigint)' for name in measures]
        found.add(self._rollups(tuple(by), per, names, summed))
        raw = self._raw(tuple(by), per, names, measures=measures)
        found.add(raw if by or per else [row[1:] for row in raw])
        return found.sums

    def histograms(self, *columns: str, by: Sequence[str] = ()) -> dict[Key, list[Histogram]]:
        """The distributions of timings, in the order of the arguments, by dimensions."""
        names, width = self.where.named(), len(by)
        packed: dict[Key, list[list[bytes]]] = {}
        quoted = [f'"{column}"' for column in columns]
        for row in self._rollups(tuple(by), None, names, quoted, is_grouped=False):
            lists = packed.setdefault(row[:width], [[] for _ in columns])
            for known, one in zip(lists, row[width:], strict=True):
                known.append(bytes(one))
        for key, counted in self._timed(self._cover(None).raw, tuple(by), names, columns, per_hour=False).items():
            lists = packed.setdefault(key, [[] for _ in columns])
            for known, histogram in zip(lists, counted, strict=True):
                known.append(histograms.pack(Histogram(histogram)))
        return {key: [histograms.merge(parts) for parts in lists] for key, lists in packed.items()}

    def values(self, column: str, *, by: Sequence[str] = ()) -> dict[Key, dict[int, int]]:
        """The exact seconds of a timing and how often each occurs, from the raw rows of the whole span."""
        found: dict[Key, dict[int, int]] = {}
        for *key, value, count in self._counted([self.span], tuple(by), None, self.where.named(), timing=column):
            found.setdefault(tuple(key), {})[value] = count
        return found

    def count_raw(self, by: Sequence[str]) -> dict[Key, Sums]:
        """All measures by dimensions and hour, from the raw rows of the whole span."""
        measures = tuple(self.family.measures)
        found = self._counted([self.span], tuple(by), int(Grain.HOUR), {}, measures=measures)
        width = len(by) + 1
        return {tuple(row[:width]): dict(zip(measures, map(int, row[width:]), strict=True)) for row in found}

    def histograms_per_hour(self, by: Sequence[str]) -> dict[Key, list[dict[int, int]]]:
        """All timings by dimensions and hour, from the raw rows of the whole span."""
        return self._timed([self.span], tuple(by), {}, tuple(self.family.timings), per_hour=True)

    # --- where the numbers come from -----------------------------------------------------------------------------------

    @cached_property
    def _outdated(self) -> list[int]:
        bounds = [self.span.lower // HOUR, self.span.upper // HOUR]
        return [hour for (hour,) in fetch(OUTDATED, [self.family.key, *bounds])]

    @cached_property
    def _limits(self) -> Span:
        """The span, cut to where there are rows when it is very long."""
        if self.span.length <= LONG:
            return self.span
        weeks = (
            self.family.rollup._default_manager.filter(grain=Grain.WEEK)
            .order_by("start")
            .values_list("start", flat=True)
        )
        first, last = weeks.first(), weeks.last()
        hours = list(self._outdated)
        if first is not None and last is not None:
            hours += [first, last + Grain.WEEK]
        if not hours:
            return Span(self.span.lower, self.span.lower)
        lower, upper = min(hours) * HOUR, (max(hours) + 1) * HOUR
        return Span(max(self.span.lower, lower), max(self.span.lower, min(self.span.upper, upper)))

    def _cover(self, per: int | None) -> Cover:
        largest = per or int(Grain.WEEK)
        if largest not in self._covers:
            self._covers[largest] = cover(self._limits, outdated=self._outdated, largest=largest)
        return self._covers[largest]

    @cached_property
    def _covers(self) -> dict[int, Cover]:
        return {}

    def _function(self, measure: str) -> str:
        return "MAX" if measure in self.family.latest else "SUM"

    def _rollups(
        self, by: tuple[str, ...], per: int | None, names: Names, columns: list[str], *, is_grouped: bool = True
    ) -> list[Row]:
        """`columns` of the roll-ups that cover the span, by dimensions and (with `per`) first hour."""
        buckets = self._cover(per).buckets
        if not buckets or not all(names.values()):
            return []
        conditions: list[str] = []
        parameters: list[Any] = []
        for grain, first, end in buckets:
            axes, values = self._axes(grain, by, names)
            conditions.append(f"(grain = %s AND start >= %s AND start < %s{axes})")
            parameters += [grain, first, end, *values]
        keys = [f'"{name}"' for name in by] + (["start"] if per else [])
        sql = (
            f"SELECT {', '.join(keys + columns)} "  # noqa: S608 - the names of our own tables and columns
            f"FROM {self.family.rollup._meta.db_table} WHERE {' OR '.join(conditions)}"
        )
        if keys and is_grouped:
            sql += f" GROUP BY {', '.join(keys)}"
        return [row for row in fetch(sql, parameters) if row[-1] is not None]

    def _axes(self, grain: int, by: Sequence[str], names: Names) -> tuple[str, list[str]]:
        """Of the kept sums the one over most dimensions that can answer, as a condition and its parameters."""
        needed = {*by, *names}
        kept = self.family.kept(grain)
        over = max((one for one in kept if needed.isdisjoint(one)), key=len, default=frozenset[str]())
        condition, parameters = "", []
        for axis in sorted({*names, *(axis for one in kept for axis in one)}):
            if axis in over:
                condition += f''' AND "{axis}" = '{ALL}' '''
            elif axis in names:
                marks = ", ".join(["%s"] * len(names[axis]))
                condition += f' AND "{axis}" IN ({marks})'
                parameters += sorted(names[axis])
            else:
                condition += f''' AND "{axis}" <> '{ALL}' '''
        return condition, parameters

    def _raw(self, by: tuple[str, ...], per: int | None, names: Names, **what: Any) -> list[Row]:
        spans = self._cover(per).raw
        return self._counted(spans, by, per, names, **what) if spans and all(names.values()) else []

    def _counted(
        self, spans: Sequence[Span], by: tuple[str, ...], per: int | None, names: Names, **what: Any
    ) -> list[Row]:
        """Rows of the family itself, by dimensions and (with `per`) hour: sums of `measures`, or values of `timing`."""
        return [row for row in self._asked(spans, by, names, per_hour=bool(per), **what) if row[-1] is not None]

    def _timed(
        self, spans: Sequence[Span], by: tuple[str, ...], names: Names, columns: tuple[str, ...], *, per_hour: bool
    ) -> dict[Key, list[dict[int, int]]]:
        """Timings of the rows of the family itself: one walk for all of them, since nearly every row has a value of its own."""
        if not spans or not columns or not all(names.values()):
            return {}
        found: dict[Key, list[dict[int, int]]] = {}
        width = len(by) + per_hour
        steps = [self.family.timings[column].steps for column in columns]
        for row in self._asked(spans, by, names, per_hour=per_hour, timings=columns):
            counted = found.get(row[:width])
            if counted is None:
                counted = found[row[:width]] = [{} for _ in columns]
            for histogram, value, step in zip(counted, row[width:], steps, strict=True):
                if value is not None:
                    bucket = histograms.bucket_of(value, step)
                    histogram[bucket] = histogram.get(bucket, 0) + 1
        return found

    def _asked(
        self, spans: Sequence[Span], by: tuple[str, ...], names: Names, *, per_hour: bool, **what: Any
    ) -> list[Row]:
        ordered = {name: sorted(values) for name, values in sorted(names.items())}
        counts = tuple((name, len(values)) for name, values in ordered.items())
        shape = Shape(self.family.key, len(spans), by, per_hour, counts, **what)
        values: dict[str, Any] = {
            f"{name}{position}": value for name, found in ordered.items() for position, value in enumerate(found)
        }
        for number, span in enumerate(spans):
            values |= {f"from{number}": moment_of(span.lower), f"to{number}": moment_of(span.upper)}
        return STATEMENTS.statement(shape, lambda: _rows(shape)).rows(**values)


@dataclass
class _Found:
    """Adds up rows that begin with their key."""

    family: Family
    measures: tuple[str, ...]
    width: int
    per: int | None
    sums: dict[Key, Sums] = field(default_factory=dict)

    def add(self, rows: list[Row]) -> None:
        width = self.width + bool(self.per)
        for row in rows:
            key = row[:width] if self.per is None else (*row[: width - 1], bucket_start(row[width - 1], self.per))
            known = self.sums.get(key)
            if known is None:
                self.sums[key] = dict(zip(self.measures, map(int, row[width:]), strict=True))
                continue
            for name, value in zip(self.measures, row[width:], strict=True):
                known[name] = max(known[name], int(value)) if name in self.family.latest else known[name] + int(value)


# --- statements over raw rows ------------------------------------------------------------------------------------------------


STATEMENTS = Shapes()


def _rows(shape: Shape) -> QuerySet[Any]:
    """Without dimensions and hour the rows begin with a 0: a QuerySet cannot be grouped by nothing."""
    family = FAMILIES[shape.family]
    dimensions = {**family.dimensions, "hour": HourOf(F(family.time))}
    by = (*shape.by, "hour") if shape.per_hour else shape.by
    rows = _within(family, shape.spans)
    rows = rows.annotate(**{f"d_{name}": dimensions[name] for name in {*by, *(name for name, _ in shape.names)}})
    for name, count in shape.names:
        rows = rows.filter(**{f"d_{name}__in": [Slot(f"{name}{position}") for position in range(count)]})
    keys = [f"d_{name}" for name in by]
    if shape.timings:
        timed = {f"t_{name}": family.timings[name].value for name in shape.timings}
        each: QuerySet[Any] = rows.annotate(**timed).values_list(*keys, *timed)
        return each
    counted: dict[str, Aggregate] = {f"s_{name}": _summed(family, name) for name in shape.measures}
    if shape.timing:
        timing = family.timings[shape.timing]
        rows = rows.filter(timing.among).annotate(seconds=timing.seconds)
        keys, counted = [*keys, "seconds"], {"rows": Count("pk")}
    elif not keys:
        rows, keys = rows.annotate(d_all=Value(0)), ["d_all"]
    found: QuerySet[Any] = rows.values(*keys).annotate(**counted)
    return found


def _within(family: Family, spans: int) -> QuerySet[Any]:
    condition = Q()
    for number in range(spans):
        bounds = {f"{family.time}__gte": Slot(f"from{number}"), f"{family.time}__lt": Slot(f"to{number}")}
        condition |= Q(**bounds)
    return family.rows().filter(condition)


def _summed(family: Family, measure: str) -> Aggregate:
    expression = family.measures[measure]
    return Max(expression) if measure in family.latest else Sum(expression)
