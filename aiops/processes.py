"""Runs processes of the Procfile as children of one parent that has loaded the project already.

What the parent loaded, its children share until they change it: five processes take little more memory than two would.
A process of the Procfile runs the same way on its own; this is for one machine.
"""

import contextlib
import ctypes
import gc
import os
import runpy
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

PATIENCE = 15.0  # seconds that a process gets to stop in
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # the last one: the terminal was closed
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


class NoSuchProcess(Exception):
    """The Procfile names no such process, or its command cannot be run in here."""


def read_procfile(file: Path) -> dict[str, str]:
    """Name and command of each process."""
    lines = (line.partition(":") for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {name.strip(): command.strip() for name, colon, command in lines if colon}


def words(command: str) -> list[str]:
    """The command as the shell would run it, with the variables of the environment filled in, but without running it."""
    script = "printf '%s\\0' " + command.removeprefix("exec ")
    done = subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True)  # noqa: S603 - our own Procfile
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


def start(commands: Mapping[str, str]) -> int:
    """Run all of them until one ends or we are told to stop; then stop the others. Returns the exit code.

    The code is that of the process that ended by itself, 1 if it claims success: none of them is meant to end.
    """
    programs = {name: words(command) for name, command in commands.items()}
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (*_STOPS, signal.SIGCHLD):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` means it
            signal.signal(number, lambda *_: None)  # the pipe tells which one it was
    # what is alive now stays so: a collector that looks at it in a child would make that child's own copy of it
    gc.collect()
    gc.freeze()
    children = {_fork(program): name for name, program in programs.items()}
    code = _wait(read_end, children)
    _stop(children)
    return code


def _fork(program: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    _end_with(parent)
    os.setsid()  # Ctrl-C in a terminal reaches the parent only, which passes it on once
    signal.set_wakeup_fd(-1)
    for number in (*_STOPS, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return _run(program)


def _end_with(parent: int) -> None:
    """Ask for SIGTERM when the parent is killed: an orphan would hold the port and the leases. Only Linux knows how."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _run(program: list[str]) -> NoReturn:
    """The child: become the program. Leaves without the clean-up of the parent, whose copy it is."""
    code = 1
    try:
        code = _call(program)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - nothing above this frame may run in a child
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _call(program: list[str]) -> int:
    """Run the script that the command names, as `python` would. What `env` sets comes too late for what is loaded already."""
    if program[:1] == ["env"]:
        del program[0]
    while program and "=" in program[0]:
        name, _, value = program.pop(0).partition("=")
        os.environ[name] = value
    if program[:1] == ["python"]:
        del program[0]
    file = shutil.which(program[0], path=f".{os.pathsep}{os.environ.get('PATH', os.defpath)}") if program else None
    if file is None:
        raise NoSuchProcess(" ".join(program))
    sys.argv = program
    runpy.run_path(file, run_name="__main__")
    return 0


def _wait(read_end: int, children: dict[int, str]) -> int:
    while True:
        select.select([read_end], [], [])
        numbers = os.read(read_end, 64)
        if any(number in numbers for number in _STOPS):
            return 130 if signal.SIGINT in numbers else 0
        for pid, name, code in _ended(children):
            del children[pid]
            print(f"{name} ended with code {code}", file=sys.stderr, flush=True)
            return code or 1


def _ended(children: Mapping[int, str]) -> Iterable[tuple[int, str, int]]:
    for pid, name in list(children.items()):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            yield pid, name, os.waitstatus_to_exitcode(status)


def _stop(children: dict[int, str]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while children and time.monotonic() < deadline:
        for pid, _, _ in _ended(children):
            del children[pid]
        time.sleep(0.05)
    for pid, name in children.items():
        print(f"{name} did not stop", file=sys.stderr, flush=True)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
