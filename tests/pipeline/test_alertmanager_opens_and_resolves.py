"""A rule fires in a real Prometheus, a real Alertmanager posts its webhook, and an incident opens; then all of it backwards."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from tests.conftest import needs
from tests.processes import Process, eventually, free_port, running
from tests.servers import Answer, HttpServer, http_server

pytestmark = [pytest.mark.journey, pytest.mark.services, pytest.mark.django_db(transaction=True)]

RULES = """
groups:
  - name: shop
    interval: 1s
    rules:
      - alert: DeploymentReplicasMismatch
        expr: replicas_ready < replicas_wanted
        labels: {severity: critical}
        annotations:
          summary: Deployment {{ $labels.deployment }} lacks replicas
"""
PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{folder}/rules.yml]
scrape_configs:
  - job_name: kube-state-metrics
    honor_labels: true
    static_configs: [{{targets: ["{exporter}"]}}]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]
"""
ALERTMANAGER = """
route: {{receiver: aiops, group_by: [alertname, namespace], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: aiops
    webhook_configs:
      - url: {url}/api/v1/alerts/alertmanager
        send_resolved: true
        http_config: {{authorization: {{type: Bearer, credentials: {key}}}}}
"""


def test_alert_opens_an_incident_and_its_end_resolves_it(tmp_path):
    needs(shutil.which("prometheus") is not None, "prometheus")
    needs(shutil.which("prometheus-alertmanager") is not None, "prometheus-alertmanager")
    _, operator = apikeys.create(role=Role.OPERATOR, at=timezone.now())

    with running(tmp_path) as stack, http_server(Answer()) as exporter:
        report(exporter, ready=3)
        web = stack.start_web()
        client = httpx.Client(base_url=f"{web}/api/v1", headers={"X-API-Key": operator}, timeout=60)
        with client, monitoring(tmp_path, exporter=exporter.url, receiver=web, key=operator):
            assert incidents(client) == []

            report(exporter, ready=1)
            opened = eventually(lambda: incidents(client), or_say="the alert opens an incident")
            report(exporter, ready=3)
            eventually(lambda: incidents(client, state="Resolved"), or_say="the end of the alert resolves it")

            assert_shows_the_alert(opened)
            assert_tells_how_it_ended(client, opened[0]["name"])


def assert_shows_the_alert(items: list[dict[str, Any]]) -> None:
    assert len(items) == 1
    item = items[0]
    assert (item["resource"], item["namespace"], item["severity"]) == ("Deployment/checkout", "shop", "critical")


def assert_tells_how_it_ended(client: httpx.Client, name: str) -> None:
    incident = client.get(f"/incidents/{name}").json()
    assert incident["spec"]["signalType"] == "deployment_replicas_mismatch"
    assert incident["status"]["resolution"]
    timeline = client.get(f"/incidents/{name}/timeline").json()
    types = [event["type"] for event in timeline["events"]]
    assert (types[0], types[-1]) == ("Detection", "Resolution")


def report(exporter: HttpServer, *, ready: int) -> None:
    """What Prometheus scrapes from now on."""
    labels = '{namespace="shop",deployment="checkout"}'
    metrics = f"replicas_wanted{labels} 3\nreplicas_ready{labels} {ready}\n"
    exporter.answers[:] = [Answer(body=metrics.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})]


def incidents(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/incidents", params=query).raise_for_status().json()["items"]
    return items


@contextmanager
def monitoring(folder: Path, *, exporter: str, receiver: str, key: str) -> Iterator[None]:
    """Prometheus, which scrapes `exporter`, and Alertmanager, which posts to `receiver`."""
    ports = {"prometheus": free_port(), "alertmanager": free_port()}
    configure(
        folder, exporter=exporter.removeprefix("http://"), alertmanager=ports["alertmanager"], url=receiver, key=key
    )
    commands = {
        "alertmanager": [
            "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am",
            f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", "--cluster.listen-address=",
        ],
        "prometheus": [
            "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--rules.alert.resend-delay=1s",
        ],
    }  # fmt: skip
    processes: list[Process] = []
    try:
        for name, command in commands.items():
            processes.append(Process(name, command, env={}, folder=folder))
            eventually(partial(is_ready, ports[name]), or_say=f"{name} is ready")
        yield
    except AssertionError as error:
        said = "\n".join(process.output()[-2000:] for process in processes)
        raise AssertionError(f"{error}\n{said}") from error
    finally:
        for process in reversed(processes):
            process.stop()


def configure(folder: Path, *, exporter: str, alertmanager: int, url: str, key: str) -> None:
    (folder / "rules.yml").write_text(RULES)
    prometheus = PROMETHEUS.format(folder=folder, exporter=exporter, alertmanager=alertmanager)
    (folder / "prometheus.yml").write_text(prometheus)
    (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(url=url, key=key))


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=2).is_success
    except httpx.TransportError:
        return False
