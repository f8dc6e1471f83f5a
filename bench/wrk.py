"""Runs `wrk` on a list of requests and reads what it measured."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "load" / "load.lua"
CONNECTIONS, THREADS = 8, 2


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    body: str = ""

    @property
    def line(self) -> str:
        return f"{self.method}\t{self.path}" + (f"\t{self.body}" if self.body else "")


@dataclass(frozen=True, slots=True)
class Measured:
    """Latencies are milliseconds."""

    rate: float  # requests per second
    p50: float
    p99: float
    longest: float
    requests: int
    errors: int = 0
    bytes: int = 0

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s, p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms"


class Refused(Exception):
    """An answer was not what it should be, so that the figures of the run mean nothing."""


def _need() -> str:
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("the benchmarks need wrk (Debian and Ubuntu: apt-get install wrk)")
    return program


def start(
    url: str,
    calls: Iterable[Call],
    *,
    headers: Mapping[str, str],
    seconds: float,
    connections: int = CONNECTIONS,
    once: bool = False,
    pause: float = 0,
    harmless: str = "",
) -> "Running":
    """Begin a measurement. `once`: no call twice, ends early when all were made; `pause`: mean milliseconds between calls.

    `harmless`: what may be asked for when the calls are used up (default: the parent of the last path).
    """
    threads = min(THREADS, connections)
    with tempfile.NamedTemporaryFile("w", suffix=".calls", delete=False, encoding="utf-8") as file:
        file.writelines(call.line + "\n" for call in calls)
    command = [
        _need(),
        "-t",
        str(threads),
        "-c",
        str(connections),
        "-d",
        f"{max(1, round(seconds))}s",
        "--timeout",
        "20s",
    ]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [
        "-s",
        str(SCRIPT),
        url,
        "--",
        file.name,
        "once" if once else "cycle",
        f"{pause:.0f}",
        str(threads),
        harmless,
    ]
    return Running(
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), Path(file.name)
    )


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[str]
    file: Path

    def result(self, *, strict: bool = True) -> Measured:
        """Waits for the end. With `strict` raises `Refused` when any request failed or was answered with 4xx or 5xx."""
        out, err = self.process.communicate()
        self.file.unlink(missing_ok=True)
        last = out.strip().rpartition("\n")[2]
        if self.process.returncode or not last.startswith("{"):
            raise Refused(f"wrk failed: {err or out}")
        facts = json.loads(last)
        errors = facts["refused"] + facts["failed"]
        if strict and not facts["requests"]:
            raise Refused("no request was answered in that time")
        if strict and errors:
            raise Refused(f"{errors} of {facts['requests']} requests failed or were refused")
        return Measured(
            rate=facts["requests"] / facts["seconds"], p50=facts["p50"], p99=facts["p99"], longest=facts["longest"],
            requests=facts["requests"], errors=errors, bytes=facts["bytes"],
        )  # fmt: skip


def median(rounds: Sequence[Measured]) -> Measured:
    """The round with the median rate (of an even number the slower one of the two)."""
    return sorted(rounds, key=lambda measured: measured.rate)[(len(rounds) - 1) // 2]


def alternate(contenders: Mapping[str, Callable[[], Measured]], *, rounds: int) -> dict[str, Measured]:
    """Measure in turns, so that whatever else the machine does falls on all of them; the median of each."""
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            found[name].append(measure())
    return {name: median(measured) for name, measured in found.items()}
