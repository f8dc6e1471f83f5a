from datetime import timedelta
from typing import Any

import pytest

from aiops.encryption import encrypt
from aiops.simulator.embedded import SimulatedCluster
from slos.services import evaluation
from slos.sources.watcher import is_ready
from tests.conftest import NOON
from tests.factories import make_cluster
from tests.slos.rows import slo_row


def workload(wanted: int | None, available: int | None, kind: str = "Deployment") -> dict[str, Any]:
    return {"kind": kind, "spec": {"replicas": wanted}, "status": {"availableReplicas": available}}


class TestIsReady:
    @pytest.mark.parametrize(
        ("wanted", "available", "ready"),
        [(3, 3, True), (10, 9, True), (10, 8, False), (3, None, False), (None, 1, True), (0, 0, None)],
    )
    def test_wants_nine_tenths(self, wanted: int | None, available: int | None, ready: bool | None) -> None:
        assert is_ready(workload(wanted, available)) is ready

    def test_reads_daemon_sets(self) -> None:
        status = {"desiredNumberScheduled": 4, "numberAvailable": 2}

        assert is_ready({"kind": "DaemonSet", "status": status}) is False

    def test_reads_conditions(self) -> None:
        assert is_ready({"kind": "Node", "status": {"conditions": [{"type": "Ready", "status": "True"}]}}) is True
        assert is_ready({"kind": "Pod", "status": {}}) is False


@pytest.mark.django_db
class TestMeasure:
    def test_says_when_the_cluster_does_not_answer(self) -> None:
        slo = slo_row(source="watcher", cluster=make_cluster())

        (found,) = evaluation.evaluate(slos=[slo], at=NOON)

        assert found.current is None
        assert found.status_reason.startswith("query error:")

    def test_looks_at_the_workload(self) -> None:
        with SimulatedCluster(speed=50) as simulated:
            cluster = make_cluster(
                kubeconfig=encrypt(simulated.kubeconfig), kubeconfig_digest=simulated.url[-64:], server=simulated.url
            )
            simulated.wait_for(lambda it: is_ready(it.fetch("Deployment", "shop", "checkout")))
            slo = slo_row(source="watcher", cluster=cluster)
            for minute in range(10):
                (found,) = evaluation.evaluate(slos=[slo], at=NOON + timedelta(minutes=minute))

        assert found.current == 100
        assert found.measured_since == NOON - timedelta(minutes=2)
        assert found.total == 11 * 60

    def test_says_when_the_workload_is_not_there(self) -> None:
        with SimulatedCluster(speed=50) as simulated:
            cluster = make_cluster(
                kubeconfig=encrypt(simulated.kubeconfig), kubeconfig_digest=simulated.url + "/", server=simulated.url
            )
            (found,) = evaluation.evaluate(slos=[slo_row(source="watcher", cluster=cluster, service="ghost")], at=NOON)

        assert found.status_reason == "query error: no workload shop/ghost exists"

    def test_needs_a_cluster(self) -> None:
        (found,) = evaluation.evaluate(slos=[slo_row(source="watcher")], at=NOON)

        assert found.status_reason == "query error: no cluster is named"

    def test_asks_nothing_about_the_past(self) -> None:
        slo = slo_row(source="watcher")

        question = evaluation.ask_for(slo, NOON)

        assert not question.older
        assert question.recent.end - question.recent.start <= timedelta(minutes=8).total_seconds()
