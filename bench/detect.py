"""Objects per second through fetch, decode and detect: `python -m bench.detect [--pods N] [--sick N]`.

The simulated cluster runs in a process of its own, so its work is not counted as ours. Decoding is compared with the standard
library and with the model classes of the official client, which is why the product works on raw JSON.
"""

import argparse
import json
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any

import orjson
from django.utils import timezone
from kubernetes.client import ApiClient, V1PodList

from aiops.clients import kubeconfig
from aiops.clients.kubernetes import KubernetesClient
from aiops.clients.transport import decode
from aiops.simulator.embedded import SimulatedCluster
from incidents.detectors import ClusterView, Context, detect
from incidents.services import survey

PAGE = 500
_CONTINUE = re.compile(rb'"continue": ?"([^"]+)"')


def serve(channel: Connection, pods: int, sick: int) -> None:
    with SimulatedCluster() as cluster:
        cluster.populate(deployments=max(1, pods // 10), pods=pods, nodes=max(3, pods // 20), namespaces=50, sick=sick)
        channel.send(cluster.kubeconfig)
        channel.recv()


def timed(what: str, count: int, work: Callable[[], object]) -> float:
    """Print and return objects per second of processor time of this process; waiting for the server does not count."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rate = count / max(cpu, 1e-6)
    print(f"{what:<34} {count:>8} objects  {wall:7.2f} s wall  {cpu:7.2f} s processor  {rate:>10,.0f} objects/s")
    return rate


def fetch_pages(client: KubernetesClient) -> list[bytes]:
    """The bodies of all pages of pods, undecoded."""
    pages, token = [], None
    while True:
        body = client._request("GET", "/api/v1/pods", {"limit": PAGE, "continue": token})
        pages.append(body)
        found = _CONTINUE.search(body)
        if not found:
            return pages
        token = found[1].decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--sick", type=int, default=200)
    options = parser.parse_args()

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiops.settings")
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, options.pods, options.sick))
    server.start()
    try:
        measure(KubernetesClient(kubeconfig.load(here.recv())))
    finally:
        here.send("stop")
        server.join(30)


def each(work: Callable[[Any], object], items: Iterable[Any]) -> None:
    """One after the other, keeping nothing, as a look does."""
    for item in items:
        work(item)


def measure(client: KubernetesClient) -> None:
    pages = fetch_pages(client)
    count = sum(len(orjson.loads(page)["items"]) for page in pages)
    print(f"{count} pods, {sum(map(len, pages)) / count / 1024:.1f} KiB each, in {len(pages)} pages\n")

    timed("fetch", count, lambda: fetch_pages(client))
    fast = timed("decode as the product does", count, lambda: each(decode, pages))
    timed("decode, garbage collector at work", count, lambda: each(orjson.loads, pages))
    timed("decode, standard library", count, lambda: each(json.loads, pages))
    api, page = ApiClient(), pages[0]
    models = timed(
        "decode, model classes (one page)",
        len(orjson.loads(page)["items"]),
        lambda: api.deserialize(page.decode(), V1PodList.__name__, "application/json"),
    )
    pods = [pod | {"kind": "Pod"} for page in pages for pod in orjson.loads(page)["items"]]
    context = Context(now=timezone.now(), related=ClusterView.of(pods))
    timed("detect", count, lambda: each(lambda pod: detect(pod, context), pods))
    pods.clear()
    pages.clear()
    whole = timed("everything, one look", _objects(client), lambda: survey.take(client, at=timezone.now()))

    print(f"\nraw JSON is decoded {fast / models:.0f} times as fast as into model classes")
    print(f"one look: {whole:,.0f} objects/s of one core")


def _objects(client: KubernetesClient) -> int:
    return survey.take(client, at=timezone.now()).objects


if __name__ == "__main__":
    main()
