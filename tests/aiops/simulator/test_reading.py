from typing import Any

import pytest
from kubernetes import client, dynamic

from aiops.simulator.embedded import SimulatedCluster
from tests.aiops.simulator.conftest import api_of, recorded
from tests.aiops.simulator.http import ask


class TestPaging:
    def test_pages_add_up_to_the_list(self, core: Any) -> None:
        names, token = [], None
        while token != "":
            page = core.list_pod_for_all_namespaces(limit=4, _continue=token)
            names += [pod.metadata.name for pod in page.items]
            token = page.metadata._continue or ""

        assert names == [pod.metadata.name for pod in core.list_pod_for_all_namespaces().items]

    def test_says_how_many_remain(self, core: Any) -> None:
        total = len(core.list_pod_for_all_namespaces().items)

        assert core.list_pod_for_all_namespaces(limit=4).metadata.remaining_item_count == total - 4

    def test_does_not_say_so_for_a_selection(self, core: Any) -> None:
        page = core.list_namespaced_pod("shop", label_selector="app=checkout", limit=1)

        assert page.metadata.remaining_item_count is None
        assert page.metadata._continue

    def test_later_pages_show_the_same_moment(self, cluster: SimulatedCluster, core: Any) -> None:
        names = [f"page-{number}" for number in range(3)]
        for name in names:
            cluster.apply({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "paging"}})
        first = core.list_namespaced_config_map("paging", limit=1)
        cluster.delete("ConfigMap", "paging", "page-1")

        rest = core.list_namespaced_config_map("paging", limit=9, _continue=first.metadata._continue)

        assert [item.metadata.name for item in rest.items] == ["page-1", "page-2"]
        assert rest.metadata.resource_version == first.metadata.resource_version

    def test_refuses_garbage_like_the_real_server(self, cluster: SimulatedCluster) -> None:
        answer = ask(cluster, "GET", "/api/v1/pods?limit=4&continue=abc")

        assert answer.body == recorded("list-pods-bad-continue")["body"]

    @pytest.mark.parametrize("token", ["%%%", "e30", "W10", "eyJ2IjoxfQ", "x" * 500])
    def test_refuses_all_kinds_of_garbage(self, cluster: SimulatedCluster, token: str) -> None:
        assert ask(cluster, "GET", f"/api/v1/pods?limit=4&continue={token}").status == 400

    def test_a_forgotten_token_has_expired(self, cluster: SimulatedCluster, core: Any) -> None:
        token = core.list_pod_for_all_namespaces(limit=4).metadata._continue
        cluster.expire()

        with pytest.raises(client.ApiException) as refused:
            core.list_pod_for_all_namespaces(limit=4, _continue=token)

        assert refused.value.status == 410


class TestSelecting:
    def test_by_label(self, core: Any) -> None:
        assert len(core.list_namespaced_pod("shop", label_selector="app in (checkout,ledger)").items) == 5

    def test_by_node(self, core: Any) -> None:
        pods = core.list_pod_for_all_namespaces(field_selector="spec.nodeName=node-1").items

        assert pods and {pod.spec.node_name for pod in pods} == {"node-1"}

    def test_events_by_the_object_they_are_about(self, cluster: SimulatedCluster) -> None:
        path = (
            "/api/v1/namespaces/shop/events?fieldSelector=involvedObject.name=checkout,involvedObject.kind=Deployment"
        )

        assert [e["reason"] for e in ask(cluster, "GET", path).body["items"]] == ["ScalingReplicaSet"]

    def test_refuses_a_limit_that_is_no_number(self, cluster: SimulatedCluster) -> None:
        assert ask(cluster, "GET", "/api/v1/pods?limit=many").status == 400


class TestRefusals:
    def test_a_wrong_token(self, cluster: SimulatedCluster) -> None:
        answer = ask(cluster, "GET", "/api/v1/namespaces/shop/pods", token="wrong")

        assert (answer.status, answer.body) == (401, recorded("get-401")["body"])

    def test_a_missing_object(self, cluster: SimulatedCluster) -> None:
        answer = ask(cluster, "GET", "/api/v1/namespaces/shop/pods/nosuch")

        assert (answer.status, answer.body) == (404, recorded("get-404")["body"])

    def test_a_reader_of_secrets(self, cluster: SimulatedCluster) -> None:
        answer = ask(cluster, "GET", "/api/v1/namespaces/shop/secrets", token=cluster.readonly_token)

        assert (answer.status, answer.body) == (403, recorded("get-403")["body"])

    def test_a_reader_that_writes(self, cluster: SimulatedCluster) -> None:
        path = "/apis/apps/v1/namespaces/shop/deployments/checkout"
        answer = ask(
            cluster, "PATCH", path, {"spec": {"replicas": 5}}, token=cluster.readonly_token,
            content_type="application/merge-patch+json",
        )  # fmt: skip

        assert (answer.status, answer.body) == (403, recorded("patch-403")["body"])

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/apis/nosuch.example/v1/things", 404),
            ("GET", "/apis/apps/v1/namespaces/shop/things", 404),
            ("GET", "/apis/apps/v1/namespaces/shop/deployments/checkout/nosuch", 404),
            ("GET", "/api/v1/namespaces/shop/nodes", 404),
            ("GET", "/openapi/v2", 404),
            ("GET", "/", 404),
            ("PUT", "/apis/apps/v1/namespaces/shop/deployments", 405),
            ("POST", "/api/v1/pods", 405),
            ("POST", "/apis/metrics.k8s.io/v1beta1/nodes", 405),
            ("DELETE", "/api/v1/namespaces/shop/pods/x/log", 405),
        ],
    )
    def test_unknown_paths_and_methods(self, cluster: SimulatedCluster, method: str, path: str, status: int) -> None:
        assert ask(cluster, method, path).status == status


class TestDescription:
    def test_says_its_version(self, cluster: SimulatedCluster) -> None:
        assert set(ask(cluster, "GET", "/version").body) == set(recorded("version")["body"])

    def test_lists_its_core_kinds_like_the_real_server(self, cluster: SimulatedCluster) -> None:
        ours = {entry["name"]: entry for entry in ask(cluster, "GET", "/api/v1").body["resources"]}
        theirs = {entry["name"]: entry for entry in recorded("api-resources-core")["body"]["resources"]}

        for name, entry in ours.items():
            assert {k: theirs[name].get(k) for k in entry} == entry

    def test_the_dynamic_client_finds_its_kinds(self, cluster: SimulatedCluster) -> None:
        deployments: Any = dynamic.DynamicClient(api_of(cluster)).resources.get(
            api_version="apps/v1", kind="Deployment"
        )

        assert deployments.get(namespace="shop", name="checkout").spec.replicas == 3

    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
    def test_is_alive_to_anybody(self, cluster: SimulatedCluster, path: str) -> None:
        assert ask(cluster, "GET", path, token="").body == "ok"

    @pytest.mark.parametrize(("token", "file"), [("token", "sar-allowed"), ("readonly_token", "sar-denied")])
    def test_reviews_access(self, cluster: SimulatedCluster, token: str, file: str) -> None:
        attributes = {"namespace": "shop", "verb": "patch", "group": "apps", "resource": "deployments"}
        answer = ask(
            cluster, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": attributes}}, token=getattr(cluster, token),
        )  # fmt: skip

        assert (answer.status, answer.body["status"]) == (201, recorded(file)["body"]["status"])


class TestMetrics:
    def test_of_nodes(self, cluster: SimulatedCluster) -> None:
        found: Any = client.CustomObjectsApi(api_of(cluster)).list_cluster_custom_object(
            "metrics.k8s.io", "v1beta1", "nodes"
        )

        assert {item["metadata"]["name"] for item in found["items"]} == {"node-1", "node-2", "node-3"}
        assert found["items"][0]["usage"]["cpu"].endswith("n")

    def test_of_one_pod(self, cluster: SimulatedCluster, core: Any) -> None:
        name = core.list_namespaced_pod("shop", label_selector="app=ledger").items[0].metadata.name

        found = ask(cluster, "GET", f"/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/{name}").body

        assert [c["name"] for c in found["containers"]] == ["web"]


class TestLogs:
    def test_of_the_only_container(self, core: Any) -> None:
        name = core.list_namespaced_pod("shop", label_selector="app=checkout").items[0].metadata.name

        assert core.read_namespaced_pod_log(name, "shop") == "starting\nlistening on :8080\n"
        assert core.read_namespaced_pod_log(name, "shop", tail_lines=1) == "listening on :8080\n"
        assert core.read_namespaced_pod_log(name, "shop", limit_bytes=5) == "start"

    @pytest.mark.parametrize("query", ["container=nosuch", "previous=true", "tailLines=x"])
    def test_refuses_what_it_cannot_show(self, cluster: SimulatedCluster, core: Any, query: str) -> None:
        name = core.list_namespaced_pod("shop", label_selector="app=checkout").items[0].metadata.name

        assert ask(cluster, "GET", f"/api/v1/namespaces/shop/pods/{name}/log?{query}").status == 400


class TestOtherVersions:
    def test_events_in_their_newer_shape(self, cluster: SimulatedCluster) -> None:
        event = ask(cluster, "GET", "/apis/events.k8s.io/v1/namespaces/shop/events").body["items"][0]

        assert {"regarding", "note", "deprecatedSource", "reportingController"} <= set(event)
