"""The sums of one value of each dimension, and how they are added up. Pure.

A `Cell` is a list: the measures of the family in their order, then its histograms. `Cells` are the cells of one bucket by
their dimensions (cluster, namespace, severity, and what the family has beside).
"""

from collections.abc import Iterable, Iterator
from operator import add
from typing import Any

from analytics import histograms
from analytics.families import Family
from analytics.models import ALL

Key = tuple[str, ...]
Cell = list[Any]
Cells = dict[Key, Cell]


def merge(family: Family, parts: Iterable[tuple[Key, Cell]]) -> Cells:
    """Add up cells with the same key; the given cells are not changed."""
    merged: Cells = {}
    width = len(family.measures)
    latest = [position for position, name in enumerate(family.measures) if name in family.latest]
    for key, cell in parts:
        known = merged.get(key)
        if known is None:
            merged[key] = [*cell[:width], *map(dict, cell[width:])]
            continue
        before = [known[position] for position in latest]
        known[:width] = map(add, known[:width], cell[:width])
        for position, value in zip(latest, before, strict=True):
            known[position] = max(value, cell[position])
        for mine, theirs in zip(known[width:], cell[width:], strict=True):
            for bucket, count in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + count
    return merged


def is_finest(key: Key) -> bool:
    return ALL not in key


def with_totals(family: Family, cells: Cells, grain: int) -> Cells:
    """The finest cells and the sums over dimensions that are kept of this grain."""
    names = list(family.dimensions)
    masks = [[name in over for name in names] for over in family.kept(grain)]

    def sums() -> Iterator[tuple[Key, Cell]]:
        for mask in masks:
            for key, cell in cells.items():
                yield tuple([ALL if is_over else value for is_over, value in zip(mask, key, strict=True)]), cell

    return cells | merge(family, sums())


def columns(family: Family) -> list[str]:
    """Of the roll-up, in the order of `row`."""
    return ["grain", "start", *family.dimensions, *family.measures, *family.timings]


def row(family: Family, grain: int, start: int, key: Key, cell: Cell) -> tuple[Any, ...]:
    width = len(family.measures)
    return (grain, start, *key, *cell[:width], *map(histograms.pack, map(histograms.Histogram, cell[width:])))


def from_row(family: Family, values: tuple[Any, ...]) -> tuple[Key, Cell]:
    """The opposite of `row`, without grain and start."""
    keys, width = len(family.dimensions), len(family.measures)
    numbers, packed = values[keys : keys + width], values[keys + width :]
    return values[:keys], [*numbers, *(dict(histograms.merge([bytes(one)])) for one in packed)]
