import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from aiops import processes

PATIENT = """
import os, signal, sys, threading
from pathlib import Path
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
Path(sys.argv[1]).write_text(f"{os.getpid()} {os.getppid()} {os.environ['WORD']}")
stopped.wait()
Path(sys.argv[1]).write_text("stopped")
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    (tmp_path / "patient.py").write_text(PATIENT)
    (tmp_path / "short.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "broken.py").write_text("raise ValueError('no such luck')")
    for script in tmp_path.glob("*.py"):
        script.chmod(0o755)
    return tmp_path


def launch(scripts: Path, commands: dict[str, str]) -> subprocess.Popen[str]:
    # whoever runs the tests may ignore hangups (`nohup`); the parent must not
    code = (
        "import signal, sys; from aiops import processes; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        f"sys.exit(processes.start({commands!r}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=scripts,
        env=os.environ | {"PYTHONPATH": str(settings.BASE_DIR)},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(file: Path) -> str:
    for _ in range(2_400):
        if file.exists() and (said := file.read_text()):
            return said
        time.sleep(0.05)
    raise AssertionError(f"{file.name} was not written")


def is_alive(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


class TestWords:
    def test_are_what_the_shell_would_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CERTIFICATE", "a file.pem")
        command = (
            'exec web --port ${PORT_OF_NOBODY:-8090} ${CERTIFICATE:+--cert "$CERTIFICATE"} ${NOTHING:+--key "$NOTHING"}'
        )

        assert processes.words(command) == ["web", "--port", "8090", "--cert", "a file.pem"]


class TestProcfile:
    def test_names_what_the_contract_wants(self) -> None:
        known = processes.read_procfile(settings.BASE_DIR / "Procfile")

        assert {"web", "worker", "beat", "observer"} <= known.keys()
        assert all(processes.words(command) for command in known.values())


class TestStart:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 0)])
    def test_stops_all_when_it_is_told_to(self, scripts: Path, number: signal.Signals, code: int) -> None:
        commands = {name: f"exec env WORD={name} python patient.py {name}.txt" for name in ("one", "two")}
        parent = launch(scripts, commands)
        pids = []
        for name in commands:
            pid, ppid, word = wait_for(scripts / f"{name}.txt").split()
            assert (int(ppid), word) == (parent.pid, name)
            pids.append(pid)

        parent.send_signal(number)

        assert parent.wait(timeout=120) == code
        assert [(scripts / f"{name}.txt").read_text() for name in commands] == ["stopped", "stopped"]
        assert not any(map(is_alive, pids))

    def test_leaves_no_orphans_when_it_is_killed(self, scripts: Path) -> None:
        parent = launch(scripts, {"one": "exec env WORD=x python patient.py one.txt"})
        wait_for(scripts / "one.txt")

        parent.kill()

        parent.wait(timeout=120)
        for _ in range(2_400):
            if (scripts / "one.txt").read_text() == "stopped":
                return
            time.sleep(0.05)
        raise AssertionError("the orphan was not told")

    @pytest.mark.parametrize(
        ("script", "code", "said"),
        [("short.py", 3, "ended with code 3"), ("broken.py", 1, "no such luck"), ("absent", 1, "absent")],
    )
    def test_stops_the_others_when_one_ends(self, scripts: Path, script: str, code: int, said: str) -> None:
        parent = launch(scripts, {"one": "exec env WORD=x python patient.py one.txt", "two": f"exec {script}"})

        _, errors = parent.communicate(timeout=120)

        assert (parent.returncode, said in errors) == (code, True)
