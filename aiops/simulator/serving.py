"""Starting and stopping the server of a simulated cluster."""

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from aiops.simulator.cluster import Cluster
from aiops.simulator.kubeconfig import kubeconfig, write_kubeconfig
from aiops.simulator.scenarios import begin


class Server:
    """A cluster behind a listening socket."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.url = ""
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None

    def bind(self, host: str, port: int) -> None:
        """Take the port, 0 for any free one, so that `url` is known. Raises OSError when it is taken."""
        self._socket = socket.create_server((host, port))
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"

    async def listen(self) -> None:
        """Answer requests from now on."""
        if self._socket is None:
            raise RuntimeError("bind first")
        # a watch is open for minutes: it is cut off when the server stops
        self._runner = web.AppRunner(self.cluster.application(), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def close(self) -> None:
        self.cluster.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        elif self._socket is not None:
            self._socket.close()


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
        server.bind(host, port)
        if config is not None:
            write_kubeconfig(config, kubeconfig(url=server.url, token=cluster.token))
        begin(cluster, scenario)
        await server.listen()
        announce(server.url)
        await stopped.wait()
    finally:
        await server.close()
