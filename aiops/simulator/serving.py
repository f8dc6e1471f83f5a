"""Starting and stopping the server of a simulated cluster, and the kubeconfig that leads to it."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from aiohttp import web

from aiops.simulator.cluster import Cluster
from aiops.simulator.scenarios import begin

CONTEXT = "simulated"


def kubeconfig(url: str, token: str) -> str:
    """The kubeconfig of a cluster as YAML."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": {"server": url}}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    }
    return str(yaml.safe_dump(document, sort_keys=False))


def write_kubeconfig(path: Path, text: str) -> None:
    """Write atomically and readable by the owner only: it holds a token."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o600)
    os.replace(file.name, path)  # noqa: PTH105 -- replaces atomically, as Path.replace does, but reads as what it is


class Server:
    """A cluster behind a listening socket."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def listen(self, host: str, port: int) -> None:
        """Bind the socket; requests are answered from now on. Raises OSError when the port is taken."""
        # a watch is open for minutes: it is cut off when the server stops
        self._runner = web.AppRunner(self.cluster.application(), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        self.cluster.stop()
        if self._runner is not None:
            await self._runner.cleanup()


async def serve_until_stopped(
    cluster: Cluster, *, host: str, port: int, scenario: str, config: Path | None, announce: Callable[[str], object]
) -> None:
    """Serve until SIGTERM or SIGINT. The kubeconfig is there before the server says it is ready."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = Server(cluster)
    try:
        begin(cluster, scenario)
        await server.listen(host, port)
        if config is not None:
            write_kubeconfig(config, kubeconfig(server.url, cluster.token))
        announce(server.url)
        await stopped.wait()
    finally:
        await server.close()
