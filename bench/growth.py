"""How everything grows: `python -m bench.growth [--incidents N] [--keep] [--seconds S]`.

The same requests at 1,000, 10,000, 100,000 … incidents: median latency of each. Nothing may grow faster than logarithmically
unless the answer does.
"""

import argparse
from collections.abc import Sequence

import httpx

from bench import alerts, endpoints, results, servers, wrk
from bench.endpoints import API, Contenders
from bench.wrk import Call, Measured

SMALLEST = 1_000
REPORTS = ("/api/v1/analytics/summary", "/api/v1/analytics/mttr")


def sizes(largest: int) -> list[int]:
    found, size = [], SMALLEST
    while size < largest:
        found.append(size)
        size *= 10
    return [*found, largest]


def measure(of: Contenders, *, seconds: float) -> dict[str, Measured]:
    samples = endpoints.prepare(of.at)
    calls = endpoints.calls(samples)
    pages = -(-of.get("service", API)["metadata"]["totalCount"] // 20)
    reads: dict[str, Sequence[Call]] = {name: calls[name] for name in ("list", "filtered", "single", "timeline")}
    reads |= {"middle page": [Call("GET", f"{API}?page={max(1, pages // 2)}")]}
    reads |= {path.rpartition("/")[2]: [Call("GET", path)] for path in REPORTS if _exists(of, path)}
    url, headers = of.urls["service"], of.headers
    found = {}
    for name, those in reads.items():
        wrk.start(url, those, headers=headers, seconds=1).result()  # warm
        found[name] = wrk.start(url, those, headers=headers, seconds=seconds).result()
    tag = httpx.get(url + API, headers=dict(headers)).headers.get("ETag", "")
    if tag:
        unchanged = {**headers, "If-None-Match": tag}
        found["unchanged list"] = wrk.start(url, calls["list"], headers=unchanged, seconds=seconds).result()
    found["acknowledge"] = wrk.start(url, calls["acknowledge"], headers=headers, seconds=seconds, once=True).result()
    key, numbers = headers["X-API-Key"], alerts.Numbers()
    found["100 new alerts"] = alerts.measure(url, key, 100, alerts.new_workload, seconds=seconds, numbers=numbers)
    return found


def _exists(of: Contenders, path: str) -> bool:
    return httpx.get(of.urls["service"] + path, headers=dict(of.headers), timeout=60).is_success


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    servers.arguments(parser, seconds=2)
    options = parser.parse_args()
    found: dict[int, dict[str, Measured]] = {}
    for size in sizes(options.incidents):
        source = options.source if size == options.incidents else ""
        with (
            servers.installation(size, keep=options.keep, source=source) as at,
            endpoints.contenders(at, workers=options.workers, threads=options.threads, stock=False) as of,
        ):
            found[size] = measure(of, seconds=options.seconds)
            print(f"{size:,}: " + "; ".join(f"{name} {got}" for name, got in found[size].items()), flush=True)
    names = list(found[SMALLEST] if SMALLEST in found else next(iter(found.values())))
    smallest, largest = min(found), max(found)
    rows = []
    for name in names:
        medians = [f"{found[size][name].p50:.1f}" for size in found]
        rows.append([name, *medians, f"{found[largest][name].p50 / found[smallest][name].p50:.1f} ×"])
    head = ("p50 in ms at", *(f"{size:,}" for size in found), "growth")
    results.table(
        f"Growth, {wrk.CONNECTIONS} connections",
        head,
        rows,
        note="Besides the history there are the open incidents to acknowledge.",
    )


if __name__ == "__main__":
    main()
