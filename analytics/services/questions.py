from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from analytics.periods import Span, moment_of
from analytics.services.reading import EVERYWHERE, Where

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a report is about: a span of time, which rows, and the moment at which it is asked."""

    span: Span
    at: datetime
    where: Where = EVERYWHERE

    @property
    def since(self) -> datetime:
        return moment_of(self.span.lower)

    @property
    def until(self) -> datetime:
        """The last second that belongs to the span."""
        return moment_of(self.span.upper - 1)

    def rows(
        self,
        rows: QuerySet[M],
        time: str,
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        severity: str | None = None,
    ) -> QuerySet[M]:
        """The raw rows that are asked for; the arguments name their columns, None where they have none."""
        rows = rows.filter(**{f"{time}__gte": self.since, f"{time}__lt": moment_of(self.span.upper)})
        return self.narrow(rows, cluster=cluster, namespace=namespace, severity=severity)

    def narrow(
        self,
        rows: QuerySet[M],
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        severity: str | None = None,
    ) -> QuerySet[M]:
        """The same without regard to time."""
        wanted: Iterable[tuple[str | None, Any]] = (
            (cluster, self.where.clusters),
            (namespace, self.where.namespaces),
            (severity, self.where.severities),
        )
        for column, names in wanted:
            if column is not None and names is not None:
                rows = rows.filter(**{f"{column}__in": names})
        return rows
