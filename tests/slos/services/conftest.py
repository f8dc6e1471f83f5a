from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.conftest import NOON
from tests.slos.prometheus import SCRAPE, Server, counter, samples, serving

THREE_DAYS = timedelta(hours=80)
DAY = timedelta(hours=26)
END = int(NOON.timestamp()) + 6 * 3600  # tests go on for a while after noon
LATER = NOON + timedelta(hours=6)


def _stepping(name: str, length: timedelta, growth: dict[int, float]) -> list[str]:
    """A counter whose growth per second changes at the given distances from noon, in seconds."""
    value, rate, points = 0.0, 0.0, []
    noon = int(NOON.timestamp())
    for at in range(noon - int(length.total_seconds()), END + 1, SCRAPE):
        points.append((at, value))
        rate = next((speed for since, speed in sorted(growth.items(), reverse=True) if at - noon >= since), rate)
        value += rate * SCRAPE
    return samples(name, points)


def _with_resets() -> list[str]:
    """Grows by 10 per second and starts at 0 again every hour."""
    noon = int(NOON.timestamp())
    begin = noon - 26 * 3600
    return samples("resetting_total", [(at, (at - begin) % 3600 * 10.0) for at in range(begin, END + 1, SCRAPE)])


def _with_gap() -> list[str]:
    noon = int(NOON.timestamp())
    begin = noon - 26 * 3600
    hidden = range(noon - 3 * 3600, noon - 2 * 3600)
    return samples("gap_total", [(at, (at - begin) * 10.0) for at in range(begin, END + 1, SCRAPE) if at not in hidden])


def _series() -> list[str]:
    lines = counter("requests_total", until=LATER, length=THREE_DAYS + timedelta(hours=6), per_second=10)
    lines += counter("errors_total", until=LATER, length=THREE_DAYS + timedelta(hours=6), per_second=0.02)
    lines += counter("few_total", until=LATER, length=DAY, per_second=40 / 3600)
    lines += counter("idle_total", until=LATER, length=DAY, per_second=0)
    lines += counter("ended_total", until=NOON - timedelta(hours=1), length=DAY, per_second=10)
    for job in ("a", "b"):
        lines += counter(f'twice_total{{job="{job}"}}', until=LATER, length=DAY, per_second=1)
    for bound, share in (("0.1", 0.5), ("0.3", 0.995), ("1", 1.0), ("+Inf", 1.0)):
        lines += counter(f'request_seconds_bucket{{le="{bound}"}}', until=LATER, length=DAY, per_second=10 * share)
    lines += counter("request_seconds_count", until=LATER, length=DAY, per_second=10)
    # half of the requests fail from 20 minutes before noon until 20 minutes after it
    lines += _stepping("burst_total", DAY, {-26 * 3600: 0.0, -1200: 5.0, 1200: 0.0})
    # 5 of 100 fail between 10:00 and 11:00
    lines += _stepping("morning_total", DAY, {-26 * 3600: 0.0, -7200: 0.5, -3600: 0.0})
    return lines + _with_resets() + _with_gap()


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("prometheus"), _series()) as server:
        yield server
