"""Journeys per minute, from a bad rollout to the postmortem: `python -m bench.journeys [--clusters N] [--rollouts N]`.

Eight simulated clusters in one process, each with five Deployments whose new release crashes. Worker and beat processes run on
the database of `DATABASE_URL` (default: an embedded one that is thrown away), first one worker, then two. The time runs from
the first bad rollout until the last incident is resolved; the soak of the verification (2 s) is part of it.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from aiops.simulator import workloads
from aiops.simulator.embedded import SimulatedCluster
from aiops.simulator.images import Behavior

ROOT = Path(__file__).resolve().parent.parent
CELERY = str(Path(sys.executable).parent / "celery")
QUEUES = "default,poll,remediation,notify"
GOOD, BAD = "registry.example/service:1.0.0", "registry.example/service:2.0.0"
PATIENCE = 300.0  # seconds


def environment(folder: str) -> dict[str, str]:
    env = {
        "AIOPS_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "aiops.settings", "AIOPS_LOG_LEVEL": "ERROR",
        "AIOPS_ALLOW_PRIVATE_ADDRESSES": "true", "AIOPS_POLL_INTERVAL": "1", "AIOPS_SWEEP_INTERVAL": "1",
        "AIOPS_VERIFY_SOAK": "2", "AIOPS_VERIFY_INTERVAL": "1", "AIOPS_DETECTION_GRACE": "3",
        "AIOPS_SECRET_KEY": "bench-only-not-a-secret-0123456789abcdef0123456789abcdef",
        "AIOPS_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }  # fmt: skip
    return env | {key: value for key, value in os.environ.items() if key not in env}


@contextmanager
def processes(workers: int) -> Iterator[None]:
    worker = [CELERY, "--quiet", "-A", "aiops", "worker", "--pool", "threads", "--concurrency", "2", "--queues", QUEUES,
              "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "error"]  # fmt: skip
    beat = [CELERY, "--quiet", "-A", "aiops", "beat", "--pidfile=", "--loglevel", "error"]
    names = [[*worker, "--hostname", f"bench-{number}"] for number in range(workers)]
    children = [subprocess.Popen(command, cwd=ROOT, env=os.environ) for command in [*names, beat]]
    try:
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=20)
            child.kill()


def prepare(clusters: list[SimulatedCluster], rollouts: int, round_number: int) -> None:
    """Healthy Deployments in clusters that are registered under names of this round."""
    from django.utils import timezone

    from aiops.audit.actor import SYSTEM
    from federation import services as federation

    for number, cluster in enumerate(clusters):
        cluster.set_behavior(BAD, Behavior(exit_code=1, log=("panic: no configuration",)))
        for index in range(rollouts):
            cluster.apply(workloads.deployment(f"team-{index}", f"service-{index}", GOOD, replicas=2))
        federation.register(
            name=f"bench-{round_number}-{number}", kubeconfig=cluster.kubeconfig, automation="auto", tier="non-critical",
            max_concurrent_remediations=5, actor=SYSTEM, at=timezone.now(),
        )  # fmt: skip
    for cluster in clusters:
        cluster.wait_for(lambda c: all(map(_is_available, c.list("Deployment"))), timeout=60)


def _is_available(deployment: dict[str, Any]) -> bool:
    return bool(deployment.get("status", {}).get("availableReplicas") == deployment["spec"]["replicas"])


def measure(count: int, rollouts: int, workers: int) -> float:
    """Journeys per minute with so many workers."""
    from incidents.models import Incident, PostMortem

    with ExitStack() as stack:
        clusters = [stack.enter_context(SimulatedCluster(speed=30)) for _ in range(count)]
        prepare(clusters, rollouts, workers)
        stack.enter_context(processes(workers))
        time.sleep(8)  # the processes have started, and polled the healthy clusters
        began, wanted = time.monotonic(), count * rollouts
        for cluster in clusters:
            for index in range(rollouts):
                cluster.set_image(f"team-{index}", f"service-{index}", BAD)
        ours = Incident.objects.filter(
            cluster_name__startswith=f"bench-{workers}-", resource_name__startswith="service-"
        )
        done = 0
        while done < wanted and time.monotonic() - began < PATIENCE:
            time.sleep(0.2)
            done = ours.filter(state="Resolved", plans__state="Completed").values("correlation_key").distinct().count()
        took = time.monotonic() - began
        reports = PostMortem.objects.filter(incident__in=ours).count()
    print(f"{workers} worker(s): {done} of {wanted} rollouts repaired in {took:.1f} s, {reports} postmortems")
    return done / took * 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=8)
    parser.add_argument("--rollouts", type=int, default=5)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="aiops-bench-")
    os.environ.update(environment(folder))
    import django
    from django.core.management import call_command

    try:
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("load_runbooks", verbosity=0)
        one, two = (measure(options.clusters, options.rollouts, workers) for workers in (1, 2))
        print(f"journeys per minute: {one:.0f} with one worker, {two:.0f} with two (ratio {two / one:.2f})")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
