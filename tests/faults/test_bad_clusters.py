"""Clusters that answer badly in every way, all at once, and one well-behaved cluster with a sick workload among them."""

from contextlib import ExitStack

import pytest
from django.db.models import F
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from incidents.models import Anomaly, Incident
from tests.factories import make_anomaly, make_incident
from tests.processes import eventually, free_port, running
from tests.servers import Answer, http_server, raw_server

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

JSON = {"Content-Type": "application/json"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
# what the server does to every request, and what its row says about it
STATUSES = {401: "HTTP 401", 403: "HTTP 403", 410: "HTTP 410", 429: "HTTP 429", 500: "HTTP 500"}
GONE = "gone"
HANGING = "hanging"


@pytest.fixture
def urls():
    """Name of the cluster -> the address of a server that behaves so."""
    with ExitStack() as servers:
        urls = {
            f"answers-{status}": servers.enter_context(http_server(Answer(status, b"{}", JSON))).url
            for status in STATUSES
        }
        urls["garbage"] = servers.enter_context(http_server(Answer(200, b"<html>welcome</html>", JSON))).url
        urls["truncated"] = servers.enter_context(raw_server(lambda send: send(HEAD + b'{"items": [')))
        urls["silent"] = servers.enter_context(raw_server(lambda send: send(b"")))
        urls[GONE] = f"http://127.0.0.1:{free_port()}"
        yield urls


@pytest.fixture
def sick():
    with SimulatedCluster(scenario="image-pull-error", speed=50) as cluster:
        yield cluster


def register(name: str, kubeconfig: str) -> Cluster:
    return federation.register(name=name, kubeconfig=kubeconfig, automation="off", actor=SYSTEM, at=timezone.now())


def test_bad_clusters_are_shown_as_such_and_disturb_nobody(urls, sick, tmp_path):
    for name, url in urls.items():
        cluster = register(name, sick.kubeconfig.replace(sick.url, url))
        make_anomaly(incident=make_incident(cluster=cluster, cluster_name=name))
    register("well", sick.kubeconfig)

    with running(tmp_path, AIOPS_DETECTION_GRACE="1") as stack:
        worker = stack.start_worker(concurrency=4)
        stack.start_beat()
        eventually(lambda: Incident.objects.filter(cluster_name="well"), or_say="the good cluster's incident opens")
        eventually(lambda: not asked_less_than(2, urls), or_say="each bad cluster was asked twice")
        logged = worker.output()

    assert_rows_tell_why(urls)
    assert_nothing_was_lost(urls)
    failures = [line for line in logged.splitlines() if "cluster_poll_failed" in line]
    assert all(any(name in line for line in failures) for name in urls)
    assert "Traceback" not in logged


def test_hanging_cluster_delays_no_other(sick, tmp_path):
    with SimulatedCluster() as hanging, running(tmp_path, AIOPS_DETECTION_GRACE="1") as stack:
        hanging.hang(seconds=600)
        make_anomaly(incident=make_incident(cluster=register(HANGING, hanging.kubeconfig), cluster_name=HANGING))
        register("well", sick.kubeconfig)
        stack.start_worker()
        stack.start_beat()

        eventually(lambda: hanging.requests, or_say="the hanging cluster is asked")
        seen = Cluster.objects.get(name="well").last_look_at
        eventually(lambda: Cluster.objects.get(name="well").last_look_at != seen, or_say="the other one is looked at")
        assert asked_less_than(1, [HANGING])  # whose look is under way all the time
        eventually(lambda: Incident.objects.filter(cluster_name="well"), or_say="the incident opens")
        eventually(lambda: not asked_less_than(1, [HANGING]), or_say="the look at the hanging cluster is given up")

    cluster = Cluster.objects.get(name=HANGING)
    assert (cluster.phase, cluster.poll_error) == ("Disconnected", "GET /version: no answer in time")
    assert_nothing_was_lost([HANGING])


def asked_less_than(times: int, names) -> list[Cluster]:
    return list(Cluster.objects.filter(name__in=list(names), poll_failures__lt=times))


def assert_rows_tell_why(urls) -> None:
    errors = dict(Cluster.objects.values_list("name", "poll_error"))
    for status, text in STATUSES.items():
        assert text in errors[f"answers-{status}"]
    assert "no valid JSON" in errors["garbage"]
    assert "broke off" in errors["truncated"]
    assert "broke off" in errors["silent"]
    assert "no connection" in errors[GONE]
    assert errors["well"] == ""
    assert not Cluster.objects.filter(name__in=list(urls), next_poll_at__lte=F("last_polled_at")).exists()


def assert_nothing_was_lost(names) -> None:
    """What is not seen is unknown, not well."""
    anomalies = Anomaly.objects.filter(cluster__name__in=list(names))
    assert anomalies.count() == len(names)
    assert not anomalies.exclude(misses=0, cleared_at=None).exists()
    assert set(Incident.objects.filter(cluster_name__in=list(names)).values_list("state", flat=True)) <= {
        "Detected", "Analyzing", "Escalated",
    }  # fmt: skip
