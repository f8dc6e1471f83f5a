"""Deep pages, conditional reads and exact counts: `python -m bench.reads [--incidents N] [--keep] [--seconds S] [--rounds N]`.

1. The latency of the page in the middle and of the last one beside the first one.
2. Unchanged lists that answer 304, beside the full list of the service and of the floor.
3. `totalCount` while 50 incidents a second are opened: each answer has to lie between what was stored before the request and
   what was sent before its answer; and how many rows the database reads for a page meanwhile.
"""

import argparse
import threading
import time
from collections.abc import Sequence
from functools import partial

import httpx

from bench import endpoints, results, servers, wrk
from bench.alerts import PATH as ALERTS
from bench.alerts import document
from bench.endpoints import API, Contenders
from bench.servers import Installation
from bench.wrk import Call, Measured

WRITES = 50  # per second


def deep(of: Contenders, *, seconds: float, rounds: int) -> None:
    pages = -(-of.get("service", API)["metadata"]["totalCount"] // 20)
    asked = {"first": 1, "middle": max(1, pages // 2), "last": pages}
    turns = {
        f"page {number:,} ({name})": partial(_load, of, "service", [Call("GET", f"{API}?page={number}")], seconds)
        for name, number in asked.items()
    }
    found = wrk.alternate(turns, rounds=rounds)
    first = next(iter(found.values()))
    rows = [
        [name, f"{got.rate:,.0f}", f"{got.p50:.1f}", f"{got.p99:.1f}", f"{got.p50 / first.p50:.1f} ×"]
        for name, got in found.items()
    ]
    results.table(
        f"Deep pages, {of.at.incidents:,} incidents", ("page", "requests/s", "p50 ms", "p99 ms", "to page 1"), rows,
        note="Goal: the middle within 5 times the latency of the first.",
    )  # fmt: skip


def _load(of: Contenders, who: str, calls: Sequence[Call], seconds: float, *, tagged: bool = False) -> Measured:
    headers = dict(of.headers)
    if tagged:
        headers["If-None-Match"] = httpx.get(of.urls[who] + calls[0].path, headers=headers).headers.get("ETag", "")
    return wrk.start(of.urls[who], calls, headers=headers, seconds=seconds).result()


def conditional(of: Contenders, *, seconds: float, rounds: int) -> None:
    answer = httpx.get(of.urls["service"] + API, headers=dict(of.headers))
    tag = answer.headers.get("ETag", "")
    again = httpx.get(of.urls["service"] + API, headers={**of.headers, "If-None-Match": tag})
    if not tag or again.status_code != httpx.codes.NOT_MODIFIED:
        raise wrk.Refused(f"the list has the ETag {tag!r} and is answered {again.status_code} when it is unchanged")
    calls = [Call("GET", API)]
    found = wrk.alternate(
        {
            "unchanged: 304": partial(_load, of, "service", calls, seconds, tagged=True),
            "changed: 200": partial(_load, of, "service", calls, seconds),
            "floor: 200": partial(_load, of, "floor", calls, seconds),
        },
        rounds=rounds,
    )
    # an answer of 200 has a body of some ten kilobytes, so the bytes tell whether the tag stayed true all the time
    unchanged = found["unchanged: 304"]
    if unchanged.bytes / unchanged.requests > len(answer.content) / 2:
        raise wrk.Refused("the unchanged list was sent again")
    floor = found["floor: 200"].rate
    rows = [
        [name, f"{got.rate:,.0f}", f"{got.p50:.1f}", f"{got.p99:.1f}", f"{got.rate / floor:.2f}"]
        for name, got in found.items()
    ]
    results.table(
        f"Conditional reads, {of.at.incidents:,} incidents", ("list", "requests/s", "p50 ms", "p99 ms", "to floor's list"), rows,
        note="Goal: 304 at 0.7 of the floor's list or better.",
    )  # fmt: skip


class Writer(threading.Thread):
    """Opens `WRITES` incidents per second and knows how many were sent and how many are stored."""

    def __init__(self, url: str, headers: dict[str, str], seconds: float) -> None:
        super().__init__()
        self.url, self.headers, self.seconds = url + ALERTS, headers, seconds
        self.sent = self.stored = 0
        self.failure = ""

    def run(self) -> None:
        began = time.monotonic()
        with httpx.Client(headers=self.headers, timeout=30) as client:
            while time.monotonic() - began < self.seconds:
                time.sleep(max(0, began + self.sent / WRITES - time.monotonic()))
                number = 10**8 + self.sent
                self.sent += 1
                answer = client.post(self.url, content=document(number, 1))
                if answer.status_code != httpx.codes.ACCEPTED:
                    self.failure = answer.text[:200]
                    return
                self.stored += 1


def counts(of: Contenders, *, seconds: float) -> None:
    headers, url = dict(of.headers), of.urls["service"]
    before = of.get("service", API)["metadata"]["totalCount"]
    read_before = _rows_read(of.at)
    writer = Writer(url, headers, seconds)
    writer.start()
    answers = wrong = 0
    with httpx.Client(headers=headers, timeout=30) as client:
        while writer.is_alive():
            least = writer.stored
            total = client.get(url + API).json()["metadata"]["totalCount"] - before
            answers += 1
            wrong += not least <= total <= writer.sent
    writer.join()
    read = (_rows_read(of.at) - read_before) / max(1, answers)
    with of.at.connect() as connection:
        (exact,) = connection.execute("select count(*) from incidents_incident").fetchone() or (0,)
    total = of.get("service", API)["metadata"]["totalCount"]
    results.table(
        f"`totalCount` while {writer.stored / seconds:.0f} incidents/s are opened, {of.at.incidents:,} incidents",
        ("", "answers", "wrong", "rows read per answer"), [["exact count", f"{answers:,}", wrong, f"{read:,.0f}"]],
        note="Rows read: of all indexes and tables, the writes included. Goal: none wrong, no scan.",
    )  # fmt: skip
    if wrong or total != exact or writer.failure:
        raise wrk.Refused(f"{wrong} counts were wrong; at the end {total} instead of {exact} {writer.failure}")


def _rows_read(at: Installation) -> int:
    """What the database read of incidents so far: rows and index entries."""
    time.sleep(1.5)  # the processes report what they did once a second at most
    with at.connect() as connection:
        row = connection.execute(
            "select sum(seq_tup_read) + (select sum(idx_tup_read) from pg_stat_user_indexes "
            "where relname = 'incidents_incident') from pg_stat_user_tables where relname = 'incidents_incident'"
        ).fetchone()
    return int(str(row[0] or 0)) if row else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    servers.arguments(parser)
    options = parser.parse_args()
    with servers.installation(options.incidents, keep=options.keep, source=options.source) as at:
        endpoints.prepare(at)
        with endpoints.contenders(at, workers=options.workers, threads=options.threads, stock=False) as of:
            deep(of, seconds=options.seconds, rounds=options.rounds)
            # before incidents are opened: the age of a young one changes every second, and so does its list
            conditional(of, seconds=options.seconds, rounds=options.rounds)
            counts(of, seconds=3 * options.seconds)


if __name__ == "__main__":
    main()
