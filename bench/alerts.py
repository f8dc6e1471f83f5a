"""Alerts per second through `POST /alerts/alertmanager`: `python -m bench.alerts [--seconds S] [--threads N]`.

Starts the web server itself, on the database of `DATABASE_URL` (default: an embedded one that is thrown away). Every alert opens
an incident of its own, which is the dearest case; repeated ones are measured beside it.
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson

ROOT = Path(__file__).resolve().parent.parent
PORT = 8199
PATH = f"http://127.0.0.1:{PORT}/api/v1/alerts/alertmanager"
Body = Callable[[int], bytes]


def document(first: int, count: int) -> bytes:
    alerts = [
        {
            "status": "firing",
            "labels": {
                "alertname": "HighErrorRate", "namespace": f"team-{number % 50}", "deployment": f"workload-{number}",
                "severity": "warning", "cluster": "bench",
            },
            "annotations": {"summary": f"5xx ratio of workload-{number} above 5 %"},
            "startsAt": "2027-04-12T11:59:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph?g0.expr=errors",
        }
        for number in range(first, first + count)
    ]  # fmt: skip
    return orjson.dumps({"version": "4", "groupKey": "{}", "status": "firing", "receiver": "bench", "alerts": alerts})


@contextmanager
def server(threads: int) -> Iterator[str]:
    """A fresh installation with one web process; gives an API key."""
    folder = tempfile.mkdtemp(prefix="aiops-bench-")
    env = os.environ | {
        "AIOPS_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "aiops.settings", "CELERY_BROKER_URL": "memory://",
        "CHATCLI_API_RATE_LIMIT_OPERATOR": "100000000", "AIOPS_LOG_LEVEL": "ERROR",
    }  # fmt: skip
    env.setdefault("AIOPS_SECRET_KEY", "bench-only-not-a-secret-0123456789abcdef0123456789abcdef")
    env.setdefault("AIOPS_ENCRYPTION_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, env=env, check=True)
    made = subprocess.run(
        [*manage, "createapikey", "--role", "operator"], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )
    command = [
        "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(PORT), "--workers", "1",
        "--blocking-threads", str(threads), "--no-access-log", "--log-level", "error", "aiops.wsgi:application",
    ]  # fmt: skip
    child = subprocess.Popen([str(Path(sys.executable).parent / command[0]), *command[1:]], cwd=ROOT, env=env)
    try:
        wait_until_ready()
        yield made.stdout.strip()
    finally:
        child.terminate()
        child.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/healthz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the server did not start within 60 s")


def load(key: str, body: Body, *, group: int, seconds: float, threads: int) -> float:
    """Alerts per second that were answered 202."""
    numbers = itertools.count()
    stored: list[int] = []
    end = time.monotonic() + seconds

    def send() -> None:
        done = 0
        with httpx.Client(headers={"X-API-Key": key}, timeout=60) as client:
            while time.monotonic() < end:
                answer = client.post(PATH, content=body(next(numbers)))
                if answer.status_code != httpx.codes.ACCEPTED:
                    raise SystemExit(f"answered {answer.status_code}: {answer.text[:200]}")
                done += group
        stored.append(done)

    workers = [threading.Thread(target=send) for _ in range(threads)]
    started = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(stored) / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    facts: dict[str, Any] = {"seconds": options.seconds, "threads": options.threads}
    with server(options.threads) as key:
        load(key, lambda number: document(number, 1), group=1, seconds=1, threads=1)  # warm
        single = load(key, lambda number: document(10**6 + number, 1), group=1, **facts)
        many = load(key, lambda number: document(2 * 10**6 + 100 * number, 100), group=100, **facts)
        again = load(key, lambda _: document(2 * 10**6, 100), group=100, **facts)
    print(f"new alerts, groups of 1    {single:>10,.0f} alerts/s")
    print(f"new alerts, groups of 100  {many:>10,.0f} alerts/s  {many / single:5.1f} x")
    print(f"repeated, groups of 100    {again:>10,.0f} alerts/s  {again / single:5.1f} x")


if __name__ == "__main__":
    main()
