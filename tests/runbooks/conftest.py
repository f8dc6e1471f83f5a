from collections.abc import Iterator

import pytest

from aiops.clients import kubeconfig
from aiops.clients.kubernetes import KubernetesClient
from aiops.simulator.embedded import SimulatedCluster


@pytest.fixture
def simulated() -> Iterator[SimulatedCluster]:
    """A healthy simulated cluster with the namespace `shop`, fifty times as fast as a real one."""
    with SimulatedCluster(scenario="healthy", speed=50) as cluster:
        yield cluster


@pytest.fixture
def client(simulated: SimulatedCluster) -> Iterator[KubernetesClient]:
    made = KubernetesClient(kubeconfig.load(simulated.kubeconfig))
    yield made
    made.close()
