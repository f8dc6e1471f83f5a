"""SLOs per minute with one worker: `python -m bench.slos [--slos N] [--rounds R] [--hours H] [--days D]`.

Starts a local Prometheus over blocks that promtool makes, makes N SLOs on the database of `DATABASE_URL` (default: an embedded
one that is thrown away), measures their history once and then times rounds of what a worker does every minute: claim, ask,
store, judge. A second Prometheus that accepts connections and never answers stands beside it for a tenth of the SLOs. With
`--days`, that many days of stored history lie behind each SLO: what a round costs must not depend on it.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

SERVICES = 50  # with series of their own
SCRAPE = 15
END = datetime(2027, 4, 12, 12, 0, tzinfo=UTC)


def series(hours: int) -> Iterator[str]:
    end = int(END.timestamp()) + 3600
    begin = end - hours * 3600
    for number in range(SERVICES):
        for code, share in (("200", 0.999), ("500", 0.001)):
            label = f'http_requests_total{{service="service-{number}",code="{code}"}}'
            for at in range(begin, end + 1, SCRAPE):
                yield f"{label} {(at - begin) * 20 * share:.3f} {at}"
    yield "# EOF"


@contextmanager
def prometheus(hours: int) -> Iterator[str]:
    for tool in ("prometheus", "promtool"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed")
    with tempfile.TemporaryDirectory(prefix="aiops-bench-") as folder, socket.socket() as probe:
        path = Path(folder)
        with (path / "series.txt").open("w") as file:
            file.writelines(f"{line}\n" for line in series(hours))
        make = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(path / "series.txt"), str(path / "data")]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        (path / "prometheus.yml").write_text("global: {}\n")
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        server = subprocess.Popen(
            [
                "prometheus", f"--config.file={path / 'prometheus.yml'}", f"--storage.tsdb.path={path / 'data'}",
                "--storage.tsdb.retention.time=10y", "--storage.tsdb.min-block-duration=2h",
                "--storage.tsdb.max-block-duration=2h",  # no compaction beside the measurement
                f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
            ]
        )  # fmt: skip
        try:
            _await(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def _await(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/-/ready", timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    sys.exit("Prometheus did not start")


@contextmanager
def hanging() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def installation() -> Iterator[None]:
    folder = tempfile.mkdtemp(prefix="aiops-bench-")
    os.environ |= {
        "AIOPS_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "aiops.settings", "CELERY_BROKER_URL": "memory://",
        "AIOPS_LOG_LEVEL": "ERROR", "AIOPS_ALLOW_PRIVATE_ADDRESSES": "true",
    }  # fmt: skip
    os.environ.setdefault("AIOPS_SECRET_KEY", "bench-only-not-a-secret-0123456789abcdef0123456789abcdef")
    os.environ.setdefault("AIOPS_ENCRYPTION_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def age(days: int) -> None:
    """Lay sums of hours (as long as they are kept) and days behind what was measured."""
    from slos.models import SLO, DailyHistory, HourlyHistory
    from slos.services.history import KEEP_HOURS

    known = HourlyHistory.objects.order_by("hour").values_list("hour", flat=True).first() or END
    last = known.replace(hour=0)
    facts = {"good": 1000.0, "total": 1001.0, "slices": 12}
    for slo in SLO.objects.filter(namespace="bench").order_by("pk"):
        HourlyHistory.objects.bulk_create(
            HourlyHistory(slo=slo, hour=last - timedelta(hours=back), **facts)
            for back in range(1, 24 * min(days, KEEP_HOURS.days))
        )
        DailyHistory.objects.bulk_create(
            DailyHistory(slo=slo, day=(last - timedelta(days=back)).date(), **facts) for back in range(1, days)
        )


def run(count: int, rounds: int, hours: int, days: int) -> None:
    import django  # the settings come from the environment that `installation` made

    django.setup()
    from django.core.management import call_command

    from slos.models import SLO
    from slos.services import evaluation

    call_command("migrate", verbosity=0)
    SLO.objects.filter(namespace="bench").delete()
    with prometheus(hours) as url, hanging() as deaf:
        SLO.objects.bulk_create(
            SLO(
                name=f"slo-{number}", namespace="bench", service=f"service-{number % SERVICES}", type="availability",
                target="99.9", source="prometheus", prometheus_url=deaf if number % 10 == 9 else url,
                bad_query=f'http_requests_total{{service="service-{number % SERVICES}",code=~"5.."}}',
                total_query=f'http_requests_total{{service="service-{number % SERVICES}"}}',
                due_at=END, created_at=END, updated_at=END,
            )
            for number in range(count)
        )  # fmt: skip
        # a run ends at its deadline and leaves the rest to the next one
        first = sum(timed(lambda: evaluation.evaluate_due(at=END, limit=count)) for _ in range(3))
        print(f"first evaluation with {hours} h of history: {first:.1f} s for {count} SLOs", flush=True)
        age(days)
        for number in range(1, rounds + 1):
            at = END + timedelta(minutes=number)
            begun = time.process_time()
            taken = timed(lambda at=at: evaluation.evaluate_due(at=at, limit=count))
            busy = time.process_time() - begun
            done = SLO.objects.filter(namespace="bench", evaluated_at=at).count()
            print(
                f"round {number}: {done} SLOs measured in {taken:.1f} s = {done / taken * 60:,.0f} per minute, {busy:.1f} s of CPU",
                flush=True,
            )


def timed(work: object) -> float:
    begin = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slos", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=int, default=80)
    parser.add_argument("--days", type=int, default=0)
    options = parser.parse_args()
    with installation():
        run(options.slos, options.rounds, options.hours, options.days)


if __name__ == "__main__":
    main()
