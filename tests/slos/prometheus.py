"""A real Prometheus that serves series which a test wrote: promtool makes blocks of them, nothing is scraped."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from tests.conftest import needs

SCRAPE = 15  # seconds between two samples
START_WITHIN = 30.0


def counter(
    name: str,
    *,
    until: datetime,
    length: timedelta,
    per_second: float = 1.0,
    step: int = SCRAPE,
    start_value: float = 0.0,
) -> list[str]:
    """The samples of a counter that grows evenly up to `until`, in the OpenMetrics format."""
    end = int(until.timestamp())
    begin = end - int(length.total_seconds())
    return [f"{name} {start_value + (at - begin) * per_second:g} {at}" for at in range(begin, end + 1, step)]


def samples(name: str, points: Sequence[tuple[int, float]]) -> list[str]:
    return [f"{name} {value!r} {at}" for at, value in points]


class Server:
    """A Prometheus over blocks in `path`. It can be stopped and started again at the same address."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.path / "prometheus.yml"
        config.write_text("global: {}\n")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self.path / 'data'}",
                "--storage.tsdb.retention.time=10y",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/-/ready", timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError("Prometheus did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def serving(path: Path, lines: Sequence[str]) -> Iterator[Server]:
    """Serve these samples; lines of one series stand together, in order of time."""
    needs(bool(shutil.which("prometheus") and shutil.which("promtool")), "prometheus with promtool")
    source = path / "series.txt"
    source.write_text("\n".join([*lines, "# EOF", ""]))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(path / "data")],
        check=True,
        capture_output=True,
        timeout=120,
    )
    server = Server(path)
    server.start()
    try:
        yield server
    finally:
        server.stop()
