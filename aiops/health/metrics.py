"""`/metrics`: gauges that are read from the database when Prometheus asks.

Apps below know nothing of each other, so each registers its own function in its `AppConfig.ready`:

    from aiops.health.metrics import Gauge, register
    register(lambda: [Gauge("chatcli_operator_active_issues", "Open incidents", ("namespace",), rows)])

where `rows` is a list of (label values, number), made by a few aggregate queries.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gauge:
    name: str
    help: str
    labels: Sequence[str]
    rows: Iterable[tuple[Sequence[str], float]]


Measure = Callable[[], Iterable[Gauge]]

_measures: dict[str, Measure] = {}


def register(measure: Measure, *, name: str | None = None) -> None:
    """Add a function to what /metrics shows. The same name again replaces it."""
    _measures[name or f"{measure.__module__}.{measure.__qualname__}"] = measure


class DatabaseCollector(Collector):
    """One family after another; where the database does not answer, the process's own metrics still come."""

    def collect(self) -> Iterator[Metric]:
        for name, measure in list(_measures.items()):
            try:
                gauges = list(measure())
            except (DatabaseError, InterfaceError):
                log.warning("metrics of %s are missing: the database does not answer", name)
                continue
            for gauge in gauges:
                family = GaugeMetricFamily(gauge.name, gauge.help, labels=list(gauge.labels))
                for labels, number in gauge.rows:
                    family.add_metric([str(label) for label in labels], float(number))
                yield family


def process_registry() -> CollectorRegistry:
    """What this process counted, or all web processes together when they share `PROMETHEUS_MULTIPROC_DIR`."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


DATABASE_REGISTRY = CollectorRegistry(auto_describe=False)
DATABASE_REGISTRY.register(DatabaseCollector())
