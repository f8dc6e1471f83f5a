"""The broker is away while everything happens. Rows are the queue, so nothing is lost: the sweeps go on once it is back."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from aiops.apikeys.roles import Role
from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from incidents.models import Incident
from runbooks.models import ApprovalRequest, RemediationPlan
from runbooks.services import library
from tests.conftest import needs
from tests.processes import eventually, free_port, running

pytestmark = [pytest.mark.journey, pytest.mark.services, pytest.mark.django_db(transaction=True)]


class Redis:
    """A broker that can be stopped and started again, empty."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)
            self._process = None


@pytest.fixture
def broker(tmp_path) -> Iterator[Redis]:
    needs(shutil.which("redis-server") is not None, "redis-server")
    redis = Redis(tmp_path)
    yield redis
    redis.stop()


@pytest.fixture
def simulated():
    with SimulatedCluster(scenario="crash-loop", speed=50) as cluster:
        yield cluster


def test_journey_is_finished_after_the_broker_is_back(broker, simulated, connect, tmp_path):
    library.load_built_in(actor=SYSTEM, at=timezone.now())
    federation.register(
        name="harbor", kubeconfig=simulated.kubeconfig, automation="approve", actor=SYSTEM, at=timezone.now()
    )

    with running(tmp_path, CELERY_BROKER_URL=broker.url, AIOPS_DETECTION_GRACE="1") as stack:
        client = connect(stack.start_web(), Role.ADMIN)
        worker, beat = stack.start_worker(), stack.start_beat()

        received = client.post("/alerts/generic", json=ALERT)
        assert received.status_code == 202
        eventually(lambda: "Cannot connect" in worker.output(), or_say="the worker misses the broker")
        eventually(lambda: "Connection error" in beat.output(), or_say="beat misses the broker")
        assert Incident.objects.get().state == "Detected"

        broker.start()
        eventually(ApprovalRequest.objects.exists, or_say="the plan waits for approval")
        broker.stop()
        approved = client.post(
            f"/approvals/{ApprovalRequest.objects.get().name}/approve", json={"approvedBy": "anna@example.com"}
        )
        assert approved.status_code == 200
        assert RemediationPlan.objects.get().state == "Executing"

        broker.start()
        eventually(lambda: RemediationPlan.objects.filter(state="Verifying"), or_say="the plan is verified")
        assert client.post("/alerts/generic", json=ALERT | {"status": "resolved"}).status_code == 202
        eventually(lambda: Incident.objects.filter(state="Resolved"), or_say="the incident is resolved")
        assert (worker.popen.poll(), beat.popen.poll()) == (None, None)

    assert RemediationPlan.objects.get().state == "Completed"


ALERT = {
    "title": "Checkout crashes",
    "dedupKey": "checkout-crashes",
    "cluster": "harbor",
    "signalType": "crashloop_backoff",
    "severity": "high",
    "resource": {"kind": "Deployment", "name": "checkout", "namespace": "shop"},
}
