"""Values as text: for people in a page, for programs in a CSV."""

from datetime import UTC, datetime, timedelta

from aiops.api.formats import format_duration, format_time
from analytics.reports.document import Unit, Value

UNKNOWN = "–"
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would calculate


def readable(value: Value, unit: Unit) -> str:
    """For people: `1h10m`, `83.3 %`, `2027-04-12 06:02`. An unknown value is a dash, never a zero."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, str):
        return value
    if unit is Unit.SECONDS:
        return format_duration(timedelta(seconds=round(value)))
    if unit is Unit.PERCENT:
        return f"{value:,.1f} %"
    if unit is Unit.COUNT or (isinstance(value, int) and unit is not Unit.RATIO):
        return f"{value:,.0f}"
    return f"{value:,.2f}"


def plain(value: Value) -> str:
    """For programs: numbers as they are, times in RFC 3339, nothing for an unknown value, no formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return str(value)
