"""A report as CSV (RFC 4180): either everything, one value per line, or one of its tables as it is."""

import csv
import io
from collections.abc import Iterable, Iterator

from aiops.errors import Invalid
from analytics.reports.document import Report
from analytics.reports.texts import plain

HEADER = ("section", "row", "measure", "value", "unit", "samples", "coverage")


def write(report: Report, table: str = "") -> bytes:
    """All figures and tables, or only `table`. Raises `Invalid` when the report has no such table."""
    rows = _one(report, table) if table else _everything(report)
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _everything(report: Report) -> Iterator[Iterable[str]]:
    yield HEADER
    for figure in report.figures:
        yield (
            "figures",
            "",
            figure.name,
            plain(figure.value),
            figure.unit,
            plain(figure.samples),
            plain(figure.coverage),
        )
    for table in report.tables:
        for number, row in enumerate(table.rows, 1):
            for column, value in zip(table.columns, row, strict=True):
                yield (table.name, str(number), column.name, plain(value), column.unit, "", "")


def _one(report: Report, name: str) -> Iterator[Iterable[str]]:
    found = next((table for table in report.tables if table.name == name), None)
    if found is None:
        known = ", ".join(table.name for table in report.tables)
        raise Invalid("The report has no such table", fields={"table": [f"Must be one of: {known}."]})
    yield [column.name for column in found.columns]
    for row in found.rows:
        yield [plain(value) for value in row]
