"""Real processes for journeys: web server, Celery worker and beat, against the database of the running test.

Nothing here sleeps for a fixed time: `eventually` polls until a condition holds or its deadline passes.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection

from aiops.apikeys.roles import Role

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
T = TypeVar("T")
QUEUES = "default,poll,remediation,notify,reports,slos"
PORTS = range(20_000, 32_000)  # below those that the system gives to outgoing connections and to servers that name none


def eventually(what: Callable[[], T], *, within: float = 180, every: float = 0.1, or_say: str = "") -> T:
    """The first true value of `what()`. Fails with its last value when `within` seconds pass first.

    The default is for a machine that is busy with ten other things; a shorter time says that the time itself is tested.
    """
    deadline = time.monotonic() + within
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {or_say or what} (last: {value!r})")
        time.sleep(every)


def free_port() -> int:
    """For a server that listens only seconds later: a port that nobody is given meanwhile."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(folder: Path, **overrides: str) -> dict[str, str]:
    """The environment of a process that works on the database of this test run."""
    name = str(connection.settings_dict["NAME"])
    env = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    if connection.vendor == "sqlite":
        env["DATABASE_URL"] = f"sqlite:///{name}"
    else:
        env["DATABASE_URL"] = settings.DATABASE_URL.rpartition("/")[0] + f"/{name}"
    env |= {
        "AIOPS_DATA_DIR": str(folder), "AIOPS_SECRET_KEY": settings.SECRET_KEY, "AIOPS_ALLOWED_HOSTS": "*",
        "AIOPS_ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS), "AIOPS_ALLOW_PRIVATE_ADDRESSES": "true",
        "AIOPS_SECURE_COOKIES": "false", "CELERY_BROKER_URL": "filesystem://localhost//",
        # what takes minutes in production takes seconds here
        "AIOPS_POLL_INTERVAL": "1", "AIOPS_SWEEP_INTERVAL": "1", "AIOPS_VERIFY_SOAK": "2", "AIOPS_VERIFY_INTERVAL": "1",
        "AIOPS_RETRY_BACKOFF": "1", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    # who waits for something asks ten times a second
    env |= {f"CHATCLI_API_RATE_LIMIT_{role.upper()}": "1000000" for role in Role}
    return env | overrides


class Process:
    """A child that is stopped with the test, and with it the children that it has; its output is in `log`."""

    def __init__(self, name: str, command: list[str], *, env: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}-{time.monotonic_ns()}.log"
        self._is_over = False
        with self.log.open("wb") as out:
            self.popen = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT, process_group=0
            )

    def kill(self) -> None:
        """As a crash would: no chance to finish or to say anything."""
        if not self._is_over:  # the number may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait(timeout=60)
            self._is_over = True

    def terminate(self) -> None:
        """Ask it to end, as a deployment would."""
        if self.popen.poll() is None:
            self.popen.terminate()

    def ended(self) -> int:
        """Its return code, once it has ended; after a minute it has to."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=60)
        self.kill()
        return self.popen.returncode

    def stop(self) -> int:
        self.terminate()
        return self.ended()

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class Stack:
    """The processes of one journey. `start_*` may be called again after a `kill`."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.env = environment(folder, **env)
        self.processes: list[Process] = []

    def _start(self, name: str, command: list[str], **env: str) -> Process:
        process = Process(name, command, env=self.env | env, folder=self.folder)
        self.processes.append(process)
        return process

    def start_worker(self, *, concurrency: int = 2, **env: str) -> Process:
        return self._start(
            "worker",
            [str(BIN / "celery"), "-A", "aiops", "worker", "--pool", "threads", "--concurrency", str(concurrency), "--queues",
             QUEUES, "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "info"],
            **env,
        )  # fmt: skip

    def start_beat(self, **env: str) -> Process:
        return self._start(
            "beat", [str(BIN / "celery"), "-A", "aiops", "beat", "--pidfile=", "--loglevel", "info"], **env
        )

    def start_observer(self, **env: str) -> Process:
        return self._start("observer", [sys.executable, "manage.py", "observe"], **env)

    def start_web(self, *, threads: int = 4, **env: str) -> str:
        """Returns the base URL once the server answers."""
        port = free_port()
        process = self._start(
            "web",
            [str(BIN / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--blocking-threads", str(threads), "--workers-kill-timeout", "10", "--no-access-log", "aiops.wsgi:application"],
            **env,
        )  # fmt: skip
        eventually(lambda: _listens(port) or _died(process), or_say="the web server listens")
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        for process in self.processes:  # all at once, and then the waiting
            process.terminate()
        for process in self.processes:
            process.ended()

    def output(self) -> str:
        return "\n".join(f"--- {process.name}\n{process.output()[-4000:]}" for process in self.processes)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _died(process: Process) -> bool:
    if process.popen.poll() is not None:
        raise AssertionError(f"{process.name} ended at once:\n{process.output()[-4000:]}")
    return False


@contextlib.contextmanager
def running(folder: Path, **env: Any) -> Iterator[Stack]:
    stack = Stack(folder, **env)
    try:
        yield stack
    except AssertionError as error:
        raise AssertionError(f"{error}\n{stack.output()}") from error
    finally:
        stack.stop()
