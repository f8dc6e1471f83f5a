"""A report without its looks: figures, tables and the charts drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from analytics.models import ReportKind

Value = str | int | float | bool | datetime | None
Row = Sequence[Value]


class Unit(StrEnum):
    """How a value is meant; an unknown value is None whatever its unit."""

    TEXT = "text"
    COUNT = "count"
    NUMBER = "number"
    PERCENT = "percent"
    RATIO = "ratio"
    SECONDS = "seconds"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that counts. `samples`: how many observations it rests on, `coverage`: which share these are of those that could
    have been made; None where that means nothing.
    """

    name: str
    label: str
    value: Value
    unit: Unit = Unit.COUNT
    samples: int | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    label: str
    unit: Unit = Unit.TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """`total`: how many rows there would be if all were shown, None if these are all."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    total: int | None = None

    def column(self, name: str) -> list[Value]:
        position = [column.name for column in self.columns].index(name)
        return [row[position] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Series:
    """Values beside the labels of a chart; None where nothing is known, which is not 0."""

    label: str
    values: Sequence[float | None]


class ChartKind(StrEnum):
    BARS = "bars"  # stacked, over time
    LINES = "lines"
    RANKING = "ranking"  # horizontal bars, the longest first


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    kind: ChartKind
    labels: Sequence[str]
    series: Sequence[Series]
    unit: Unit = Unit.COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`since` and `until` are inclusive. `notes` say what the numbers do not."""

    kind: ReportKind
    title: str
    since: datetime
    until: datetime
    generated_at: datetime
    filters: dict[str, str] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()

    def as_members(self) -> dict[str, Any]:
        """The member `report` of the JSON document."""
        return {
            "kind": self.kind.value,
            "title": self.title,
            "figures": [
                {
                    "name": one.name,
                    "label": one.label,
                    "value": one.value,
                    "unit": one.unit.value,
                    "samples": one.samples,
                    "coverage": one.coverage,
                }
                for one in self.figures
            ],
            "tables": [_members(table) for table in self.tables],
            "notes": list(self.notes),
        }


def _members(table: Table) -> dict[str, Any]:
    names = [column.name for column in table.columns]
    return {
        "name": table.name,
        "title": table.title,
        "columns": [{"name": one.name, "label": one.label, "unit": one.unit.value} for one in table.columns],
        "rows": [dict(zip(names, row, strict=True)) for row in table.rows],
        "totalRows": len(table.rows) if table.total is None else table.total,
    }
