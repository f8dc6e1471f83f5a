"""A simulated cluster inside a test or benchmark: the real server on a real port, in a thread of its own."""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from aiops.simulator.cluster import DEFAULT_SPEED, Cluster
from aiops.simulator.faults import Fault
from aiops.simulator.images import Behavior
from aiops.simulator.kubeconfig import kubeconfig
from aiops.simulator.objects import Obj, Objects
from aiops.simulator.population import populate
from aiops.simulator.scenarios import begin
from aiops.simulator.serving import Server

T = TypeVar("T")
Requests = list[tuple[str, str, str]]

CALL_TIMEOUT = 120.0  # seconds; only bulk creation comes near


class SimulatedCluster:
    """`with SimulatedCluster(scenario="crash-loop", speed=50) as cluster:` — callable from any thread.

    `url`, `token` and `kubeconfig` (YAML) lead to the server. `readonly_token` is a second token that may neither
    write nor read secrets. Objects that methods return are the stored ones: read them, but change only copies.
    """

    def __init__(self, *, scenario: str = "healthy", speed: float = DEFAULT_SPEED, port: int = 0) -> None:
        self._scenario, self._speed, self._port = scenario, speed, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulated-cluster", daemon=True)
        self.url = self.token = self.readonly_token = self.kubeconfig = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the thread; returns when requests are answered. Raises ValueError for an unknown scenario."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(CALL_TIMEOUT)
        except BaseException:
            self._end_loop()
            raise

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(CALL_TIMEOUT)
        self._end_loop()

    # -- what is in the cluster

    def get(self, kind: str, namespace: str, name: str) -> Obj | None:
        return self._call(lambda c: c.get(kind, namespace, name))

    def fetch(self, kind: str, namespace: str, name: str) -> Obj:
        """Like `get`, for an object that must be there. Raises `problems.Problem` (404) when it is not."""
        return self._call(lambda c: c.fetch(kind, namespace, name))

    def list(self, kind: str, namespace: str | None = None) -> Objects:
        return self._call(lambda c: c.list(kind, namespace or ""))

    def apply(self, manifest: Obj) -> Obj:
        """Create the object or merge the manifest into it. Raises `problems.Problem` for what a server would refuse."""
        return self._call(lambda c: c.apply(manifest))

    def patch(self, kind: str, namespace: str, name: str, patch: Obj, *, subresource: str = "") -> Obj:
        """Strategic merge patch."""
        return self._call(lambda c: c.patch(kind, namespace, name, patch, subresource=subresource))

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self._call(lambda c: c.delete(kind, namespace, name))

    def populate(self, *, deployments: int, pods: int, nodes: int = 0, namespaces: int = 1, sick: int = 0) -> None:
        """Add so many objects at once, settled and without any timers; `sick` of the pods are in CrashLoopBackOff."""
        self._call(
            lambda c: populate(c, deployments=deployments, pods=pods, nodes=nodes, namespaces=namespaces, sick=sick)
        )

    # -- what goes wrong in it

    def break_workload(self, namespace: str, name: str, how: str, *, kind: str = "Deployment") -> None:
        """One of crash-loop, oom, image-pull, not-ready, config-error; see `Cluster.break_workload`."""
        self._call(lambda c: c.break_workload(namespace, name, how, kind=kind))

    def heal(self, namespace: str, name: str, *, kind: str = "Deployment") -> None:
        self._call(lambda c: c.heal(namespace, name, kind=kind))

    def set_image(self, namespace: str, name: str, image: str, *, kind: str = "Deployment") -> None:
        """Roll out another image, as a release would."""
        self._call(lambda c: c.set_image(kind, namespace, name, image))

    def set_behavior(self, image: str, behavior: Behavior) -> None:
        """How containers of an image behave from now on."""
        self._call(lambda c: c.set_behavior(image, behavior))

    def lose_node(self, name: str) -> None:
        self._call(lambda c: c.lose_node(name))

    def restore_node(self, name: str) -> None:
        self._call(lambda c: c.restore_node(name))

    def press_node(self, name: str, kind: str, *, is_high: bool = True) -> None:
        """Raise or lift MemoryPressure, DiskPressure or PIDPressure."""
        self._call(lambda c: c.press_node(name, kind, is_high=is_high))

    # -- what goes wrong with its API server

    @property
    def requests(self) -> Requests:
        """The latest requests as (method, path, query), oldest first."""
        return self._call(lambda c: [*c.faults.requests])

    def clear_requests(self) -> None:
        self._call(lambda c: c.faults.requests.clear())

    def fail_next(self, count: int | None = 1, *, status: int, match: str = "", retry_after: int = 1) -> None:
        """Answer the next requests with this status; None: until `clear_faults`. `match` searches "METHOD /path?query"."""
        self._inject(Fault(re.compile(match), count, status=status, retry_after=retry_after))

    def hang(self, match: str = "", seconds: float = 30.0, *, count: int | None = None) -> None:
        """Take matching requests up only after so many real seconds; what they ask for happens then."""
        self._inject(Fault(re.compile(match), count, hang=seconds))

    def delay_answers(self, match: str = "", seconds: float = 30.0, *, count: int | None = 1) -> None:
        """Do what matching requests ask for at once, but say so only after so many real seconds."""
        self._inject(Fault(re.compile(match), count, delay=seconds))

    def garbage(self, match: str = "", *, count: int | None = 1) -> None:
        """Answer matching requests with 200 and half of a JSON document."""
        self._inject(Fault(re.compile(match), count, is_garbage=True))

    def drop_connections(self, match: str = "", *, count: int | None = 1) -> None:
        """Close the connection of matching requests without an answer."""
        self._inject(Fault(re.compile(match), count, drops_connection=True))

    def cut_watches(self) -> None:
        """Close the connections of all open watches."""
        self._call(lambda c: c.faults.cut_streams())

    def clear_faults(self) -> None:
        self._call(lambda c: c.faults.pending.clear())

    def expire(self) -> None:
        """Make every `continue` token and every version a watch could start from too old (410)."""
        self._call(lambda c: c.store.expire())

    def wait_for(self, predicate: "Callable[[SimulatedCluster], T]", timeout: float = 60.0) -> T:
        """Ask the predicate until it is true, and return its value. Raises TimeoutError after so many seconds."""
        deadline = time.monotonic() + timeout
        while True:
            if found := predicate(self):
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"the simulated cluster did not get there within {timeout:g} s")
            time.sleep(0.02)

    def _inject(self, fault: Fault) -> None:
        self._call(lambda c: c.faults.pending.append(fault))

    async def _start(self) -> None:
        cluster = Cluster(speed=self._speed, readonly_token="readonly-token")  # noqa: S106 -- names a test user
        begin(cluster, self._scenario)
        self._cluster, self._server = cluster, Server(cluster)
        self._server.bind("127.0.0.1", self._port)
        await self._server.listen()
        self.url, self.token, self.readonly_token = self._server.url, cluster.token, cluster.readonly_token
        self.kubeconfig = kubeconfig(url=self.url, token=self.token)

    async def _stop(self) -> None:
        """Close the server and whatever still hangs: watches that nobody reads, answers that were to come later."""
        await self._server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT)
        self._loop.close()

    def _call(self, action: Callable[[Cluster], T]) -> T:
        """Run on the cluster's loop, where nothing else runs meanwhile."""

        async def run() -> Any:
            return action(self._cluster)

        result: T = asyncio.run_coroutine_threadsafe(run(), self._loop).result(CALL_TIMEOUT)
        return result
