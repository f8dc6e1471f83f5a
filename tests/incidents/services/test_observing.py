"""The observer against the simulated API server: real lists, real watches, real leases."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connections
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from aiops.health.models import Lease
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from incidents.models import Anomaly, Incident
from incidents.services import detection, observing
from incidents.services.observing import Observer
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(speed=50) as cluster:
        cluster.wait_for(lambda one: len(one.list("Pod")) > 2)
        yield cluster


@pytest.fixture
def cluster(simulated, settings) -> Iterator[Cluster]:
    settings.AIOPS_DETECTION_GRACE = 1
    simulated.clear_faults()
    yield federation.register(name="harbor", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())
    for deployment in simulated.list("Deployment"):
        simulated.heal(deployment["metadata"]["namespace"], deployment["metadata"]["name"])


@contextmanager
def observing_as(holder: str, *, most: int = 10) -> Iterator[Observer]:
    stopped = threading.Event()
    observer = Observer(holder=holder, most=most, stopped=stopped)

    def run() -> None:
        try:
            observer.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield observer
    finally:
        stopped.set()
        thread.join(timeout=20)


def held(observer: Observer) -> set[str]:
    return {watched.cluster.name for watched in observer._watched.values()}


def is_live(observer: Observer) -> Callable[[], bool]:
    return lambda: bool(observer._watched) and all(one.is_live for one in observer._watched.values())


class TestObserver:
    def test_opens_an_incident_soon_after_the_change(self, simulated, cluster):
        with observing_as("one") as observer:
            eventually(is_live(observer))
            simulated.break_workload("shop", "catalog", "image-pull")

            eventually(lambda: Incident.objects.filter(resource_name="catalog"))
            eventually(lambda: Cluster.objects.get().watched_until)

    def test_finds_what_a_look_finds(self, simulated, cluster):
        """Under the same fingerprint, so that whoever comes second adds nothing."""
        simulated.break_workload("shop", "catalog", "image-pull")
        with observing_as("one"):
            eventually(lambda: Anomaly.objects.filter(resource_name="catalog"))
        before = set(Anomaly.objects.filter(condition="image_pull_backoff").values_list("fingerprint", flat=True))

        cluster.refresh_from_db()
        detection.poll(cluster=cluster, at=timezone.now())

        after = set(Anomaly.objects.filter(condition="image_pull_backoff").values_list("fingerprint", flat=True))
        assert before <= after
        assert Incident.objects.filter(resource_name="catalog").count() == 1

    def test_goes_on_after_watches_were_cut_and_versions_expired(self, simulated, cluster):
        with observing_as("one") as observer:
            eventually(is_live(observer))
            simulated.cut_watches()
            simulated.expire()
            eventually(is_live(observer))
            simulated.break_workload("shop", "catalog", "image-pull")

            eventually(lambda: Incident.objects.filter(resource_name="catalog"))

    @pytest.mark.parametrize("status", [403, 429])
    def test_does_not_spin_on_a_permanent_refusal(self, simulated, cluster, status):
        """Of one kind; the others are watched all the same. A server that asks for patience gets it."""
        simulated.clear_requests()
        simulated.fail_next(None, status=status, match="/jobs", retry_after=30)
        with observing_as("one") as observer:
            others = len(observing.KINDS) - 1
            eventually(lambda: [len(one._live) for one in observer._watched.values()] == [others])
            threading.Event().wait(2)

        tries = [path for _, path, _ in simulated.requests if path.endswith("/jobs")]
        assert 1 <= len(tries) <= 2

    def test_two_share_the_clusters(self, simulated, cluster):
        federation.register(name="second", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=timezone.now())
        with observing_as("one") as one:
            eventually(lambda: len(held(one)) == 2)
            with observing_as("two") as two:
                eventually(lambda: len(held(one)) == len(held(two)) == 1)

                assert held(one) | held(two) == {"harbor", "second"}
        assert not Lease.objects.exists()

    def test_stops_when_its_lease_is_lost(self, cluster):
        with observing_as("one") as observer:
            eventually(lambda: held(observer))
            Lease.objects.filter(name__startswith=observing.PREFIX).update(holder="another")

            eventually(lambda: not held(observer))


class TestBackOff:
    def test_doubles_up_to_a_minute(self):
        for failures, longest in ((1, 1), (2, 2), (5, 16), (7, 60), (90, 60)):
            assert longest / 2 <= observing.back_off(failures) <= longest

    def test_of_a_refusal_is_longer(self):
        assert 150 <= observing.back_off(90, refused=True) <= 300
