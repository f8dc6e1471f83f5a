from datetime import timedelta

import pytest

from aiops.apikeys.roles import Role
from aiops.audit.models import AuditEvent
from aiops.simulator.embedded import SimulatedCluster
from federation.models import Cluster, HealthSample
from tests.conftest import NOON
from tests.factories import make_cluster, make_incident, make_plan
from tests.federation.api.conftest import Api
from tests.incidents.api.conftest import api_of

pytestmark = pytest.mark.django_db
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: very-secret-token}}]
"""
SEEN = {"last_heartbeat_at": NOON, "node_count": 3, "nodes_ready": 3}


@pytest.fixture(scope="module")
def simulated():
    with SimulatedCluster() as cluster:
        yield cluster


class TestList:
    def test_shows_clusters_by_name_with_what_goes_on_there(self, viewer):
        west = make_cluster(name="west", **SEEN)
        east = make_cluster(
            name="east", region="eu", provider="aws", kubernetes_version="1.31.4", cpu_used_millis=1500,
            cpu_capacity_millis=4000, pod_count=7, pod_capacity=110, **SEEN,
        )  # fmt: skip
        make_incident(cluster=east, cluster_name="east")
        make_incident(cluster=east, cluster_name="east", state="Resolved")
        make_incident(cluster=east, cluster_name="east", detected_at=NOON - timedelta(days=2))
        make_plan(cluster=west, state="Executing")
        make_plan(cluster=west, state="WaitingApproval")

        document = viewer.get("/clusters").json()

        assert (document["kind"], document["metadata"]) == (
            "ClusterList",
            {"totalCount": 2, "page": 1, "pageSize": 100},
        )
        first, second = document["items"]
        assert (first["name"], first["version"], first["status"], first["displayName"]) == (
            "east",
            "1.31.4",
            "healthy",
            "east",
        )
        assert (first["nodes"], first["incidents"]) == ({"total": 3, "ready": 3}, {"active": 2, "total24h": 2})
        assert first["resources"] == {
            "cpuUsagePercent": 38, "memoryUsagePercent": None, "podCount": 7, "podCapacity": 110,
        }  # fmt: skip
        assert (second["name"], second["activeRemediations"], second["provider"]) == ("west", 1, None)

    @pytest.mark.parametrize(
        ("columns", "status"),
        [
            ({}, "healthy"),
            ({"nodes_ready": 2}, "degraded"),
            ({"health": "Degraded"}, "degraded"),
            ({"phase": "Disconnected"}, "unreachable"),
            ({"phase": "Pending"}, "unreachable"),
            ({"last_heartbeat_at": NOON - timedelta(seconds=79)}, "healthy"),
            ({"last_heartbeat_at": NOON - timedelta(seconds=91)}, "unreachable"),
            (
                {"last_heartbeat_at": NOON - timedelta(seconds=91), "health_check_interval_seconds": 60},
                "healthy",
            ),
            ({"last_heartbeat_at": None}, "unreachable"),
        ],
    )
    def test_status_follows_the_contract(self, viewer, columns, status):
        make_cluster(**SEEN | columns)

        assert viewer.get("/clusters").json()["items"][0]["status"] == status
        assert viewer.get("/clusters", status=status.upper()).json()["metadata"]["totalCount"] == 1

    def test_filters(self, viewer):
        make_cluster(name="a", region="eu", namespace="x")
        make_cluster(name="b", region="us", **SEEN)

        for query, names in (
            ({"region": "eu"}, ["a"]),
            ({"namespace": "default"}, ["b"]),
            ({"status": "unreachable"}, ["a"]),
            ({"status": ""}, ["a", "b"]),
        ):
            assert [item["name"] for item in viewer.get("/clusters", **query).json()["items"]] == names
        assert viewer.get("/clusters", status="sick").status_code == 400

    def test_costs_the_same_for_any_number(self, viewer, django_assert_num_queries):
        for _ in range(5):
            make_cluster()
        viewer.get("/clusters")

        with django_assert_num_queries(4):
            viewer.get("/clusters")

    def test_needs_a_key(self, nobody):
        assert nobody.get("/clusters").status_code == 401

    def test_shows_only_what_the_key_may_see(self):
        make_cluster(name="a")
        make_cluster(name="b")
        scoped = api_of(Role.VIEWER, clusters=["a"])

        assert [item["name"] for item in scoped.get("/clusters").json()["items"]] == ["a"]
        assert scoped.get("/clusters/b").status_code == 404

    def test_is_not_stale_before_anybody_could_have_checked_again(self, viewer):
        make_cluster(name="east", health_check_interval_seconds=1, **SEEN | {"last_heartbeat_at": NOON})
        make_cluster(
            name="west", health_check_interval_seconds=1, **SEEN | {"last_heartbeat_at": NOON - timedelta(seconds=6)}
        )

        items = viewer.get("/clusters").json()["items"]

        assert [item["status"] for item in items] == ["healthy", "unreachable"]  # it is ten seconds later


class TestRetrieve:
    def test_has_the_members_of_the_contract(self, viewer):
        make_cluster(
            name="east", kubernetes_version="1.31.4", cpu_capacity_millis=112_000, cpu_used_millis=68_320,
            memory_capacity_bytes=448 * 1024**3, memory_used_bytes=None, last_check_at=NOON, prometheus_url="http://p",
            **SEEN,
        )  # fmt: skip

        document = viewer.get("/clusters/east").json()

        assert document["kind"] == "ClusterRegistration"
        spec, status = document["spec"], document["status"]
        assert (spec["kubeconfigSecret"], spec["healthCheckInterval"], spec["automation"], spec["prometheusURL"]) == (
            "east-kubeconfig", "30s", "auto", "http://p",
        )  # fmt: skip
        assert (status["phase"], status["connected"], status["kubernetesVersion"]) == ("Connected", True, "v1.31.4")
        assert status["resourceUsage"] == {
            "cpuCapacity": "112", "cpuUsed": "68.3", "memoryCapacity": "448Gi", "memoryUsed": None,
        }  # fmt: skip
        assert status["lastHealthCheck"] == "2027-04-12T12:00:00Z"
        assert status["health"]["stale"] is False

    def test_of_a_new_one_knows_nothing_yet(self, viewer):
        make_cluster(name="new", phase="Pending", health="Pending")

        status = viewer.get("/clusters/new").json()["status"]

        assert (status["phase"], status["connected"], status["nodeCount"]) == ("Pending", False, 0)
        assert status["resourceUsage"] is status["kubernetesVersion"] is status["lastHealthCheck"] is None

    def test_of_a_silent_one_says_that_it_is_disconnected(self, viewer):
        make_cluster(name="mute", last_heartbeat_at=NOON - timedelta(hours=1))

        status = viewer.get("/clusters/mute").json()["status"]

        assert (status["phase"], status["connected"], status["health"]["stale"]) == ("Disconnected", False, True)


class TestCreate:
    def test_registers(self, admin):
        body = {
            "name": "east", "kubeconfig": KUBECONFIG, "region": "eu", "tier": "critical", "environment": "production",
            "healthCheckInterval": "1m", "automation": "approve", "labels": {"team": "docks"},
        }  # fmt: skip

        answer = admin.post("/clusters", body)

        assert answer.status_code == 201
        document = answer.json()
        assert (document["spec"]["tier"], document["spec"]["environment"]) == ("critical", "prod")
        assert (document["spec"]["healthCheckInterval"], document["metadata"]["namespace"]) == ("1m", "aiops-system")
        assert "secret-token" not in answer.content.decode()
        assert [event.action for event in AuditEvent.objects.all()] == ["cluster.create"]

    def test_refuses_a_taken_name(self, admin):
        make_cluster(name="east")

        assert admin.post("/clusters", {"name": "east", "kubeconfig": KUBECONFIG}).status_code == 409

    @pytest.mark.parametrize(
        ("body", "member"),
        [
            ({"name": "global-status"}, "name"),
            ({"name": "East"}, "name"),
            ({"kubeconfig": None}, "kubeconfig"),
            ({"kubeconfig": "kind: List"}, "kubeconfig"),
            ({"kubeconfig": KUBECONFIG.replace("token: very-secret-token", "exec: {command: sh}")}, "kubeconfig"),
            ({"tier": "gold"}, "tier"),
            ({"healthCheckInterval": "-5s"}, "healthCheckInterval"),
            ({"prometheusURL": "file:///etc/passwd"}, "prometheusURL"),
            ({"labels": {"a": 1}}, "labels"),
        ],
    )  # fmt: skip
    def test_refuses_bad_members(self, admin, body, member):
        answer = admin.post("/clusters", {"name": "east", "kubeconfig": KUBECONFIG} | body)

        assert answer.status_code == 400
        assert any(name.startswith(member) for name in answer.json()["error"]["fields"])
        assert not Cluster.objects.exists()

    def test_is_for_admins(self, operator):
        assert operator.post("/clusters", {"name": "east", "kubeconfig": KUBECONFIG}).status_code == 403

    def test_is_refused_outside_the_scope(self):
        scoped = api_of(Role.ADMIN, clusters=["a"])

        assert scoped.post("/clusters", {"name": "b", "kubeconfig": KUBECONFIG}).status_code == 403

    def test_is_refused_where_the_scope_leaves_out_the_usual_namespace(self):
        scoped = api_of(Role.ADMIN, namespaces=["shop"])

        assert scoped.post("/clusters", {"name": "b", "kubeconfig": KUBECONFIG}).status_code == 403
        assert scoped.post("/clusters", {"name": "c", "namespace": "shop", "kubeconfig": KUBECONFIG}).status_code == 201

    def test_takes_a_name_with_dots(self, admin):
        assert admin.post("/clusters", {"name": "eu-1.harbor", "kubeconfig": KUBECONFIG}).status_code == 201

        assert admin.get("/clusters/eu-1.harbor").json()["metadata"]["name"] == "eu-1.harbor"


class TestUpdate:
    def test_merges(self, admin):
        make_cluster(name="east", region="eu", tier="critical")

        answer = admin.put("/clusters/east", {"region": "us"})

        assert answer.status_code == 200
        assert (answer.json()["spec"]["region"], answer.json()["spec"]["tier"]) == ("us", "critical")

    def test_rotates_the_credentials(self, admin):
        make_cluster(name="east", check_failures=5)

        assert admin.put("/clusters/east", {"kubeconfig": KUBECONFIG}).status_code == 200

        cluster = Cluster.objects.get()
        assert (cluster.server, cluster.check_failures, cluster.next_check_at) == ("http://127.0.0.1:1", 0, None)

    def test_of_the_interval_plans_the_next_check_anew(self, admin):
        make_cluster(name="east", next_check_at=NOON + timedelta(hours=1))

        assert admin.put("/clusters/east", {"healthCheckInterval": "10s"}).status_code == 200

        assert Cluster.objects.get().next_check_at is None

    def test_that_changes_nothing_leaves_no_trace(self, admin):
        make_cluster(name="east", region="eu")

        answer = admin.put("/clusters/east", {"region": "eu"})

        assert (answer.status_code, answer.json()["metadata"]["resourceVersion"]) == (200, "1")
        assert not AuditEvent.objects.exists()

    def test_minds_the_version(self, admin):
        make_cluster(name="east")

        assert admin.put("/clusters/east", {"region": "us"}, **{"If-Match": '"7"'}).status_code == 409


class TestDelete:
    def test_forgets_it(self, admin):
        make_cluster(name="east")

        answer = admin.delete("/clusters/east")

        assert (answer.status_code, answer.json()["kind"]) == (200, "Status")
        assert not Cluster.objects.exists()

    @pytest.mark.parametrize("state", ["Executing", "Verifying"])
    def test_waits_for_plans_at_work_unless_forced(self, admin, state):
        plan = make_plan(cluster=make_cluster(name="east"), state=state)

        refused = admin.delete("/clusters/east")
        wrong = admin.delete("/clusters/east?force=perhaps")
        forced = admin.delete("/clusters/east?force=true")

        assert (refused.status_code, wrong.status_code, forced.status_code) == (409, 400, 200)
        assert plan.name in refused.json()["error"]["details"]
        assert "force=true" in refused.json()["error"]["details"]

    @pytest.mark.parametrize("state", ["WaitingApproval", "Completed", "Failed"])
    def test_does_not_wait_for_plans_that_change_nothing(self, admin, state):
        make_plan(cluster=make_cluster(name="east"), state=state)

        assert admin.delete("/clusters/east").status_code == 200


class TestHealthHistory:
    def sample(self, cluster, minutes: int, **columns) -> None:
        values = {"health": "Connected", "latency_ms": 12, "error_class": ""} | columns
        HealthSample.objects.create(cluster=cluster, at=NOON - timedelta(minutes=minutes), **values)

    def test_is_paged_newest_first(self, viewer):
        east = make_cluster(name="east")
        self.sample(east, 10, health="Unreachable", latency_ms=None, error_class="timeout")
        self.sample(east, 5)
        self.sample(make_cluster(name="west"), 1)

        first = viewer.get("/clusters/east/health-history", pageSize=1).json()
        second = viewer.get("/clusters/east/health-history", pageSize=1, page=2).json()

        assert (first["kind"], first["metadata"]) == ("ClusterHealthList", {"totalCount": 2, "page": 1, "pageSize": 1})
        assert first["items"] == [
            {"timestamp": "2027-04-12T11:55:00Z", "state": "Connected", "latency": "12ms", "errorClass": None}
        ]
        assert second["items"] == [
            {"timestamp": "2027-04-12T11:50:00Z", "state": "Unreachable", "latency": None, "errorClass": "timeout"}
        ]

    def test_of_what_is_not_there_or_not_visible(self, viewer):
        make_cluster(name="east")

        assert viewer.get("/clusters/west/health-history").status_code == 404
        assert api_of(Role.VIEWER, clusters=["west"]).get("/clusters/east/health-history").status_code == 404


class TestEffectivePolicy:
    @pytest.mark.parametrize(
        ("tier", "automation", "policy"),
        [
            ("critical", "auto", ("approve", 1, 2, 1, 1)),
            ("standard", "auto", ("auto", 2, 1, 1, 0)),
            ("standard", "approve", ("approve", 2, 1, 1, 1)),
            ("non-critical", "auto", ("auto", 2, 0, 0, 0)),
        ],
    )
    def test_is_bounded_by_the_tier(self, viewer, tier, automation, policy):
        make_cluster(name="east", tier=tier, automation=automation, max_concurrent_remediations=2)

        found = viewer.get("/clusters/east").json()["status"]["effectivePolicy"]

        assert tuple(found.values())[:5] == policy
        assert "at work at a time" in found["why"][0]
        assert f"Tier {tier}" in found["why"][1]


class TestInsecure:
    INSECURE = KUBECONFIG.replace(
        'server: "http://127.0.0.1:1"', 'server: "https://127.0.0.1:1", insecure-skip-tls-verify: true'
    )

    def test_is_taken_when_it_is_asked_for_and_audited(self, admin):
        body = {"name": "east", "kubeconfig": self.INSECURE}

        refused = admin.post("/clusters", body)
        taken = admin.post("/clusters", body | {"insecureSkipTLSVerify": True})

        assert (refused.status_code, taken.status_code) == (400, 201)
        assert AuditEvent.objects.get(action="cluster.create").details["insecure"] is True


class TestCheck:
    def test_looks_now(self, operator: Api, admin, simulated):
        admin.post("/clusters", {"name": "east", "kubeconfig": simulated.kubeconfig})

        answer = operator.post("/clusters/east/check")

        status = answer.json()["status"]
        assert answer.status_code == 200
        assert (status["phase"], status["nodeCount"]) == ("Connected", len(simulated.list("Node")))
        assert AuditEvent.objects.filter(action="cluster.check").count() == 1

    def test_is_for_operators(self, viewer):
        make_cluster(name="east")

        assert viewer.post("/clusters/east/check").status_code == 403
