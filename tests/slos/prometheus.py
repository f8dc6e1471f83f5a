"""A real Prometheus that serves series which a test wrote: promtool makes blocks of them, nothing is scraped."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from tests.conftest import needs
from tests.processes import eventually, free_port

SCRAPE = 15  # seconds between two samples


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
        self.port = free_port()
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
        eventually(self._is_ready, or_say="Prometheus is ready")

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
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
        timeout=600,
    )
    server = Server(path)
    server.start()
    try:
        yield server
    finally:
        server.stop()
