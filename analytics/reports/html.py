"""A report as one page that needs nothing else: styles and charts are inside, scripts there are none."""

from typing import Any

from django.template.loader import render_to_string

from analytics.reports import charts
from analytics.reports.document import Column, Figure, Report, Table, Unit, Value
from analytics.reports.texts import readable

ROWS = 200  # of a table; JSON and CSV have all
LONG = 24  # characters of a word
TO_THE_RIGHT = {Unit.COUNT, Unit.NUMBER, Unit.PERCENT, Unit.RATIO, Unit.SECONDS}


def write(report: Report) -> bytes:
    context: dict[str, Any] = {
        "report": report,
        "figures": [(one.label, readable(one.value, one.unit), _basis(one)) for one in report.figures],
        "charts": [(chart.title, charts.svg(chart)) for chart in report.charts],
        "tables": [_table(table) for table in report.tables],
    }
    return render_to_string("reports/report.html", context).encode()


def _basis(figure: Figure) -> str:
    """What the figure rests on."""
    if figure.samples is None:
        return ""
    text = f"{figure.samples:,} sample{'' if figure.samples == 1 else 's'}"
    return text if figure.coverage is None else f"{text}, {figure.coverage:.0%} covered"


def _table(table: Table) -> dict[str, Any]:
    total = len(table.rows) if table.total is None else table.total
    shown = table.rows[:ROWS]
    return {
        "title": table.title,
        "head": [(column.label, _class(column)) for column in table.columns],
        "rows": [[_cell(value, column) for value, column in zip(row, table.columns, strict=True)] for row in shown],
        "left_out": total - len(shown),
    }


def _cell(value: Value, column: Column) -> tuple[str, str]:
    text = readable(value, column.unit)
    # only a word that no column could hold is broken, so that short ones stay whole
    is_long = max(map(len, text.split()), default=0) > LONG
    return text, "long" if is_long and not _class(column) else _class(column)


def _class(column: Column) -> str:
    if column.unit is Unit.TIME:
        return "time"
    return "number" if column.unit in TO_THE_RIGHT else ""
