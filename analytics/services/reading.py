"""Answers "how many, how long" for any span of time: whole buckets from the roll-ups, the rest from the raw rows.

What no roll-up can say, because the span begins or ends within an hour or because an hour changed a moment ago
(`OutdatedHour`), is counted from the raw rows. So an answer is exact at any time, whether or not a worker keeps up, and its
cost depends on how much happens in an hour, not on how much there is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Aggregate, Count, F, Max, Q, QuerySet, Sum

from analytics import histograms
from analytics.families import Family, HourOf
from analytics.histograms import Histogram
from analytics.models import ALL, Grain, OutdatedHour
from analytics.periods import HOUR, Cover, Span, bucket_start, cover, moment_of

Key = tuple[Any, ...]
Sums = dict[str, int]
LONG = 400 * 24 * HOUR  # seconds; a longer span is first cut to where there are rows


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows count. None means all of them."""

    clusters: frozenset[str] | None = None
    namespaces: frozenset[str] | None = None
    severities: frozenset[str] | None = None


EVERYWHERE = Where()


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
        found: dict[Key, Sums] = {}
        wanted = {f"d_{name}__in": values for name, values in (among or {}).items()}
        for source, expressions in self._sources(by, per):
            queryset = source.filter(**wanted)
            functions = {f"s_{name}": self._summed(name, expressions[name]) for name in measures}
            keys = [f"d_{name}" for name in by] + (["d_hour"] if per else [])
            rows = queryset.values_list(*keys).annotate(**functions) if keys else [_only(queryset, functions)]
            for row in rows:
                key = self._key(row[: len(keys)], per)
                self._add(found, key, dict(zip(measures, row[len(keys) :], strict=True)))
        return found

    def histogram(self, column: str, *, by: Sequence[str] = ()) -> dict[Key, Histogram]:
        """The distribution of a timing by dimensions."""
        keys = [f"d_{name}" for name in by]
        packed: dict[Key, list[bytes]] = {}
        for queryset in self._rollups(by, None):
            for row in queryset.values_list(*keys, column):
                packed.setdefault(tuple(row[:-1]), []).append(row[-1])
        for queryset in self._raw(by, None):
            timing = self.family.timings[column]
            seconds = queryset.filter(timing.among).annotate(seconds=timing.seconds)
            for *key, value, count in seconds.values_list(*keys, "seconds").annotate(Count("pk")):
                one = histograms.pack(histograms.of([(value, count)]))
                packed.setdefault(tuple(key), []).append(one)
        return {key: histograms.merge(parts) for key, parts in packed.items()}

    def count_raw(self, by: Sequence[str]) -> dict[Key, Sums]:
        """All measures by dimensions and hour, from the raw rows of the whole span."""
        found: dict[Key, Sums] = {}
        rows = self._where_raw(self._rows_in([self.span]), by, Grain.HOUR)
        functions = {f"s_{name}": self._summed(name, measure) for name, measure in self.family.measures.items()}
        keys = [*(f"d_{name}" for name in by), "d_hour"]
        for row in rows.values_list(*keys).annotate(**functions):
            found[tuple(row[: len(keys)])] = dict(zip(self.family.measures, map(int, row[len(keys) :]), strict=True))
        return found

    def values(self, column: str, *, by: Sequence[str] = (), per_hour: bool = False) -> dict[Key, dict[int, int]]:
        """The exact seconds of a timing and how often each occurs, from the raw rows of the whole span."""
        timing = self.family.timings[column]
        rows = self._where_raw(self._rows_in([self.span]), by, Grain.HOUR if per_hour else None).filter(timing.among)
        found: dict[Key, dict[int, int]] = {}
        keys = [f"d_{name}" for name in by] + (["d_hour"] if per_hour else [])
        for *key, value, count in (
            rows.annotate(seconds=timing.seconds).values_list(*keys, "seconds").annotate(Count("pk"))
        ):
            found.setdefault(tuple(key), {})[value] = count
        return found

    # --- where the numbers come from -----------------------------------------------------------------------------------

    @cached_property
    def _outdated(self) -> list[int]:
        hours = OutdatedHour.objects.filter(
            family=self.family.key, hour__gte=self.span.lower // HOUR, hour__lte=self.span.upper // HOUR
        )
        return list(hours.order_by().values_list("hour", flat=True).distinct())

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
        return cover(
            self._limits, outdated=self._outdated, smallest=self.family.smallest, largest=per or int(Grain.WEEK)
        )

    def _sources(self, by: Sequence[str], per: int | None) -> list[tuple[QuerySet[Any], dict[str, Any]]]:
        stored = {name: F(name) for name in self.family.measures}
        return [(rows, stored) for rows in self._rollups(by, per)] + [
            (rows, dict(self.family.measures)) for rows in self._raw(by, per)
        ]

    def _rollups(self, by: Sequence[str], per: int | None) -> list[QuerySet[Any]]:
        found = Q()
        for grain, first, end in self._cover(per).buckets:
            found |= Q(grain=grain, start__gte=first, start__lt=end) & self._axes(grain, by)
        if not found:
            return []
        rows = self.family.rollup._default_manager.filter(found)
        if self.where.severities is not None:
            rows = rows.filter(severity__in=self.where.severities)
        return [rows.annotate(**{f"d_{name}": F(name) for name in by}, **({"d_hour": F("start")} if per else {}))]

    def _axes(self, grain: int, by: Sequence[str]) -> Q:
        """Of the kept combinations of clusters and namespaces the smallest that can answer."""
        wanted = {"cluster": self.where.clusters, "namespace": self.where.namespaces}
        summed = self.family.summed
        detailed = {axis: names is not None or axis in by or axis not in summed for axis, names in wanted.items()}
        if grain == Grain.HOUR and any(detailed.values()):
            detailed = dict.fromkeys(detailed, True)
        condition = Q()
        for axis, names in wanted.items():
            if not detailed[axis]:
                condition &= Q(**{axis: ALL})
            elif names is not None:
                condition &= Q(**{f"{axis}__in": names})
            elif axis in summed:
                condition &= ~Q(**{axis: ALL})
        return condition

    def _raw(self, by: Sequence[str], per: int | None) -> list[QuerySet[Any]]:
        spans = self._cover(per).raw
        return [self._where_raw(self._rows_in(spans), by, per)] if spans else []

    def _rows_in(self, spans: Sequence[Span]) -> QuerySet[Any]:
        condition = Q()
        for span in spans:
            bounds = {
                f"{self.family.time}__gte": moment_of(span.lower),
                f"{self.family.time}__lt": moment_of(span.upper),
            }
            condition |= Q(**bounds)
        return self.family.rows().filter(condition)

    def _where_raw(self, rows: QuerySet[Any], by: Sequence[str], per: int | None) -> QuerySet[Any]:
        dimensions = self.family.dimensions
        wanted = {
            "cluster": self.where.clusters, "namespace": self.where.namespaces, "severity": self.where.severities,
        }  # fmt: skip
        filters = {name: names for name, names in wanted.items() if names is not None}
        rows = rows.annotate(**{f"d_{name}": dimensions[name] for name in {*by, *filters}})
        rows = rows.filter(**{f"d_{name}__in": names for name, names in filters.items()})
        return rows.annotate(d_hour=HourOf(F(self.family.time))) if per else rows

    def _summed(self, name: str, expression: Any) -> Aggregate:
        return Max(expression) if name in self.family.latest else Sum(expression)

    def _key(self, values: Sequence[Any], per: int | None) -> Key:
        if per is None:
            return tuple(values)
        return (*values[:-1], bucket_start(values[-1], per))

    def _add(self, found: dict[Key, Sums], key: Key, row: dict[str, Any]) -> None:
        known = found.setdefault(key, dict.fromkeys(row, 0))
        for name, value in row.items():
            number = int(value or 0)
            known[name] = max(known[name], number) if name in self.family.latest else known[name] + number


def _only(queryset: QuerySet[Any], functions: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(queryset.aggregate(**functions).values())
