"""What the builders of reports share."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from math import ceil

from analytics.metrics import ratio
from analytics.reports.document import Figure, Unit
from analytics.services.questions import Question

TOP = 20  # rows of a ranking
SHOWN = 200  # rows of a list


def mean(total: int, count: int) -> float | None:
    """None without a sample: an unknown mean is not 0."""
    return round(total / count, 1) if count else None


def percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def nearest_rank(values: Mapping[int, int], share: float) -> int | None:
    """The value below or at which `share` of all lie; `values` counts how often each occurs."""
    left = ceil(share * sum(values.values()))
    for value, count in sorted(values.items()):
        left -= count
        if left <= 0:
            return value
    return None


def duration(name: str, label: str, total: int, count: int, among: int) -> Figure:
    """A mean time, with its number of samples and their share `among` all that could have one."""
    return Figure(name, label, mean(total, count), Unit.SECONDS, count, ratio(count, among))


def days(question: Question) -> list[date]:
    """Every day UTC that the span touches, oldest first."""
    first, last = question.since.date(), question.until.date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def filters(question: Question) -> dict[str, str]:
    """What a reader should know about what was left out."""
    where = question.where
    wanted: Sequence[tuple[str, frozenset[str] | None]] = (
        ("cluster", where.clusters),
        ("namespace", where.namespaces),
        ("severity", where.severities),
    )
    return {name: ", ".join(sorted(names)) or "none" for name, names in wanted if names is not None}
