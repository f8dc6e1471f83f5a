# ruff: noqa: S608 - all SQL here is made of the names of our own tables and columns
"""Exact figures of tallied tables. Each function is one statement, so what it says was true at one moment."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate

from aiops.statements import fetch
from aiops.tallies.models import Change, Hour, Stamp, Tally
from aiops.tallies.sources import sources

CHANGE, TALLY, HOUR, STAMP = (model._meta.db_table for model in (Change, Tally, Hour, Stamp))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def are_tallied(models: Sequence[str]) -> bool:
    return bool(models) and all(model in sources for model in models)


def stamp_of(models: Sequence[str]) -> str:
    """Differs whenever a row of one of the tables differs. Read it before the rows: a stamp may be older than them, never newer."""
    return str(fetch(_stamp_sql(len(models)), [*models, *models])[0][0])


@lru_cache(maxsize=16)
def _stamp_sql(number: int) -> str:
    models = ", ".join(["%s"] * number)
    return (
        f"SELECT CAST((SELECT COALESCE(SUM(folded), 0) FROM {STAMP} WHERE source IN ({models})) "
        f"+ (SELECT COALESCE(SUM(id), 0) FROM {CHANGE} WHERE source IN ({models})) AS TEXT)"
    )


def count(model: str, where: Mapping[str, Sequence[str]]) -> int:
    """Rows with one of the given values in each dimension. Grows with the number of combinations, not of rows."""
    clauses = "".join(f" AND {one} IN ({', '.join(['%s'] * len(values))})" for one, values in where.items())
    parameters = [model, *(value for values in where.values() for value in values)]
    tables = (f"SELECT rows FROM {table} WHERE source = %s{clauses}" for table in (TALLY, CHANGE))
    sql = f"SELECT CAST(COALESCE(SUM(rows), 0) AS BIGINT) FROM ({' UNION ALL '.join(tables)}) found"
    return int(fetch(sql, parameters * 2)[0][0])


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours that hold rows, newest first, and how many rows lie in each and all newer ones."""

    hours: Sequence[int]
    sums: Sequence[int]

    def locate(self, offset: int) -> tuple[datetime, int] | None:
        """The end of the hour with the row of that offset (newest first), and how many rows of the hour come before it."""
        position = bisect_right(self.sums, offset)
        if position == len(self.hours):
            return None
        before = self.sums[position - 1] if position else 0
        return EPOCH + timedelta(hours=self.hours[position] + 1), offset - before


def hours_of(model: str) -> Hours:
    """Grows with the hours of the history: 26,000 in three years, some milliseconds. Keep it as long as the stamp is the same."""
    tables = (f"SELECT hour, rows FROM {table} WHERE source = %s" for table in (HOUR, CHANGE))
    sql = (
        f"SELECT hour, CAST(SUM(rows) AS BIGINT) FROM ({' UNION ALL '.join(tables)}) found "
        "GROUP BY hour HAVING SUM(rows) <> 0 ORDER BY hour DESC"
    )
    found = fetch(sql, [model, model])
    return Hours([hour for hour, _ in found], list(accumulate(number for _, number in found)))
