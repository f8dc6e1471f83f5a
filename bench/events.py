"""Listeners of `/events`: `python -m bench.events [--listeners N] [--changes N]`.

One web process as the Procfile starts it, N listeners, and changes that are committed in the database. Measures the time from
the commit until each listener has the event, what the listeners cost in memory, and the requests per second that one other
client gets with them and without them.

Works on a database of its own under the temporary folder, or on the one that DATABASE_URL names.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import httpx

ROOT = Path(__file__).resolve().parent.parent
PORT = 8597
EVERY = 0.77  # seconds between two changes
SECONDS = 4.0  # of a measurement of other requests


@contextmanager
def web() -> Iterator[subprocess.Popen[bytes]]:
    from aiops.processes import read_procfile

    env = os.environ | {
        "CHATCLI_API_PORT": str(PORT),
        "AIOPS_LOG_LEVEL": "WARNING",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    process = subprocess.Popen(["/bin/sh", "-c", read_procfile(ROOT / "Procfile")["web"]], cwd=ROOT, env=env)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{PORT}/healthz", timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def new_key() -> str:
    from django.utils import timezone

    from aiops.apikeys import services
    from aiops.apikeys.roles import Role

    return services.create(role=Role.VIEWER, at=timezone.now())[1]


def happen(number: int) -> float:
    """Commit a change; returns when it was committed."""
    from django.db import transaction
    from django.utils import timezone

    from aiops.audit import services
    from aiops.audit.actor import SYSTEM

    with transaction.atomic():
        services.record(services.Record("incident.open", SYSTEM, "Incident", f"bench-{number}"), at=timezone.now())
    return time.monotonic()


async def listen(key: str, heard: dict[str, list[float]], wanted: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n\r\n".encode())
    seen = 0
    while seen < wanted:
        line = await reader.readline()
        if not line:
            raise SystemExit("a stream ended")
        if b'"bench-' in line:
            heard.setdefault(line.split(b'"name":"')[1].split(b'"')[0].decode(), []).append(time.monotonic())
            seen += 1
    writer.close()


async def others(key: str) -> float:
    """Requests per second of one client that asks one after the other."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", headers={"X-API-Key": key}, timeout=30) as client:
        began, count = time.monotonic(), 0
        while time.monotonic() - began < SECONDS:
            (await client.get("/api/v1/clusters")).raise_for_status()
            count += 1
    return count / (time.monotonic() - began)


def memory(parent: int) -> float:
    """Megabytes of the children of the process, shared pages counted in each."""
    table = subprocess.run(["ps", "-o", "rss=", "--ppid", str(parent)], check=True, capture_output=True, text=True)
    return sum(int(size) for size in table.stdout.split()) / 1024


async def measure(listeners: int, changes: int, key: str, process: subprocess.Popen[bytes]) -> None:
    alone, before = await others(key), memory(process.pid)
    heard: dict[str, list[float]] = {}
    tasks = [asyncio.create_task(listen(key, heard, changes)) for _ in range(listeners)]
    await asyncio.sleep(3)
    beside, after = await others(key), memory(process.pid)
    committed = {}
    for number in range(changes):
        committed[f"bench-{number}"] = await asyncio.to_thread(happen, number)
        await asyncio.sleep(EVERY)
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    took = sorted(at - committed[name] for name, times in heard.items() for at in times)
    print(f"{listeners} listeners heard {len(took)} of {listeners * changes} events")
    late = took[int(len(took) * 0.99)]
    print(f"from commit to listener: median {statistics.median(took):.2f} s, p99 {late:.2f} s, most {took[-1]:.2f} s")
    print(f"memory of the web process: {before:.0f} MB alone, {after:.0f} MB with them")
    print(f"other requests, one client: {alone:.0f}/s alone, {beside:.0f}/s with them")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=300)
    parser.add_argument("--changes", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIOPS_DATA_DIR", folder)
        os.environ["CHATCLI_API_RATE_LIMIT_VIEWER"] = "1000000"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiops.settings")
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        key = new_key()
        with web() as process:
            asyncio.run(measure(options.listeners, options.changes, key, process))


if __name__ == "__main__":
    main()
