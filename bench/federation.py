"""The fleet at scale: `python -m bench.federation [--clusters N] [--hanging PERCENT] [--changes N]`.

1. Health checks: N clusters, of which some take the connection and never answer, checked by one process. What counts is the
   time of a round against the interval of 30 seconds.
2. The observer: the time from a change in the (simulated) API server to the row of its incident.
3. With `--scale`: time and memory of one look at, and of the observer's mirror of, 5,000 nodes and 50,000 pods.

Works on a database of its own under the temporary folder, or on the one that DATABASE_URL names.
"""

import argparse
import multiprocessing
import os
import resource
import socket
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

import django

INTERVAL = 30.0  # seconds
ANSWERS = {
    "/readyz": b"ok",
    "/version": b'{"gitVersion": "v1.31.4"}',
    "/api/v1/nodes": b'{"kind": "NodeList", "metadata": {}, "items": []}',
    "/api/v1/namespaces": b'{"kind": "NamespaceList", "metadata": {}, "items": []}',
    "/api/v1/pods": b'{"kind": "PodList", "metadata": {}, "items": []}',
}
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
users: [{{name: u, user: {{token: token-{number}}}}}]
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = ANSWERS.get(self.path.partition("?")[0])
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"{}")))
        self.end_headers()
        self.wfile.write(body or b"{}")

    def log_message(self, *_: object) -> None:
        pass


def serve(channel: Connection) -> None:
    """In a process of its own: one server that answers, and one that takes connections and says nothing."""
    answering = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answering.daemon_threads = True
    threading.Thread(target=answering.serve_forever, daemon=True).start()
    hanging = socket.create_server(("127.0.0.1", 0), backlog=1024)
    channel.send((answering.server_address[1], hanging.getsockname()[1]))
    channel.recv()


# the functions below import what needs Django, which is set up only when the arguments are known


def register(count: int, percent: int, ports: tuple[int, int]) -> None:
    from django.utils import timezone

    from aiops.audit.actor import SYSTEM
    from federation import services

    for number in range(count):
        port = ports[1] if number % 100 < percent else ports[0]
        text = KUBECONFIG.format(url=f"http://127.0.0.1:{port}", number=number)
        services.register(name=f"bench-{number}", kubeconfig=text, actor=SYSTEM, at=timezone.now())


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def check(rounds: int) -> None:
    from django.utils import timezone

    from federation.models import Cluster
    from federation.services import health

    for number in range(1, rounds + 1):
        Cluster.objects.update(next_check_at=timezone.now())
        wall, cpu, done = time.perf_counter(), time.process_time(), 0
        while count := health.check_due(at=timezone.now()):
            done += count
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        states = dict(Cluster.objects.values_list("health").order_by().annotate(django.db.models.Count("pk")))
        share = f"{100 * wall / INTERVAL:3.0f} % of the interval"
        print(f"round {number}: {done} clusters in {wall:5.1f} s ({share}), {cpu:4.1f} s of processor: {states}")


def latency(changes: int) -> None:
    from django.utils import timezone

    from aiops.audit.actor import SYSTEM
    from aiops.simulator.embedded import SimulatedCluster
    from federation import services
    from federation.models import Cluster
    from incidents.models import Anomaly
    from incidents.services.observing import Observer

    Cluster.objects.update(enabled=False)
    with SimulatedCluster(speed=50) as simulated:
        simulated.populate(deployments=changes, pods=changes * 2, nodes=10, namespaces=max(1, changes // 5))
        services.register(name="watched", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())
        stopped = threading.Event()
        observer = Observer(holder="bench", most=1, stopped=stopped)
        thread = threading.Thread(target=observer.run)
        thread.start()
        while not any(watched.is_live for watched in list(observer._watched.values())):
            time.sleep(0.1)
        time.sleep(3)
        took = []
        pods = [pod for pod in simulated.list("Pod") if pod["metadata"].get("ownerReferences")][: changes * 2 : 2]
        for pod in pods:
            meta = pod["metadata"]
            waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}
            status = {"name": "c", "ready": False, "restartCount": 0, "image": "i", "imageID": "", "state": waiting}
            began = time.perf_counter()
            simulated.patch(
                "Pod", meta["namespace"], meta["name"],
                {"status": {"phase": "Pending", "containerStatuses": [status]}}, subresource="status",
            )  # fmt: skip
            while not Anomaly.objects.filter(object_name=meta["name"]).exists():
                if time.perf_counter() - began > 10:
                    break
                time.sleep(0.01)
            took.append(time.perf_counter() - began)
        stopped.set()
        thread.join()
    took.sort()
    print(
        f"change to incident, {len(took)} changes: median {statistics.median(took):.2f} s, "
        f"p99 {took[int(len(took) * 0.99) - 1]:.2f} s, worst {took[-1]:.2f} s"
    )


def large(channel: Connection) -> None:
    from aiops.simulator.embedded import SimulatedCluster

    with SimulatedCluster() as cluster:
        cluster.populate(deployments=5_000, pods=50_000, nodes=5_000, namespaces=200, sick=100)
        channel.send(cluster.kubeconfig)
        channel.recv()


def scale() -> None:
    from django.utils import timezone

    from aiops.clients import kubeconfig
    from aiops.clients.kubernetes import KubernetesClient
    from aiops.clients.watching import WatchClient
    from incidents.services import survey
    from incidents.watching import Mirror

    here, there = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=large, args=(there,), daemon=True).start()
    access = kubeconfig.load(here.recv())
    began = time.perf_counter()
    seen = survey.take(KubernetesClient(access), at=timezone.now())
    print(f"one look at {seen.nodes} nodes and {seen.pods} pods: {time.perf_counter() - began:.1f} s, peak {peak()} MB")
    began, mirror, client = time.perf_counter(), Mirror(), WatchClient(access)
    for kind in ("Node", "ReplicaSet", "Deployment", "Pod"):
        mirror.replace(kind, client.listing(kind), time.monotonic())
    print(f"mirror of {mirror.size} objects: {time.perf_counter() - began:.1f} s, peak {peak()} MB")
    here.send("done")


def peak() -> int:
    """Megabytes of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--hanging", type=int, default=10, help="percent")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--scale", action="store_true", help="also look at a cluster of 50,000 pods")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "aiops.settings", "AIOPS_DATA_DIR": folder, "AIOPS_LOG_LEVEL": "ERROR"}
        os.environ |= {"AIOPS_DETECTION_GRACE": "0", "CELERY_BROKER_URL": "memory://"}
        os.environ["AIOPS_ALLOW_PRIVATE_ADDRESSES"] = "true"
        django.setup()
        migrate()
        here, there = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
        server.start()
        register(options.clusters, options.hanging, here.recv())
        check(options.rounds)
        latency(options.changes)
        if options.scale:
            scale()
        here.send("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
