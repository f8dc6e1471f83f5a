from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.apikeys.roles import Role
from federation.models import Cluster, Health, Phase, Tier
from incidents.models import FleetCorrelation, Incident
from incidents.states import IncidentState, Severity
from tests.conftest import NOON
from tests.factories import make_cluster, make_incident
from tests.incidents.api.conftest import api_of

pytestmark = pytest.mark.django_db
FEW = settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
COUNT = st.one_of(st.none(), st.integers(0, 50))
CLUSTERS = st.lists(
    st.fixed_dictionaries(
        {
            "phase": st.sampled_from(Phase.values),
            "health": st.sampled_from(Health.values),
            "tier": st.sampled_from(Tier.values),
            "last_heartbeat_at": st.sampled_from([None, NOON, NOON - timedelta(hours=1)]),
            "node_count": COUNT,
            "nodes_ready": COUNT,
            "pod_count": COUNT,
            "pod_capacity": COUNT,
            "cpu_used_millis": COUNT,
            "cpu_capacity_millis": COUNT,
            "latency_ms": COUNT,
        }
    ),
    max_size=6,
)
INCIDENTS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(Severity.values), st.sampled_from(IncidentState.values)), max_size=10
)


class TestSums:
    @FEW
    @given(CLUSTERS, INCIDENTS)
    def test_agree_everywhere(self, admin, clusters, incidents):
        Incident.objects.all().delete()
        Cluster.objects.all().delete()
        rows = [make_cluster(**columns) for columns in clusters]
        for number, severity, state in incidents:
            cluster = rows[number] if number < len(rows) else None
            make_incident(severity=severity, state=state, cluster=cluster, cluster_name=cluster.name if cluster else "")

        items = admin.get("/clusters").json()["items"]
        status = admin.get("/clusters/global-status").json()["status"]
        federation = admin.get("/federation").json()["spec"]
        listed = admin.get("/federation/clusters").json()

        counts, nodes, active = status["clusters"], status["nodes"], status["incidents"]
        assert counts["total"] == counts["healthy"] + counts["degraded"] + counts["unreachable"] == len(rows)
        for word in ("healthy", "degraded", "unreachable"):
            assert counts[word] == sum(item["status"] == word for item in items)
        assert nodes["total"] == nodes["ready"] + nodes["notReady"] == sum(item["nodes"]["total"] for item in items)
        assert nodes["ready"] == sum(item["nodes"]["ready"] for item in items)
        assert status["resources"]["totalPods"] == sum(item["resources"]["podCount"] for item in items)
        assert active["activeTotal"] == sum(active["bySeverity"].values()) == federation["totalActiveIssues"]
        per_cluster = {item["name"]: item["incidents"]["active"] for item in items if item["incidents"]["active"]}
        assert active["byCluster"] == per_cluster
        assert per_cluster == {item["name"]: item["activeIssues"] for item in listed["items"] if item["activeIssues"]}
        assert federation["totalClusters"] == listed["metadata"]["totalCount"] == counts["total"]
        assert federation["totalClusters"] == federation["connectedClusters"] + federation["disconnectedClusters"]
        assert federation["connectedClusters"] == sum(item["connected"] for item in listed["items"])
        assert federation["disconnectedClusters"] == counts["unreachable"]
        by_tier = [admin.get("/federation/clusters", tier=tier).json()["items"] for tier in Tier.values]
        assert sum(map(len, by_tier)) == counts["total"]


class TestGlobalStatus:
    def test_without_clusters_is_healthy(self, viewer):
        document = viewer.get("/clusters/global-status").json()

        assert (document["kind"], document["status"]["overall"]) == ("GlobalStatus", "healthy")
        assert set(document["status"]["federation"].values()) == {None}
        assert document["status"]["incidents"] == {
            "activeTotal": 0,
            "bySeverity": {"critical": 0, "high": 0, "medium": 0, "low": 0},
            "byCluster": {},
        }

    def test_averages_only_what_is_known(self, viewer):
        make_cluster(last_heartbeat_at=NOON, cpu_used_millis=500, cpu_capacity_millis=1000, latency_ms=180)
        make_cluster(last_heartbeat_at=NOON)

        status = viewer.get("/clusters/global-status").json()["status"]

        assert status["resources"]["avgCpuUsagePercent"] == 50
        assert status["resources"]["avgMemoryUsagePercent"] is None
        assert status["federation"]["syncLatency"] == "180ms"

    def test_is_unreachable_when_nothing_can_be_reached(self, viewer):
        make_cluster(phase="Disconnected")

        status = viewer.get("/clusters/global-status").json()["status"]

        assert (status["overall"], status["federation"]["syncStatus"]) == ("unreachable", "failed")

    def test_counts_only_what_the_key_may_see(self):
        for name in ("a", "b"):
            cluster = make_cluster(name=name)
            make_incident(cluster=cluster, cluster_name=name)
        scoped = api_of(Role.VIEWER, clusters=["a"])

        status = scoped.get("/clusters/global-status").json()["status"]

        assert (status["clusters"]["total"], status["incidents"]["byCluster"]) == (1, {"a": 1})


class TestFederation:
    def test_status_is_an_alias(self, viewer):
        make_cluster()

        assert viewer.get("/federation/status").json()["spec"] == viewer.get("/federation").json()["spec"]

    def test_refuses_an_unknown_tier(self, viewer):
        assert viewer.get("/federation/clusters", tier="gold").status_code == 400

    def test_lists_flat_items(self, viewer):
        make_cluster(name="east", kubernetes_version="1.31.4", tier="critical")

        document = viewer.get("/federation/clusters", tier="CRITICAL").json()

        assert document["metadata"] == {"totalCount": 1, "page": 1, "pageSize": 1}
        assert document["items"][0]["version"] == "v1.31.4"


class TestCorrelations:
    def test_show_the_first_incident_and_the_clusters(self, viewer):
        incident = make_incident(severity="critical")
        FleetCorrelation.objects.create(
            correlation_id="xcluster-1", kind="same_signature", key="k", subject="s", first=incident,
            signal_type="oom_kill", clusters=["a", "b", "c"], elevated=True, opened_at=NOON,
        )  # fmt: skip

        document = viewer.get("/federation/correlations").json()

        assert document["kind"] == "FederationCorrelations"
        item = document["items"][0]
        assert (item["correlationId"], item["issue"], item["severity"]) == ("xcluster-1", incident.name, "critical")
        assert (item["correlatedClusters"], item["elevated"], item["cascade"]) == ("a,b,c", True, False)
