"""Milliseconds per analytics request over 10³ to 10⁶ incidents: `python -m bench.analytics [--up-to N] [--requests N] [--writes]`.

Needs `DATABASE_URL`; works in a database of its own on that server, which it makes and drops. The incidents of every size are
spread over the same 90 days, so what grows is the number of rows inside the period. Requests run through the whole stack in
this process (middleware, key, limit, view, renderer) without a network.
"""

import argparse
import os
import statistics
import time
from datetime import timedelta
from typing import Any

import django

DAYS = 90
REQUESTS = (
    "analytics/summary?period=30d", "analytics/summary?period=90d&namespace=search", "analytics/mttd?period=30d",
    "analytics/mttr?period=30d", "analytics/mttr?period=90d",
    "analytics/mttr?period=30d&granularity=hourly&cluster=harbor-eu", "analytics/mttr?period=90d&granularity=hourly",
    "analytics/trends?period=90d", "analytics/top-resources?period=30d",
    "analytics/top-resources?period=90d&severity=high", "analytics/remediation-stats?period=30d",
    "analytics/compliance?period=30d", "analytics/capacity?period=30d", "reports/incidents?period=30d",
    "reports/slo?period=30d", "reports/compliance?period=30d", "reports/capacity?period=30d", "reports/noise?period=30d",
)  # fmt: skip

Times = dict[str, list[float]]


def fill(incidents: int, seed: int) -> float:
    """Add that many incidents; returns the seconds it took."""
    from django.utils import timezone

    from analytics.services.generating import Order, generate

    until = timezone.now().replace(minute=0, second=0, microsecond=0)
    began = time.perf_counter()
    generate(Order(incidents, until - timedelta(days=DAYS), until, seed))
    return time.perf_counter() - began


def disturb(number: int) -> None:
    """Change one of the newest incidents, so that its hour counts as outdated."""
    from incidents.models import Incident

    newest = Incident.objects.order_by("-detected_at").values_list("pk", flat=True)[:500]
    Incident.objects.filter(pk=newest[number * 37 % len(newest)]).update(risk_score=number % 100)


def measure(requests: int, *, writes: bool) -> Times:
    """Milliseconds of every request, after one of each to warm up. `writes`: each comes right after a change."""
    from django.conf import settings
    from django.test import Client
    from django.utils import timezone

    from aiops.apikeys import services
    from aiops.apikeys.roles import Role

    settings.AIOPS_RATE_LIMITS["viewer"] = 10**9
    _, key = services.create(role=Role.VIEWER, description="bench", at=timezone.now())
    client = Client(headers={"X-API-Key": key})
    times: Times = {}
    for path in REQUESTS:
        for number in range(requests + 1):
            if writes:
                disturb(number)
            began = time.perf_counter()
            answer = client.get(f"/api/v1/{path}")
            took = (time.perf_counter() - began) * 1_000
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code} {answer.content.decode()[:500]}")
            if number:
                times.setdefault(path, []).append(took)
    return times


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]


def report(found: dict[int, Times]) -> None:
    sizes = sorted(found)
    print(f"\n{'milliseconds, median / p99':<58}" + "".join(f"{size:>18,}" for size in sizes) + f"{'growth':>9}")
    for path in REQUESTS:
        cells = "".join(
            f"{statistics.median(found[size][path]):>10.1f} /{p99(found[size][path]):>6.1f}" for size in sizes
        )
        growth = statistics.median(found[sizes[-1]][path]) / statistics.median(found[sizes[0]][path])
        print(f"{path:<58}{cells}{growth:>8.1f}x")


def run(up_to: int, requests: int, *, writes: bool) -> None:
    found: dict[int, Times] = {}
    size, there = 1_000, 0
    while size <= up_to:
        took = fill(size - there, seed=size)
        print(f"{size - there:>10,} incidents and everything around them in {took:.1f} s", flush=True)
        there = size
        found[size] = measure(requests, writes=writes)
        size *= 10
    report(found)


def main(arguments: Any = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--up-to", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=100, help="per endpoint and size")
    parser.add_argument("--writes", action="store_true", help="change an incident before each request")
    options = parser.parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiops.settings")
    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        run(options.up_to, options.requests, writes=options.writes)
    finally:
        connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)


if __name__ == "__main__":
    main()
