"""Alerts in: `python -m bench.alerts [--incidents N] [--seconds S] [--workers N] [--threads N]`.

`POST /alerts/alertmanager` in groups of 1, 10 and 100 beside a Prometheus Alertmanager on the same machine that takes the same
alerts by its own API. Ours stores every alert and correlates it. Three kinds: every alert a new workload (an incident of its
own, the dearest case), many new alerts of few workloads, and the same alerts again. `wrk` with 8 connections, in turns.
"""

import argparse
import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import orjson

from bench import results, servers, wrk
from bench.servers import Installation
from bench.wrk import Call, Measured

PATH = "/api/v1/alerts/alertmanager"
THEIRS = "/api/v2/alerts"
GROUPS = (1, 10, 100)
WORKLOADS = 500  # of the storm
MOST_REQUESTS = {1: 20_000, 10: 6_000, 100: 1_200}  # that are prepared for one measurement

Labels = Callable[[int], dict[str, str]]


def new_workload(number: int) -> dict[str, str]:
    return {"alertname": "HighErrorRate", "namespace": f"team-{number % 50}", "deployment": f"workload-{number}"}


def few_workloads(number: int) -> dict[str, str]:
    """Every alert is new, and belongs to one of 500 workloads."""
    workload = number % WORKLOADS
    return {
        "alertname": f"Symptom{number // WORKLOADS}", "namespace": f"storm-{workload % 50}", "deployment": f"busy-{workload}",
    }  # fmt: skip


def alert(labels: dict[str, str]) -> dict[str, object]:
    return {
        "status": "firing",
        "labels": labels | {"severity": "warning", "cluster": "bench"},
        "annotations": {"summary": f"5xx ratio of {labels['deployment']} above 5 %"},
        "startsAt": "2026-11-01T11:59:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=errors",
    }


def document(first: int, count: int, labels: Labels = new_workload) -> bytes:
    """What Alertmanager sends to us."""
    alerts = [alert(labels(number)) for number in range(first, first + count)]
    return orjson.dumps({"version": "4", "groupKey": "{}", "status": "firing", "receiver": "bench", "alerts": alerts})


def posted(first: int, count: int, labels: Labels) -> bytes:
    """The same alerts as Prometheus sends them to Alertmanager, which reads "0001" as an end in the past."""
    alerts = [alert(labels(number)) for number in range(first, first + count)]
    return orjson.dumps([{**one, "endsAt": "2037-01-01T00:00:00Z"} for one in alerts])


@contextlib.contextmanager
def alertmanager(at: Installation) -> Iterator[str]:
    """A real one, with a receiver that sends nothing; its URL, or "" where it is not installed."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        print("no Alertmanager installed: measured without")
        yield ""
        return
    config = at.folder / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n", encoding="utf-8")
    port = servers.free_port()
    command = [
        program, "--config.file", str(config), "--storage.path", str(at.folder / "alertmanager"), "--log.level", "error",
        "--web.listen-address", f"127.0.0.1:{port}", "--cluster.listen-address", "",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with servers.child(command, log=at.folder / "alertmanager.log", env=at.env):
        servers.wait_for(lambda: httpx.get(f"{url}/-/ready", timeout=5).is_success, "Alertmanager")
        yield url


class Numbers:
    """Every measurement gets alerts that were not sent before."""

    def __init__(self) -> None:
        self.next = 10**6

    def take(self, count: int) -> int:
        self.next += count
        return self.next - count


def measure(url: str, key: str, group: int, labels: Labels, *, seconds: float, numbers: Numbers) -> Measured:
    """Of the service; ends early when all prepared alerts were sent."""
    requests = int(MOST_REQUESTS[group] * min(1, seconds / 4))
    first = numbers.take(requests * group)
    calls = [Call("POST", PATH, document(first + number * group, group, labels).decode()) for number in range(requests)]
    headers = {"X-API-Key": key}
    return wrk.start(url, calls, headers=headers, seconds=seconds, once=True, harmless="/healthz").result()


def measure_theirs(url: str, group: int, labels: Labels, *, seconds: float, numbers: Numbers) -> Measured:
    requests = int(MOST_REQUESTS[group] * min(1, seconds / 4))
    first = numbers.take(requests * group)
    calls = [Call("POST", THEIRS, posted(first + number * group, group, labels).decode()) for number in range(requests)]
    return wrk.start(url, calls, headers={}, seconds=seconds, once=True, harmless="/-/ready").result()


def again(url: str, key: str, group: int, *, seconds: float) -> Measured:
    """The same alerts over and over, as Alertmanager repeats them."""
    calls = [Call("POST", PATH, document(number * group, group).decode()) for number in range(20)]
    headers = {"X-API-Key": key}
    wrk.start(url, calls, headers=headers, seconds=1).result()
    return wrk.start(url, calls, headers=headers, seconds=seconds).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    servers.arguments(parser, incidents=100_000, seconds=3)
    options = parser.parse_args()
    rows, numbers = [], Numbers()
    with (
        servers.installation(options.incidents, keep=options.keep, source=options.source) as at,
        servers.service(at, workers=options.workers, threads=options.threads) as url,
        alertmanager(at) as theirs,
    ):
        key, seconds = at.new_key(), {"seconds": options.seconds}
        for group in GROUPS:
            turns = {
                "new": partial(measure, url, key, group, new_workload, numbers=numbers, **seconds),
                "few": partial(measure, url, key, group, few_workloads, numbers=numbers, **seconds),
                "again": partial(again, url, key, group, **seconds),
            }
            if theirs:
                turns["theirs"] = partial(measure_theirs, theirs, group, new_workload, numbers=numbers, **seconds)
            found = wrk.alternate(turns, rounds=options.rounds)
            rows.append(row(group, found))
            print(rows[-1], flush=True)
    head = (
        "alerts/s, groups of",
        "new workloads",
        "p99 ms",
        "500 workloads",
        "repeated",
        "Alertmanager",
        "new to it",
        "500 to it",
    )
    results.table(
        f"Alerts in, {options.incidents:,} incidents", head, rows, note="Goal: groups of 100 at 0.5 of Alertmanager."
    )


def row(group: int, found: dict[str, Measured]) -> list[object]:
    new, few, repeated, theirs = (found.get(name) for name in ("new", "few", "again", "theirs"))
    assert new and few and repeated
    return [
        group, f"{new.rate * group:,.0f}", f"{new.p99:.0f}", f"{few.rate * group:,.0f}", f"{repeated.rate * group:,.0f}",
        f"{theirs.rate * group:,.0f}" if theirs else "", f"{new.rate / theirs.rate:.2f}" if theirs else "",
        f"{few.rate / theirs.rate:.2f}" if theirs else "",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
