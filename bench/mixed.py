"""Mixed load: `python -m bench.mixed [--minutes M] [--incidents N] [--share 0.6]`.

90 % reads (list, filtered list, single incident, timeline), 10 % writes (acknowledgements, comments, alerts that open incidents),
with two workers and beat at work. First as fast as it goes, which is the peak; then at a share of the peak for some minutes.
Prints latency, errors, and the memory of each process over time. What has to be: p99 under 50 ms, no error, flat memory.
"""

import argparse
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import alerts, endpoints, results, servers, wrk
from bench.endpoints import API, Samples
from bench.servers import Installation
from bench.wrk import Call

CONNECTIONS = 16
PEAK_SECONDS = 8
P99, MEMORY = 50, 250  # goals: milliseconds, megabytes
COMMENT = '{"author": "bench@example.com", "message": "still looking"}'


def calls(samples: Samples, count: int, *, seed: int) -> list[Call]:
    """Of ten requests nine read. Nothing is acknowledged twice."""
    chance, by = random.Random(seed), endpoints.calls(samples)
    to_acknowledge = iter(by["acknowledge"][seed * len(samples.open) // 4 :])
    alert = 10**7 * (1 + seed)
    made = []
    for number in range(count):
        if number % 10:
            kind = ("list", "filtered", "single", "timeline")[number % 4]
            made.append(chance.choice(by[kind]))
        elif number % 30 == 0 and (call := next(to_acknowledge, None)):
            made.append(call)
        elif number % 30 == 10:
            made.append(Call("POST", alerts.PATH, alerts.document(alert + number, 1).decode()))
        else:
            made.append(Call("POST", f"{API}/{chance.choice(samples.open)}/comment", COMMENT))
    chance.shuffle(made)
    return made


def memory(root: int) -> dict[int, tuple[str, float]]:
    """Resident megabytes of the processes below `root`: number -> (name, megabytes)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = {}, list(children.get(root, ()))
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, ())
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            name = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if (kind := _kind(name)) and pages:
            found[pid] = (kind, pages * 4096 / 1e6)
    return found


def _kind(command: str) -> str:
    """Which of ours it is; the granian that only watches the others counts as well."""
    if "granian" in command or "multiprocessing" in command:
        return "web"
    return "worker" if " worker " in command else "beat" if " beat " in command else ""


@contextmanager
def running(at: Installation, options: argparse.Namespace) -> Iterator[str]:
    with (
        servers.service(at, workers=options.workers, threads=options.threads) as url,
        servers.celery(at, workers=2),
    ):
        time.sleep(8)
        yield url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    servers.arguments(parser)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--share", type=float, default=0.6, help="of the peak")
    options = parser.parse_args()
    with servers.installation(options.incidents, keep=options.keep, source=options.source) as at:
        samples = endpoints.prepare(at)
        with running(at, options) as url:
            headers = {"X-API-Key": at.new_key()}
            wrk.start(url, endpoints.calls(samples)["single"], headers=headers, seconds=2).result()
            many = calls(samples, 20_000, seed=0)
            peak = wrk.start(url, many, headers=headers, seconds=PEAK_SECONDS, once=True, harmless="/healthz").result()
            rate, seconds = options.share * peak.rate, options.minutes * 60
            pause = max(1.0, CONNECTIONS / rate * 1000 - peak.p50)
            steady = wrk.start(
                url, calls(samples, int(rate * seconds * 1.3), seed=1), headers=headers, seconds=seconds,
                connections=CONNECTIONS, once=True, pause=pause, harmless="/healthz",
            )  # fmt: skip
            seen = watch(steady)
            measured = steady.result(strict=False)
    show(peak, measured, seen, options)


def watch(load: wrk.Running) -> dict[tuple[str, int], list[float]]:
    """Memory of each process every few seconds while the load runs."""
    seen: dict[tuple[str, int], list[float]] = {}
    while load.process.poll() is None:
        for pid, (kind, megabytes) in memory(os.getpid()).items():
            seen.setdefault((kind, pid), []).append(megabytes)
        time.sleep(2)
    return seen


def show(
    peak: wrk.Measured, measured: wrk.Measured, seen: dict[tuple[str, int], list[float]], options: argparse.Namespace
) -> None:
    results.table(
        f"Mixed load for {options.minutes:g} minutes, {options.incidents:,} incidents",
        ("", "requests/s", "p50 ms", "p99 ms", "longest ms", "requests", "errors"),
        [
            [
                name, f"{got.rate:,.0f}", f"{got.p50:.1f}", f"{got.p99:.1f}", f"{got.longest:.0f}", f"{got.requests:,}",
                got.errors,
            ]
            for name, got in (("peak", peak), (f"{options.share:.0%} of it", measured))
        ],
        note=f"Goal: p99 under {P99} ms, no error.",
    )  # fmt: skip
    rows = []
    for (kind, _), series in sorted(seen.items()):
        quarter = max(1, len(series) // 4)
        rows.append(
            [
                kind,
                f"{series[0]:.0f}",
                f"{max(series[:quarter]):.0f}",
                f"{max(series[-quarter:]):.0f}",
                f"{max(series):.0f}",
            ]
        )
    head = ("process", "MB at the start", "most in the first quarter", "most in the last quarter", "most")
    results.table(
        "Memory under the mixed load",
        head,
        rows,
        note=f"Resident, shared pages included. Goal: under {MEMORY} MB, flat.",
    )
    if measured.errors:
        raise SystemExit(f"{measured.errors} requests failed")


if __name__ == "__main__":
    main()
