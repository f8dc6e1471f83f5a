"""Which tables are tallied. Each app registers its own in its `AppConfig.ready`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.apps import apps

DIMENSIONS = ("cluster", "namespace", "state", "severity")


@dataclass(frozen=True, slots=True)
class Source:
    """A table by its model (`"incidents.Incident"`), the columns of it that are counted by, and the one that orders it by time."""

    model: str
    columns: Mapping[str, str] = field(default_factory=dict)  # dimension -> column
    time: str = ""

    @property
    def table(self) -> str:
        return str(apps.get_model(self.model)._meta.db_table)


sources: dict[str, Source] = {}


def register(model: str, *, time: str = "", **columns: str) -> None:
    """`register("incidents.Incident", time="detected_at", cluster="cluster_name", state="state")`"""
    assert set(columns) <= set(DIMENSIONS), columns
    sources[model] = Source(model, columns, time)
