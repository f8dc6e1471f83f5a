"""Clusters that let us see only a part of what is there, or that are not as they were."""

from datetime import timedelta

import pytest

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.simulator.embedded import SimulatedCluster
from federation import health as rules
from federation import services
from federation.health import Origin
from federation.models import Cluster
from federation.services import health
from incidents.services import detection
from tests.conftest import NOON
from tests.factories import make_cluster

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


class TestGaps:
    def test_a_missing_permission_degrades_until_it_is_granted(self):
        with SimulatedCluster() as simulated:
            cluster = services.register(name="harbor", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=NOON)
            simulated.fail_next(None, status=403, match="/persistentvolumes")
            detection.poll(cluster=cluster, at=NOON)
            health.check(cluster=cluster, at=NOON + MINUTE)

            cluster.refresh_from_db()
            assert (cluster.health, cluster.phase) == ("Degraded", "Connected")
            assert "PersistentVolume" in next(rules.warnings(cluster, NOON))

            simulated.clear_faults()
            detection.poll(cluster=cluster, at=NOON + 2 * MINUTE)

        cluster.refresh_from_db()
        assert (cluster.health, cluster.coverage_gaps) == ("Connected", [])

    def test_every_change_of_health_is_in_the_audit_log(self):
        cluster = make_cluster()
        for minute, gaps in enumerate(([], ["Node"], ["Node"], [], [])):
            columns = {"coverage_gaps": gaps}
            health.note(cluster=cluster, origin=Origin.POLL, error=None, columns=columns, at=NOON + minute * MINUTE)

        told = AuditEvent.objects.filter(action="cluster.check").order_by("at")
        assert [(row.severity, row.details["health"]) for row in told] == [
            ("warning", "Degraded"),
            ("info", "Connected"),
        ]


class TestCapabilities:
    def test_are_discovered(self):
        with SimulatedCluster() as simulated:
            cluster = services.register(name="harbor", kubeconfig=simulated.kubeconfig, actor=SYSTEM, at=NOON)
            health.check(cluster=cluster, at=NOON)

        assert Cluster.objects.get().capabilities == ["metrics-server"]
        assert Cluster.objects.get().pod_capacity == 330


class TestWarnings:
    def test_name_what_comes(self):
        cluster = make_cluster(kubernetes_version="1.19.4-gke.1", credentials_expire_at=NOON + timedelta(days=3))

        version, end = rules.warnings(cluster, NOON)

        assert ("1.19.4-gke.1" in version, "ends at 2027" in end) == (True, True)

    @pytest.mark.parametrize("version", ["", "1.31.4", "1.36.2-simulated", "odd"])
    def test_leave_alone_what_is_well(self, version):
        assert not list(rules.warnings(make_cluster(kubernetes_version=version), NOON))
