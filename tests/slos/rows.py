"""SLO rows as tests of the evaluation need them, without the validation of the library."""

from decimal import Decimal
from typing import Any

from slos.models import SLO
from tests.conftest import NOON


def slo_row(**overrides: Any) -> SLO:
    values: dict[str, Any] = {
        "name": "checkout-availability",
        "namespace": "shop",
        "service": "checkout",
        "type": "availability",
        "target": Decimal("99.9"),
        "window": "30d",
        "due_at": NOON,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return SLO.objects.create(**values | overrides)


def measured_row(url: str, **overrides: Any) -> SLO:
    """One that counts the requests which `tests.slos.prometheus` serves."""
    values: dict[str, Any] = {
        "source": "prometheus",
        "prometheus_url": url,
        "bad_query": "errors_total",
        "total_query": "requests_total",
    }
    return slo_row(**values | overrides)
