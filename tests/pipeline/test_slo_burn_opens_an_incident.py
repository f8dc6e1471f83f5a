"""A service fails in a real Prometheus, a worker finds its budget burning, and an incident opens."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from tests.processes import eventually, running
from tests.slos.prometheus import SCRAPE, counter, samples, serving

pytestmark = [pytest.mark.journey, pytest.mark.services, pytest.mark.django_db(transaction=True)]

DAY = timedelta(days=1)
HALF_AN_HOUR = 1800


def failing_lately() -> list[str]:
    """Ten requests per second for a day; half of them failed in the last half hour."""
    until = timezone.now() + timedelta(minutes=10)
    end = int(until.timestamp())
    begin = end - 600 - HALF_AN_HOUR
    errors = [(at, max(0.0, (at - begin) * 5.0)) for at in range(end - int(DAY.total_seconds()), end + 1, SCRAPE)]
    return [*counter("requests_total", until=until, length=DAY, per_second=10), *samples("errors_total", errors)]


def test_burning_budget_opens_an_incident(tmp_path):
    _, key = apikeys.create(role=Role.ADMIN, at=timezone.now())

    with serving(tmp_path, failing_lately()) as prometheus, running(tmp_path, AIOPS_SLO_DELAY="0") as stack:
        web = stack.start_web()
        stack.start_worker()
        stack.start_beat()
        with httpx.Client(base_url=f"{web}/api/v1", headers={"X-API-Key": key}, timeout=60) as client:
            create(client, prometheus.url)

            incident = eventually(lambda: first(client, "/incidents"), or_say="the burning budget opens an incident")
            slo = client.get("/slos/checkout-availability").json()

    assert incident is not None
    assert (incident["signalType"], incident["severity"]) == ("slo_violation", "critical")
    assert slo["status"]["status"] == "breached"
    assert slo["status"]["burnRate"]["1h"] > 14.4
    assert "5m/1h" in [alert["window"] for alert in slo["status"]["activeAlerts"]]


def create(client: httpx.Client, url: str) -> None:
    body = {
        "name": "checkout-availability",
        "namespace": "shop",
        "service": "checkout",
        "type": "availability",
        "target": 99.9,
        "indicator": {
            "source": "prometheus",
            "goodEventsQuery": "requests_total - errors_total",
            "totalEventsQuery": "requests_total",
            "prometheus": url,
        },
    }
    answer = client.post("/slos", json=body)
    assert answer.status_code == 201, answer.text


def first(client: httpx.Client, path: str) -> dict[str, Any] | None:
    items: list[dict[str, Any]] = client.get(path).json()["items"]
    return items[0] if items else None
