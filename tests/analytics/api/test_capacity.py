from datetime import timedelta
from typing import Any

import pytest

from analytics.models import Usage
from analytics.periods import HOUR, bucket_start, seconds_of
from analytics.services import sampling
from analytics.services.sampling import Sample
from tests.analytics.api.conftest import Api
from tests.conftest import NOON
from tests.factories import make_incident

pytestmark = pytest.mark.django_db


def make_day(days_ago: int, **facts: Any) -> Usage:
    start = bucket_start(seconds_of(NOON) // HOUR, 24) - 24 * days_ago
    values = {
        "grain": 24, "start": start, "cluster": "east", "namespace": "shop", "kind": "Deployment", "name": "api",
        "samples": 1, "cpu_sum": 100, "cpu_max": 100, "cpu_limit": 1_000, "memory_sum": 500, "memory_max": 500,
        "memory_limit": 1_000,
    }  # fmt: skip
    return Usage.objects.create(**values | facts)


class TestCapacity:
    def test_tells_when_the_limit_is_reached(self, viewer: Api) -> None:
        for days_ago in range(7):
            make_day(days_ago, memory_sum=800 - 40 * days_ago, memory_max=800)

        document = viewer.get("/analytics/capacity").json()

        item = document["items"][0]
        assert document["metadata"]["totalCount"] == document["metadata"]["pageSize"] == 1
        assert (item["Urgency"], item["Trend"]["Direction"]) == ("urgent", "increasing")
        assert item["Trend"]["MemoryTrendPerDay"] == 4.0
        assert item["UsagePercentage"] == {"CPU": 10.0, "Memory": 80.0}
        assert item["CurrentUsage"] == {"CPUMillicores": 100, "MemoryBytes": 800}
        assert item["Forecast"]["MemoryExhaustionDate"] == "2027-04-17T00:00:00Z"
        assert (item["Forecast"]["DaysUntilMemoryExhaustion"], item["Forecast"]["CPUExhaustionDate"]) == (4, None)

    def test_says_nothing_from_no_data(self, viewer: Api) -> None:
        make_incident(resource_name="api")

        item = viewer.get("/analytics/capacity").json()["items"][0]

        assert item["Trend"]["Direction"] == "insufficient_data"
        assert item["CurrentUsage"]["CPUMillicores"] is None
        assert (item["IsBottleneck"], item["Urgency"]) == (True, "stable")

    def test_recommends_room_above_the_largest_sample(self, viewer: Api) -> None:
        mib = 2**20
        for days_ago in range(7):
            used = (800 - 20 * days_ago) * mib
            make_day(days_ago, memory_sum=used, memory_max=850 * mib, memory_limit=1_000 * mib)

        item = viewer.get("/analytics/capacity").json()["items"][0]

        assert (item["Urgency"], item["Forecast"]["DaysUntilMemoryExhaustion"]) == ("plan", 9)
        assert item["Recommendation"] == (
            "Memory reaches its limit in about 10 days; plan more capacity (to about 1020Mi)"
        )
        assert item["Quality"] == {"Samples": 7, "Coverage": 0.88, "CPUBacktestError": 0.0, "MemoryBacktestError": 0.0}
        assert item["Forecast"]["MemoryExhaustionEarliest"] == item["Forecast"]["MemoryExhaustionLatest"]

    def test_narrows_to_a_namespace(self, viewer: Api) -> None:
        make_day(0)

        assert viewer.get("/analytics/capacity", namespace="media").json()["items"] == []


class TestStore:
    def test_adds_samples_up(self) -> None:
        place = ("shop", "Deployment", "api")
        for cpu in (100, 300):
            one = Sample(cpu=cpu, memory=10, cpu_limit=1_000, memory_limit=None)
            sampling.store(cluster="east", samples={place: one}, at=NOON)

        day = Usage.objects.get(grain=24)
        assert (day.samples, day.cpu_sum, day.cpu_max, day.memory_limit) == (2, 400, 300, None)

    def test_forgets_what_is_too_old(self) -> None:
        make_day(401)
        make_day(1)

        assert sampling.prune(at=NOON + timedelta(hours=1)) == 1
