"""A storm of alerts: `python -m bench.storm [--alerts N] [--workloads N] [--celery N]`.

Sends N new alerts on few workloads in groups of 100 and measures how long after the last request everything is settled with two
workers: one open incident per workload with all of its alerts, each analysed, none waiting. Ends with an error when an incident
or an alert is missing or doubled, or when it takes longer than the goal.
"""

import argparse
import threading
import time
from collections.abc import Sequence

import httpx

from bench import alerts, results, servers, wrk
from bench.servers import Installation

GOAL = 30.0  # seconds after the last request
PATIENCE = 180.0
SENDERS, GROUP = 4, 100
UNSETTLED = "select count(*) from incidents_incident where state in ('Detected', 'Analyzing')"


def send(url: str, key: str, bodies: Sequence[bytes]) -> float:
    """Seconds that the requests took."""
    failures: list[str] = []

    def work(mine: Sequence[bytes]) -> None:
        with httpx.Client(headers={"X-API-Key": key}, timeout=60) as client:
            for body in mine:
                answer = client.post(url + alerts.PATH, content=body)
                if answer.status_code != httpx.codes.ACCEPTED:
                    failures.append(answer.text[:300])
                    return

    began = time.monotonic()
    senders = [threading.Thread(target=work, args=(bodies[number::SENDERS],)) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if failures:
        raise wrk.Refused(failures[0])
    return time.monotonic() - began


def number(at: Installation, statement: str) -> int:
    with at.connect() as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return int(str(row[0]))


def settle(at: Installation) -> float:
    """Seconds until no incident waits for anything of the pipeline."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        if number(at, UNSETTLED) == 0:
            return time.monotonic() - began
        time.sleep(0.2)
    raise wrk.Refused(f"{number(at, UNSETTLED)} incidents are not settled after {PATIENCE:.0f} s")


def check(at: Installation, *, count: int, workloads: int) -> None:
    """Raises `Refused` unless there is one incident per workload and each alert once."""
    facts = {
        "incidents": (number(at, "select count(*) from incidents_incident"), workloads),
        "workloads": (
            number(at, "select count(distinct (namespace, resource_name)) from incidents_incident"),
            workloads,
        ),
        "alerts": (number(at, "select count(*) from incidents_anomaly"), count),
        "fingerprints": (number(at, "select count(distinct fingerprint) from incidents_anomaly"), count),
        "alerts of no incident": (number(at, "select count(*) from incidents_anomaly where incident_id is null"), 0),
    }
    wrong = [f"{found:,} {what} instead of {wanted:,}" for what, (found, wanted) in facts.items() if found != wanted]
    if wrong:
        raise wrk.Refused("; ".join(wrong))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--workloads", type=int, default=500)
    parser.add_argument("--celery", type=int, default=2, help="worker processes, of two threads each")
    parser.add_argument("--workers", type=int, default=2, help="web processes")
    parser.add_argument("--threads", type=int, default=6, help="of each web process")
    options = parser.parse_args()
    alerts.WORKLOADS = options.workloads
    bodies = [
        alerts.document(first, min(GROUP, options.alerts - first), alerts.few_workloads)
        for first in range(0, options.alerts, GROUP)
    ]
    with (
        servers.installation(0) as at,
        servers.service(at, workers=options.workers, threads=options.threads) as url,
        servers.celery(at, workers=options.celery),
    ):
        key = at.new_key()
        time.sleep(6)  # the workers are up
        took = send(url, key, bodies)
        settled = settle(at)
        check(at, count=options.alerts, workloads=options.workloads)
        at.manage("verify_audit")
    head = ("alerts", "workloads", "sent in s", "alerts/s", "settled after s")
    facts = [f"{options.alerts:,}", options.workloads, f"{took:.1f}", f"{options.alerts / took:,.0f}", f"{settled:.1f}"]
    results.table(
        f"Storm, {options.celery} workers",
        head,
        [facts],
        note=f"Goal: settled within {GOAL:.0f} s; nothing doubled or lost.",
    )
    if settled > GOAL and options.alerts >= 10_000:
        raise SystemExit(f"the storm settled after {settled:.0f} s")


if __name__ == "__main__":
    main()
