import io

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db


@pytest.fixture
def simulated():
    with SimulatedCluster() as cluster:
        federation.register(name="harbor", kubeconfig=cluster.kubeconfig, actor=SYSTEM, at=timezone.now())
        yield cluster


def run(*names: str) -> str:
    out = io.StringIO()
    call_command("poll_clusters", *names, "--once", stdout=out)
    return out.getvalue()


class TestPollClusters:
    def test_says_what_it_saw(self, simulated):
        assert run().startswith("harbor: ")
        assert Cluster.objects.get().phase == "Connected"

    def test_looks_at_the_named_ones_only(self, simulated):
        make_cluster(name="other")

        assert "other" not in run("harbor")

    def test_looks_at_all_and_fails_when_one_fails(self, simulated):
        make_cluster(name="broken")

        with pytest.raises(CommandError, match="1 of the clusters"):
            run()
        assert Cluster.objects.get(name="harbor").phase == "Connected"

    def test_names_what_is_not_visible(self, simulated):
        simulated.fail_next(None, status=403, match="ingresses")

        assert "not visible: Ingress" in run()

    def test_refuses_unknown_names(self):
        with pytest.raises(CommandError, match="nothing"):
            run("nothing")

    def test_says_that_there_is_none(self):
        assert "No cluster" in run()
