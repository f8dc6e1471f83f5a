"""What the benchmarks run against: PostgreSQL with a history, a Redis, and the processes of the product and its references.

PostgreSQL is the server that `DATABASE_URL` names (default: the local one), in databases of our own. The generated history is a
template, made once; what a benchmark changes, it changes in a copy. Redis is the one of `REDIS_URL`, else one that is started
for the run. The product runs with the settings of production: services mode, keys, limits, audit and logs on.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
POSTGRES = os.environ.get("DATABASE_URL", "")
if not POSTGRES.startswith("postgres"):
    POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"
TEMPLATE, COPY = "aiops_bench_{count}", "aiops_bench_run_"  # the copy ends with the number of our process
DAYS = 90
MIGRATED = "AIOPS_BENCH_MIGRATED"  # environment: the templates are up to date, a part of a whole run need not look
# known to everybody: these databases hold nothing but generated rows
SECRETS = {
    "AIOPS_SECRET_KEY": "bench-only-not-a-secret-0123456789abcdef0123456789abcdef",
    "AIOPS_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}
UNLIMITED = str(10**9)  # requests per minute and key: counted like any other limit, reached by nobody


@dataclass(frozen=True, slots=True)
class Installation:
    """A filled database, a Redis and a folder for logs."""

    database: str  # URL
    redis: str  # URL
    folder: Path
    incidents: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return os.environ | {
            "DATABASE_URL": self.database, "REDIS_URL": self.redis, "CELERY_BROKER_URL": self.redis,
            "AIOPS_DATA_DIR": str(self.folder), "DJANGO_SETTINGS_MODULE": "aiops.settings",
            "AIOPS_ALLOWED_HOSTS": "127.0.0.1", "AIOPS_ALLOW_PRIVATE_ADDRESSES": "true",
            "CHATCLI_API_RATE_LIMIT_VIEWER": UNLIMITED, "CHATCLI_API_RATE_LIMIT_OPERATOR": UNLIMITED,
            "CHATCLI_API_RATE_LIMIT_ADMIN": UNLIMITED, **SECRETS, **self.environment,
        }  # fmt: skip

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def new_key(self, role: str = "operator") -> str:
        return self.manage("createapikey", "--role", role, "--owner", "bench@example.com")

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.database, autocommit=True)


# --- PostgreSQL and Redis ------------------------------------------------------------------------------------------------


def _named(name: str) -> str:
    return urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{name}"))


def _server() -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(POSTGRES, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise SystemExit(f"the benchmarks need PostgreSQL at DATABASE_URL (a superuser's): {error}") from error


def _exists(name: str) -> bool:
    with _server() as server:
        return server.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is not None


def _create(name: str, template: str | None = None) -> None:
    statement = sql.SQL("create database {}").format(sql.Identifier(name))
    if template:
        # a copy of the files: the other strategy would write gigabytes of log
        statement += sql.SQL(" template {} strategy file_copy").format(sql.Identifier(template))
    with _server() as server:
        server.execute(statement)


def drop(name: str) -> None:
    with _server() as server:
        server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _drop_abandoned() -> None:
    """Copies of runs that were killed: nobody is connected to them."""
    with _server() as server:
        rows = server.execute("select datname from pg_database where starts_with(datname, %s)", [COPY]).fetchall()
        for (name,) in rows:
            if not Path(f"/proc/{str(name).removeprefix(COPY)}").exists():
                with contextlib.suppress(psycopg.errors.ObjectInUse):
                    server.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(str(name))))


def template(count: int, redis: str, folder: Path) -> str:
    """The database with `count` generated incidents; made if it is not there, migrated if it is."""
    name = TEMPLATE.format(count=count)
    made = not _exists(name)
    if made:
        _create(name)
    filling = Installation(_named(name), redis, folder, count)
    if not made and os.environ.get(MIGRATED):
        return name
    try:
        filling.manage("migrate", "--verbosity", "0")
        if made:
            began = time.monotonic()
            filling.manage("load_runbooks", "--verbosity", "0")
            filling.manage("generate_history", "--incidents", str(count), "--days", str(DAYS))
            with filling.connect() as connection:
                connection.execute("vacuum (analyze)")
            print(f"filled {name} in {time.monotonic() - began:.0f} s", flush=True)
    except BaseException:
        if made:
            drop(name)
        raise
    return name


def prepare_history(count: int) -> str:
    """Make or migrate the history with `count` incidents; its database if it was made just now, else "" ."""
    existed = _exists(TEMPLATE.format(count=count))
    with tempfile.TemporaryDirectory(prefix="aiops-bench-") as folder, _redis(Path(folder)) as redis:
        name = template(count, redis, Path(folder))
    return "" if existed else name


@contextmanager
def installation(
    count: int, *, keep: bool = False, source: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[Installation]:
    """A fresh copy of the history with `count` incidents, gone afterwards; with `keep` the history itself stays.

    `source`: another database to copy. Zero incidents: an empty one.
    """
    name = f"{COPY}{os.getpid()}"
    _drop_abandoned()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="aiops-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        redis = stack.enter_context(_redis(folder))
        ours = not source and count
        if ours:
            existed = _exists(TEMPLATE.format(count=count))
            source = template(count, redis, folder)
            if not keep and not existed:
                stack.callback(drop, source)
        drop(name)
        stack.callback(drop, name)
        _create(name, source or None)
        ready = Installation(_named(name), redis, folder, count, dict(environment or {}))
        if not ours:
            ready.manage("migrate", "--verbosity", "0")
        if not source:
            ready.manage("load_runbooks", "--verbosity", "0")
        yield ready


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    if os.environ.get("REDIS_URL"):
        yield os.environ["REDIS_URL"]
        return
    if not shutil.which("redis-server"):
        raise SystemExit("the benchmarks need Redis: set REDIS_URL or install redis-server")
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with child(command, log=folder / "redis.log", env=os.environ):
        wait_for(lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close(), "Redis")
        yield f"redis://127.0.0.1:{port}/0"


# --- processes -----------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def wait_for(check: object, what: str, *, seconds: float = 60) -> None:
    """Until `check()` no longer fails and returns anything but False."""
    assert callable(check)
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, httpx.TransportError):
            if check() is not False:
                return
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not start within {seconds:.0f} s")
        time.sleep(0.1)


@contextmanager
def child(
    command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A process and whatever it starts, ended at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=5)


@contextmanager
def wsgi(
    at: Installation, application: str, *, path: str, workers: int, threads: int, env: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A WSGI application under granian, as the Procfile starts ours; gives its URL once `path` answers."""
    port = free_port()
    command = [
        str(BIN / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers),
        "--blocking-threads", str(threads), "--no-access-log", "--log-level", "warning", application,
    ]  # fmt: skip
    log = at.folder / f"{application.partition(':')[0]}.log"
    with child(command, log=log, env={**at.env, **(env or {})}) as process:
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            if process.poll() is not None:
                raise SystemExit(f"{application} ended: {log.read_text()[-2000:]}")
            return httpx.get(url + path, timeout=5).status_code < 500

        with ExitStack() as stack:
            stack.push(lambda error, *_: _show_faults(log) if error else None)
            wait_for(ready, application)
            yield url


def _show_faults(log: Path) -> None:
    """What a server wrote about requests that failed, or else its last words."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    faults = [line for line in lines if '"status":4' in line or '"status":5' in line or "Error" in line]
    print("\n".join(line[:1000] for line in (faults or lines)[-5:]), file=sys.stderr)


@contextmanager
def service(at: Installation, *, workers: int, threads: int) -> Iterator[str]:
    """The product's web processes."""
    with wsgi(at, "aiops.wsgi:application", path="/healthz", workers=workers, threads=threads) as url:
        yield url


@contextmanager
def celery(at: Installation, *, workers: int = 1, concurrency: int = 2, queues: str = "") -> Iterator[None]:
    """Workers and one beat process."""
    queues = queues or "default,poll,remediation,notify,reports,slos"
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "warning"]
    base = [str(BIN / "celery"), "--quiet", "-A", "aiops"]
    with ExitStack() as stack:
        for number in range(workers):
            command = [*base, "worker", "--pool", "threads", "--concurrency", str(concurrency), "--queues", queues]
            command += [*quiet, "--hostname", f"bench-{number}"]
            stack.enter_context(child(command, log=at.folder / f"worker-{number}.log", env=at.env))
        beat = [*base, "beat", "--pidfile=", "--loglevel", "warning"]
        stack.enter_context(child(beat, log=at.folder / "beat.log", env=at.env))
        yield


def arguments(parser: argparse.ArgumentParser, *, incidents: int = 1_000_000, seconds: float = 4) -> None:
    """The options that most benchmarks share."""
    parser.add_argument("--incidents", type=int, default=incidents, metavar="N", help="in the generated history")
    parser.add_argument("--keep", action="store_true", help="leave the generated history for the next run")
    parser.add_argument("--source", default="", metavar="DATABASE", help="copy this database instead of generating one")
    parser.add_argument("--seconds", type=float, default=seconds, metavar="S", help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of which the median counts")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="web processes")
    parser.add_argument("--threads", type=int, default=6, metavar="N", help="of each web process")
