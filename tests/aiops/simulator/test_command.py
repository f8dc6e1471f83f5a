import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command
from kubernetes import client, config

from aiops.simulator.scenarios import SCENARIOS

MANAGE = Path(settings.BASE_DIR) / "manage.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """The command as a process, the line it prints and its kubeconfig."""
    path = tmp_path / "kubeconfig"
    command = [
        sys.executable,
        str(MANAGE),
        "simulate_cluster",
        "--port",
        "0",
        "--kubeconfig",
        str(path),
        "--token",
        "abc",
    ]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "aiops.settings"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline(), path
    finally:
        process.kill()
        process.wait(10)


def test_serves_what_its_kubeconfig_leads_to(server: tuple[subprocess.Popen[str], str, Path]) -> None:
    process, line, path = server
    document = yaml.safe_load(path.read_text())

    assert line.strip().endswith(document["clusters"][0]["cluster"]["server"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = client.Configuration()
    config.load_kube_config(str(path), client_configuration=loaded)
    assert len(client.CoreV1Api(client.ApiClient(loaded)).list_node().items) == 3

    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_lists_its_scenarios_name_first() -> None:
    out = StringIO()

    call_command("simulate_cluster", "--list", stdout=out)

    assert [line.split()[0] for line in out.getvalue().splitlines()] == list(SCENARIOS)


def test_refuses_an_unknown_scenario_by_naming_the_known_ones() -> None:
    with pytest.raises(CommandError, match="known: healthy, crash-loop"):
        call_command("simulate_cluster", "--scenario", "nosuch")
