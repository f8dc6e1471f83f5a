"""Five clusters in three tiers, of which one dies, one is slow and one lies; two observers, of which one is killed."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import httpx
import pytest
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.health.models import Lease
from aiops.notifications.models import Channel, Notification, Policy
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from federation.services import connectivity
from incidents.models import FleetCorrelation, Incident
from incidents.services import observing
from tests.processes import Stack, eventually, running

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

# name -> tier, environment
FLEET = {
    "alpha": ("critical", "prod"),
    "bravo": ("standard", "prod"),
    "charlie": ("standard", "staging"),
    "slow": ("non-critical", "dev"),
    "liar": ("non-critical", "dev"),
}
INTERVAL = 1  # seconds between two health checks
SICK = ("alpha", "bravo", "charlie")


@pytest.fixture
def clusters() -> Iterator[dict[str, SimulatedCluster]]:
    with ExitStack() as running_ones:
        found = {name: running_ones.enter_context(SimulatedCluster(speed=30)) for name in FLEET}
        for name, one in found.items():
            tier, environment = FLEET[name]
            federation.register(
                name=name, kubeconfig=one.kubeconfig, tier=tier, environment=environment, automation="observe",
                health_check_interval_seconds=INTERVAL, actor=SYSTEM, at=timezone.now(),
            )  # fmt: skip
        found["slow"].hang("/readyz", 2.5)
        found["liar"].garbage("pods", count=None)
        found["liar"].fail_next(2, status=429, match="nodes")
        found["liar"].fail_next(2, status=410, match="deployments")
        yield found


@pytest.fixture
def stack(clusters, tmp_path) -> Iterator[Stack]:
    with running(tmp_path, AIOPS_DETECTION_GRACE="1") as stack:
        stack.start_worker(concurrency=4)
        stack.start_beat()
        yield stack


def is_connected(name: str) -> bool:
    return health_of(name) == "Connected"


def health_of(name: str) -> str:
    return Cluster.objects.get(name=name).health


def test_fleet_is_seen_as_it_is_and_one_cause_is_one_incident(clusters, stack):
    _, key = apikeys.create(role=Role.VIEWER, at=timezone.now())
    api = httpx.Client(base_url=f"{stack.start_web()}/api/v1", headers={"X-API-Key": key}, timeout=60)

    # the same release breaks the same workload in three clusters
    for name in SICK:
        eventually(partial(is_connected, name), or_say=f"{name} is connected")
        clusters[name].break_workload("shop", "catalog", "image-pull")
    eventually(lambda: FleetCorrelation.objects.filter(elevated=True), or_say="the spread is seen")
    eventually(lambda: Incident.objects.filter(cluster=None, severity="critical"), or_say="the fleet incident")
    members = Incident.objects.filter(cluster__name__in=SICK, resource_name="catalog")
    assert set(members.values_list("severity", flat=True)) == {"critical"}

    # one is slow, which is no failure, and one lies, which is one
    eventually(lambda: health_of("slow") == "Degraded", or_say="the slow one is degraded")
    eventually(lambda: health_of("liar") == "Unreachable", or_say="the liar is not believed")
    liar = Cluster.objects.get(name="liar")
    assert (liar.phase, liar.coverage_gaps) == ("Error", [])

    # one dies
    clusters["bravo"].drop_connections(count=None)
    eventually(lambda: health_of("bravo") == "Unreachable", or_say="the dead one is unreachable")
    assert Cluster.objects.get(name="bravo").phase == "Disconnected"
    bravo = members.get(cluster__name="bravo")
    assert bravo.state != "Resolved"  # what is not seen is unknown, not well

    status = api.get("/clusters/global-status").json()["status"]
    counts = status["clusters"]
    assert counts["total"] == counts["healthy"] + counts["degraded"] + counts["unreachable"] == 5
    assert counts["unreachable"] >= 2
    assert status["overall"] == "degraded"
    listed = {item["name"]: item for item in api.get("/federation/clusters").json()["items"]}
    assert (listed["alpha"]["connected"], listed["bravo"]["connected"]) == (True, False)
    item = api.get("/federation/correlations").json()["items"][0]
    assert (item["elevated"], set(item["correlatedClusters"].split(","))) == (True, set(SICK))

    # and comes back
    clusters["bravo"].clear_faults()
    Cluster.objects.filter(name="bravo").update(next_check_at=timezone.now())
    eventually(lambda: health_of("bravo") == "Connected", or_say="it is connected again")


def test_when_all_fall_silent_it_is_us_and_is_said_once(clusters, stack):
    now = timezone.now()
    Channel.objects.create(name="ops", type="webhook", enabled=True, created_at=now, updated_at=now)
    rules = [{"name": "clusters", "match": {"resourceKinds": ["ClusterRegistration"]}, "channels": ["ops"]}]
    rules.append({"name": "fleet", "match": {"events": ["hub_cut_off", "hub_connected"]}, "channels": ["ops"]})
    for name in FLEET:
        clusters[name].clear_faults()
    for name in FLEET:
        eventually(partial(is_connected, name), or_say=f"{name} is connected")

    Policy.objects.create(name="ops", rules=rules, created_at=now, updated_at=now)

    for cluster in clusters.values():
        cluster.drop_connections(count=None)

    eventually(lambda: connectivity.frozen(at=timezone.now()), or_say="automation rests")
    eventually(lambda: "hub_cut_off" in events(), or_say="it is said")
    silent = Cluster.objects.filter(phase="Disconnected")
    eventually(lambda: silent.count() == len(FLEET), or_say="all are disconnected")

    for cluster in clusters.values():
        cluster.clear_faults()
    Cluster.objects.update(next_check_at=timezone.now())
    eventually(lambda: "hub_connected" in events(), or_say="it is over")

    assert [events().count(event) for event in ("hub_cut_off", "hub_connected")] == [1, 1]
    assert set(Notification.objects.values_list("event", flat=True)) == {"hub_cut_off", "hub_connected"}


def events() -> list[str]:
    return list(AuditEvent.objects.values_list("event_type", flat=True))


def test_another_observer_takes_over_within_fifteen_seconds(clusters, stack):
    first = stack.start_observer()
    eventually(lambda: holders() == set(FLEET) and len(set(of_leases().values())) == 1)
    stack.start_observer()
    eventually(lambda: len(set(of_leases().values())) == 2, or_say="they share the clusters")
    victim = max(set(of_leases().values()), key=lambda holder: f":{first.popen.pid}:" in holder)

    first.kill()
    left = Lease.objects.filter(holder=victim).latest("expires_at").expires_at - timezone.now()
    eventually(lambda: holders() == set(FLEET) and victim not in of_leases().values(), or_say="the other takes all")

    # the other one looks every so often; how long this machine took for it says nothing
    assert left + timedelta(seconds=observing.LOOK_EVERY) < timedelta(seconds=15)


def of_leases() -> dict[str, str]:
    """Holder by lease, of the leases that are alive."""
    rows = Lease.objects.filter(name__startswith="observer:", expires_at__gt=timezone.now())
    return dict(rows.values_list("name", "holder"))


def holders() -> set[str]:
    keys = [int(name.partition(":")[2]) for name in of_leases()]
    return set(Cluster.objects.filter(pk__in=keys).values_list("name", flat=True))
