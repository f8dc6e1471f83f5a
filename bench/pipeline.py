"""Incidents per second through detect, correlate, analyse (by rules) and plan: `python -m bench.pipeline [--workloads N]`.

A simulated cluster in which N Deployments crash from the start, on PostgreSQL and Redis, with one worker of concurrency 2. Nobody
approves, so every incident stops at its plan. The clock runs from the cluster's registration, the first look included, until the
last incident has a plan; the second figure counts from the first incident on, without the look.
"""

import argparse
import time
from datetime import datetime
from typing import Any

from aiops.simulator import workloads
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.images import Behavior
from bench import results, servers, wrk
from bench.servers import Installation

GOAL = 25  # incidents per second
PATIENCE = 240.0  # seconds
BAD = "registry.example/service:2.0.0"
ENVIRONMENT = {
    "AIOPS_POLL_INTERVAL": "1",
    "AIOPS_SWEEP_INTERVAL": "1",
    "AIOPS_DETECTION_GRACE": "1",
}


def populate(cluster: SimulatedCluster, count: int) -> None:
    """Deployments whose pods have crashed several times already."""
    cluster.set_behavior(BAD, Behavior(exit_code=1, log=("panic: no configuration",)))
    for number in range(count):
        cluster.apply(workloads.deployment(f"team-{number % 20}", f"service-{number}", BAD, replicas=1))
    cluster.wait_for(lambda c: sum(map(_is_crashing, c.list("Pod"))) >= count, timeout=120)


def _is_crashing(pod: dict[str, Any]) -> bool:
    return any(status.get("restartCount", 0) >= 3 for status in pod.get("status", {}).get("containerStatuses", ()))


def register(at: Installation, cluster: SimulatedCluster) -> None:
    file = at.folder / "kubeconfig"
    file.write_text(cluster.kubeconfig, encoding="utf-8")
    at.manage("register_cluster", "pipeline", "--kubeconfig", str(file), "--automation", "approve")


def wait(at: Installation, count: int) -> tuple[datetime, datetime]:
    """The times of the first incident and of the last plan, once each of `count` incidents has a plan."""
    began, found = time.monotonic(), (0, None, None)
    while time.monotonic() - began < PATIENCE:
        with at.connect() as connection:
            found = connection.execute(  # type: ignore[assignment]
                "select count(distinct p.incident_id), min(i.created_at), max(p.created_at) from runbooks_remediationplan p "
                "join incidents_incident i on i.id = p.incident_id where i.resource_name like 'service-%'"
            ).fetchone()
        if found[0] >= count:
            return found[1], found[2]  # type: ignore[return-value]
        time.sleep(0.2)
    raise wrk.Refused(f"{found[0]} of {count} incidents have a plan after {PATIENCE:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", type=int, default=300)
    parser.add_argument("--celery", type=int, default=1, help="worker processes, of two threads each")
    options = parser.parse_args()
    count = options.workloads
    with SimulatedCluster(speed=50) as cluster, servers.installation(0, environment=ENVIRONMENT) as at:
        populate(cluster, count)
        with servers.celery(at, workers=options.celery):
            time.sleep(8)  # the worker is up
            began = time.monotonic()
            register(at, cluster)
            first, last = wait(at, count)
            whole = time.monotonic() - began
            at.manage("verify_audit")
    after = max((last - first).total_seconds(), 0.001)
    head = ("incidents", "from registration", "incidents/s", "from the first incident", "incidents/s")
    row = [count, f"{whole:.1f} s", f"{count / whole:.0f}", f"{after:.1f} s", f"{count / after:.0f}"]
    note = f"Goal: {GOAL} incidents/s. Registering starts a process, which is part of the first figure."
    results.table(f"Detect, correlate, analyse, plan; {options.celery} worker of concurrency 2", head, [row], note=note)


if __name__ == "__main__":
    main()
