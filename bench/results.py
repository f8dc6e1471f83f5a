"""Collects what the benchmarks found, prints it, and writes it down with the machine and the versions it was found on."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).resolve().parent / "results.md"
PARTS = "AIOPS_BENCH_PARTS"  # environment: the folder into which a part of a whole run writes its tables
PACKAGES = ("Django", "djangorestframework", "psycopg", "orjson", "granian", "celery", "redis")


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]], *, note: str = "") -> None:
    """Print a table and keep it for the file of the whole run, if this is one."""
    widths = [max(len(str(row[at])) for row in [head, *rows]) for at in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        cells = [
            str(cell).ljust(width) if at == 0 else str(cell).rjust(width) for at, (cell, width) in _cells(row, widths)
        ]
        print("  ".join(cells).rstrip())
    if note:
        print(note)
    sys.stdout.flush()
    folder = os.environ.get(PARTS)
    if folder:
        with (Path(folder) / "tables.md").open("a", encoding="utf-8") as file:
            file.write(_markdown(title, head, rows, note))


def _cells(row: Sequence[object], widths: Sequence[int]) -> list[tuple[int, tuple[object, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))


def _markdown(title: str, head: Sequence[str], rows: Sequence[Sequence[object]], note: str) -> str:
    lines = [f"\n### {title}\n", f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + (f"\n\n{note}\n" if note else "\n")


def write(tables: Path, *, commands: Sequence[str], seconds: float, failed: Sequence[str]) -> None:
    """`bench/results.md`, from the tables that the parts of a run left."""
    body = tables.read_text(encoding="utf-8") if tables.exists() else ""
    failures = "".join(f"\n* **{name} failed**" for name in failed)
    FILE.write_text(
        f"# Results of `make bench`\n\n{facts()}* commands, {seconds / 60:.0f} minutes in all: "
        f"{', '.join(f'`{command}`' for command in commands)}{failures}\n{body}",
        encoding="utf-8",
    )


def facts() -> str:
    """Date, machine and versions, as a list."""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"* {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_said(['git', 'rev-parse', '--short', 'HEAD']) or 'unknown'}\n"
        f"* {_processor()}, {os.cpu_count()} cores, {_memory():.0f} GB, {platform.system()} {platform.release()}; "
        "database, Redis, service and load share them\n"
        f"* Python {platform.python_version()}, {packages}\n"
        f"* {_said(['psql', '--version'])}, {_said(['redis-server', '--version'])[:30]}, "
        f"{(_said(['wrk', '--version']) or 'wrk').partition(' [')[0]}\n"
    )


def _said(command: list[str]) -> str:
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=FILE.parent)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> float:
    """Gigabytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
