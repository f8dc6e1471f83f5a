from collections.abc import Iterator

import pytest
from django.utils import timezone

from aiops.simulator.embedded import SimulatedCluster
from federation.models import Cluster
from federation.services import register
from incidents.intake import INTAKES
from incidents.models import Anomaly, Incident
from incidents.services import owners, receiving
from incidents.services.owners import Owner, Pod
from tests.conftest import NOON
from tests.factories import make_cluster
from tests.incidents.actors import PERSON

pytestmark = pytest.mark.django_db


@pytest.fixture
def simulated() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(speed=50) as cluster:
        yield cluster


@pytest.fixture
def cluster(simulated: SimulatedCluster) -> Cluster:
    return register(name="east", kubeconfig=simulated.kubeconfig, actor=PERSON, at=timezone.now())


def pods_of(simulated: SimulatedCluster, count: int) -> list[Pod]:
    def ready() -> bool:
        return len(simulated.list("Pod", "shop")) >= count

    simulated.wait_for(lambda _: ready(), 10)
    return [Pod("east", "shop", pod["metadata"]["name"]) for pod in simulated.list("Pod", "shop")[:count]]


class TestByName:
    @pytest.mark.parametrize(
        ("pod", "owner"),
        [
            ("checkout-6c9f7d5b4c-x2v9k", Owner("Deployment", "checkout")),
            ("check-out-6c9f7d5b4c-x2v9k", Owner("Deployment", "check-out")),
            ("queue-0", None),
            ("checkout", None),
            ("agent-x2v9k", None),
        ],
    )
    def test_a_generated_name_names_its_deployment(self, pod: str, owner: Owner | None) -> None:
        assert owners.by_name(pod) == owner


class TestResolve:
    @pytest.mark.parametrize("count", [1, 4])
    def test_asks_the_cluster(self, simulated: SimulatedCluster, cluster: Cluster, count: int) -> None:
        pods = pods_of(simulated, count)

        found = owners.resolve(dict.fromkeys(pods, cluster))

        assert set(found) == set(pods)
        assert all(owner.kind == "Deployment" and pod.name.startswith(owner.name) for pod, owner in found.items())

    def test_a_pod_that_is_gone_is_judged_by_its_name(self, cluster: Cluster) -> None:
        pod = Pod("east", "shop", "gone-6c9f7d5b4c-x2v9k")

        assert owners.resolve({pod: cluster}) == {pod: Owner("Deployment", "gone")}

    def test_nobody_waits_for_a_cluster_that_hangs(
        self, simulated: SimulatedCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(owners, "PATIENCE", 0.2)
        simulated.hang("/pods/", 3)
        pod = Pod("east", "shop", "checkout-6c9f7d5b4c-x2v9k")

        assert owners.resolve({pod: cluster}) == {pod: Owner("Deployment", "checkout")}

    def test_of_a_cluster_that_is_away_nothing_is_asked(self) -> None:
        pod = Pod("west", "shop", "queue-0")

        assert owners.resolve({pod: make_cluster(name="west", phase="Disconnected")}) == {}


class TestReceive:
    def test_an_alert_about_a_pod_is_about_its_owner(self, simulated: SimulatedCluster, cluster: Cluster) -> None:
        pod = pods_of(simulated, 1)[0]
        labels = {"alertname": "PodNotReady", "namespace": "shop", "pod": pod.name}
        intake = INTAKES["alertmanager"]
        reading = intake.read({"status": "firing", "alerts": [{"labels": labels}]})

        receiving.receive(intake=intake, alerts=receiving.locate(reading.alerts, cluster=cluster), at=NOON)

        assert Incident.objects.get().resource_kind == "Deployment"
        assert Anomaly.objects.get().object_name == pod.name
