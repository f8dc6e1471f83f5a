from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Scope:
    """The namespaces and clusters that a key may see (X1.5). None means all."""

    namespaces: frozenset[str] | None = None
    clusters: frozenset[str] | None = None

    @classmethod
    def of(cls, namespaces: Iterable[str], clusters: Iterable[str]) -> "Scope":
        return cls(frozenset(namespaces) or None, frozenset(clusters) or None)

    @property
    def is_everything(self) -> bool:
        return self.namespaces is None and self.clusters is None

    def covers(self, *, namespace: str | None = None, cluster: str | None = None) -> bool:
        """Whether an object there is visible. A side that is not given does not matter."""
        return (namespace is None or self.namespaces is None or namespace in self.namespaces) and (
            cluster is None or self.clusters is None or cluster in self.clusters
        )

    def narrow(
        self, queryset: QuerySet[M], *, namespace: str | None = "namespace", cluster: str | None = None
    ) -> QuerySet[M]:
        """The rows in scope; the arguments name the columns (None: the table has no such column)."""
        if self.namespaces is not None and namespace is not None:
            queryset = queryset.filter(**{f"{namespace}__in": self.namespaces})
        if self.clusters is not None and cluster is not None:
            queryset = queryset.filter(**{f"{cluster}__in": self.clusters})
        return queryset


EVERYTHING = Scope()
