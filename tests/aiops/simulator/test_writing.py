from typing import Any

import pytest
from kubernetes import client

from aiops.simulator import workloads
from aiops.simulator.embedded import SimulatedCluster
from tests.aiops.simulator.conftest import ready_everywhere, recorded
from tests.aiops.simulator.http import Answer, ask

CHECKOUT = "/apis/apps/v1/namespaces/shop/deployments/checkout"
MERGE, STRATEGIC, JSON = (f"application/{kind}-patch+json" for kind in ("merge", "strategic-merge", "json"))


def patch(cluster: SimulatedCluster, body: Any, kind: str = MERGE, path: str = CHECKOUT) -> Answer:
    return ask(cluster, "PATCH", path, body, content_type=kind)


def limit(memory: str) -> dict[str, Any]:
    container = {"name": "web", "resources": {"limits": {"memory": memory}}}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "shop"} | metadata}


class TestRefusals:
    def test_a_stale_version(self, cluster: SimulatedCluster) -> None:
        answer = patch(cluster, {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 4}})

        assert (answer.status, answer.body) == (409, recorded("patch-409-conflict")["body"])

    def test_a_failing_test(self, cluster: SimulatedCluster) -> None:
        operations = [{"op": "test", "path": "/spec/replicas", "value": 99}]

        assert patch(cluster, operations, JSON).body == recorded("patch-json-test-fails")["body"]

    def test_a_limit_below_the_request(self, cluster: SimulatedCluster) -> None:
        answer = patch(cluster, limit("1Mi"), STRATEGIC)

        wanted = recorded("patch-422-invalid")["body"]
        wanted["message"] = wanted["message"].replace("128Mi", "64Mi")
        wanted["details"]["causes"][0]["message"] = wanted["details"]["causes"][0]["message"].replace("128Mi", "64Mi")
        assert (answer.status, answer.body) == (422, wanted)

    def test_a_value_of_the_wrong_type(self, cluster: SimulatedCluster) -> None:
        answer = patch(cluster, {"spec": {"replicas": "many"}})

        theirs = recorded("patch-400-garbage")["body"]
        ending = theirs["message"].rpartition(": json:")[2]
        assert answer.status == 422
        assert answer.body["message"].endswith(ending)
        assert answer.body["message"].startswith(' "" is invalid: patch: Invalid value: "{')
        assert answer.body["details"]["causes"][0]["field"] == "patch"

    def test_an_object_that_exists(self, cluster: SimulatedCluster) -> None:
        answer = ask(cluster, "POST", "/api/v1/namespaces", workloads.namespace("shop"))

        assert (answer.status, answer.body) == (409, recorded("create-409-exists")["body"])

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"spec": {"replicas": -1}}, "spec.replicas"),
            ({"spec": {"selector": {"matchLabels": {"app": "x"}}}}, "spec.selector"),
            ({"spec": {"template": {"metadata": {"labels": {"app": "x"}}}}}, "spec.template.metadata.labels"),
            ({"spec": {"template": {"spec": {"containers": []}}}}, "spec.template.spec.containers"),
        ],
    )
    def test_invalid_changes(self, cluster: SimulatedCluster, body: dict[str, Any], field: str) -> None:
        answer = patch(cluster, body)

        assert answer.status == 422
        assert field in {cause["field"] for cause in answer.body["details"]["causes"]}

    @pytest.mark.parametrize(
        ("kind", "body", "status"),
        [
            ("application/json", {}, 415),
            ("text/plain", {}, 415),
            (MERGE, b"{", 400),
            (MERGE, [], 400),
            (JSON, {}, 400),
            (MERGE, {"metadata": {"name": "other"}}, 400),
            (MERGE, {"metadata": None}, 400),
            (MERGE, {"metadata": {"labels": {"a": 1}}}, 422),
            (MERGE, {"spec": "text"}, 422),
            (STRATEGIC, limit("lots"), 422),
        ],
    )
    def test_bodies_that_make_no_sense(self, cluster: SimulatedCluster, kind: str, body: Any, status: int) -> None:
        assert patch(cluster, body, kind).status == status

    def test_a_dry_run_of_another_kind(self, cluster: SimulatedCluster) -> None:
        assert patch(cluster, {}, path=f"{CHECKOUT}?dryRun=Some").status == 400

    def test_a_body_that_is_too_large(self, cluster: SimulatedCluster) -> None:
        body = config_map("large") | {"data": {"key": "x" * 4_000_000}}

        assert ask(cluster, "POST", "/api/v1/namespaces/shop/configmaps", body).status == 413

    def test_a_namespace_that_does_not_exist(self, cluster: SimulatedCluster) -> None:
        body = config_map("lost", namespace="nosuch")

        answer = ask(cluster, "POST", "/api/v1/namespaces/nosuch/configmaps", body)

        assert (answer.status, answer.body["message"]) == (404, 'namespaces "nosuch" not found')

    @pytest.mark.parametrize("name", ["Upper", "-x", "under_score", ""])
    def test_a_bad_name(self, cluster: SimulatedCluster, name: str) -> None:
        assert ask(cluster, "POST", "/api/v1/namespaces/shop/configmaps", config_map(name)).status == 422

    def test_a_copied_job(self, cluster: SimulatedCluster) -> None:
        made = cluster.apply(workloads.job("shop", "original", "registry.example/import:2"))
        copy = {"metadata": {"name": "copy", "namespace": "shop"}, "spec": made["spec"]}

        answer = ask(cluster, "POST", "/apis/batch/v1/namespaces/shop/jobs", copy)

        assert answer.status == 422
        assert "not auto-generated" in answer.body["message"]

    def test_a_changed_job_template(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.job("shop", "fixed", "registry.example/import:2"))
        change = {"spec": {"template": {"spec": {"containers": [{"name": "job", "image": "other:1"}]}}}}

        answer = patch(cluster, change, STRATEGIC, "/apis/batch/v1/namespaces/shop/jobs/fixed")

        assert answer.body["details"]["causes"][0]["message"].endswith("field is immutable")


class TestDryRun:
    def test_shows_the_result_and_stores_nothing(self, cluster: SimulatedCluster, apps: Any) -> None:
        before = cluster.fetch("Deployment", "shop", "checkout")

        shown = apps.patch_namespaced_deployment("checkout", "shop", limit("512Mi"), dry_run="All")

        assert shown.spec.template.spec.containers[0].resources.limits["memory"] == "512Mi"
        assert shown.metadata.generation == before["metadata"]["generation"] + 1
        assert cluster.get("Deployment", "shop", "checkout") == before

    def test_of_a_creation(self, cluster: SimulatedCluster) -> None:
        answer = ask(cluster, "POST", "/api/v1/namespaces/shop/configmaps?dryRun=All", config_map("dry"))

        assert answer.status == 201
        assert answer.body["metadata"]["uid"]
        assert cluster.get("ConfigMap", "shop", "dry") is None

    def test_of_a_deletion(self, cluster: SimulatedCluster, core: Any) -> None:
        cluster.apply(config_map("kept"))

        core.delete_namespaced_config_map("kept", "shop", dry_run="All")

        assert cluster.get("ConfigMap", "shop", "kept") is not None

    def test_of_an_eviction(self, cluster: SimulatedCluster) -> None:
        name = next(
            p["metadata"]["name"] for p in cluster.list("Pod", "shop") if p["metadata"]["labels"].get("app") == "ledger"
        )

        answer = ask(cluster, "POST", f"/api/v1/namespaces/shop/pods/{name}/eviction?dryRun=All", {"metadata": {}})

        assert answer.body == recorded("evict-dry-run")["body"]
        assert "deletionTimestamp" not in cluster.fetch("Pod", "shop", name)["metadata"]


class TestCreating:
    def test_under_a_generated_name(self, core: Any) -> None:
        made = core.create_namespaced_config_map("shop", {"metadata": {"generateName": "made-"}})

        assert made.metadata.name.startswith("made-") and len(made.metadata.name) == 10

    def test_ignores_a_status(self, cluster: SimulatedCluster) -> None:
        manifest = workloads.deployment("shop", "claims", "registry.example/web:1", replicas=0)

        answer = ask(
            cluster, "POST", "/apis/apps/v1/namespaces/shop/deployments", manifest | {"status": {"replicas": 9}}
        )

        assert answer.body["status"] == {}


class TestApplying:
    def test_creates_and_then_changes(self, cluster: SimulatedCluster) -> None:
        path = "/api/v1/namespaces/shop/configmaps/applied?fieldManager=tests"
        text = "metadata: {name: applied, namespace: shop}\ndata: {a: '%d'}\n"
        answers = [patch(cluster, (text % n).encode(), "application/apply-patch+yaml", path) for n in (1, 2)]

        assert [(answer.status, answer.body["data"]) for answer in answers] == [(201, {"a": "1"}), (200, {"a": "2"})]

    def test_refuses_what_is_no_yaml(self, cluster: SimulatedCluster) -> None:
        assert patch(cluster, b"a: [", "application/apply-patch+yaml").status == 400


class TestReplacing:
    def test_stores_the_new_object(self, core: Any) -> None:
        made = core.create_namespaced_config_map("shop", {"metadata": {"name": "put"}, "data": {"a": "1"}})
        made.data = {"b": "2"}

        assert core.replace_namespaced_config_map("put", "shop", made).data == {"b": "2"}

    def test_refuses_a_stale_version(self, core: Any) -> None:
        made = core.create_namespaced_config_map("shop", {"metadata": {"name": "stale"}, "data": {"a": "1"}})
        core.patch_namespaced_config_map("stale", "shop", {"data": {"a": "2"}})

        with pytest.raises(client.ApiException) as refused:
            core.replace_namespaced_config_map("stale", "shop", made)

        assert refused.value.status == 409

    def test_grows_the_generation_with_the_spec_only(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("shop", "grows", "registry.example/web:1", replicas=0))
        cluster.patch("Deployment", "shop", "grows", {"metadata": {"labels": {"a": "b"}}})
        cluster.patch("Deployment", "shop", "grows", {"spec": {"minReadySeconds": 0}})

        assert cluster.fetch("Deployment", "shop", "grows")["metadata"]["generation"] == 2

    def test_status_changes_status_only(self, cluster: SimulatedCluster, apps: Any) -> None:
        apps.patch_namespaced_stateful_set_status(
            "orders-db", "shop", {"spec": {"replicas": 7}, "status": {"collisionCount": 3}}
        )

        assert cluster.fetch("StatefulSet", "shop", "orders-db")["spec"]["replicas"] == 2


class TestScale:
    def test_reads_like_the_real_one(self, cluster: SimulatedCluster) -> None:
        ours, theirs = ask(cluster, "GET", f"{CHECKOUT}/scale").body, recorded("scale-get")["body"]

        assert set(ours["metadata"]) == set(theirs["metadata"])
        assert {k: v for k, v in ours.items() if k != "metadata"} == {
            k: v for k, v in theirs.items() if k != "metadata"
        }

    def test_changes_the_number_of_pods(self, cluster: SimulatedCluster, apps: Any) -> None:
        cluster.apply(workloads.deployment("shop", "scaled", "registry.example/web:1", replicas=1))

        apps.patch_namespaced_deployment_scale("scaled", "shop", {"spec": {"replicas": 3}})

        cluster.wait_for(lambda c: ready_everywhere(c, "scaled"))
        assert cluster.fetch("Deployment", "shop", "scaled")["status"]["replicas"] == 3

    def test_refuses_a_negative_number(self, cluster: SimulatedCluster) -> None:
        assert patch(cluster, {"spec": {"replicas": -3}}, path=f"{CHECKOUT}/scale").status == 422


class TestDeleting:
    def test_a_pod_lives_for_its_grace_period(self, cluster: SimulatedCluster, core: Any) -> None:
        pod = core.list_namespaced_pod("shop", label_selector="app=catalog").items[0].metadata

        gone = core.delete_namespaced_pod(pod.name, "shop")

        assert gone.metadata.deletion_timestamp
        cluster.wait_for(lambda c: c.get("Pod", "shop", pod.name) is None)
        cluster.wait_for(lambda c: ready_everywhere(c, "catalog"))

    def test_takes_what_is_owned_along(self, cluster: SimulatedCluster, apps: Any) -> None:
        cluster.apply(workloads.deployment("family", "parent", "registry.example/web:1"))
        cluster.wait_for(lambda c: ready_everywhere(c, "parent", "family"))

        apps.delete_namespaced_deployment("parent", "family")

        cluster.wait_for(lambda c: not c.list("ReplicaSet", "family") and not c.list("Pod", "family"))

    def test_orphans_on_demand(self, cluster: SimulatedCluster, apps: Any) -> None:
        cluster.apply(workloads.deployment("orphans", "parent", "registry.example/web:1", replicas=1))
        cluster.wait_for(lambda c: ready_everywhere(c, "parent", "orphans"))

        apps.delete_namespaced_deployment("parent", "orphans", propagation_policy="Orphan")

        assert "ownerReferences" not in cluster.list("ReplicaSet", "orphans")[0]["metadata"]

    def test_heeds_preconditions(self, cluster: SimulatedCluster, core: Any) -> None:
        cluster.apply(config_map("guarded"))

        with pytest.raises(client.ApiException) as refused:
            core.delete_namespaced_config_map("guarded", "shop", body={"preconditions": {"uid": "other"}})

        assert refused.value.status == 409

    def test_empties_a_namespace(self, cluster: SimulatedCluster, core: Any) -> None:
        cluster.apply(config_map("doomed", namespace="short-lived"))

        core.delete_namespace("short-lived")

        assert cluster.get("ConfigMap", "short-lived", "doomed") is None

    def test_a_selection_at_once(self, cluster: SimulatedCluster, core: Any) -> None:
        for name, label in (("many-1", "x"), ("many-2", "x"), ("other-1", "y")):
            cluster.apply(config_map(name, namespace="many", labels={"set": label}))

        core.delete_collection_namespaced_config_map("many", label_selector="set=x")

        assert [m["metadata"]["name"] for m in cluster.list("ConfigMap", "many")] == ["other-1"]


class TestEviction:
    def test_is_refused_by_a_disruption_budget(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.budget("shop", "checkout", min_available=3))
        name = next(
            p["metadata"]["name"]
            for p in cluster.list("Pod", "shop")
            if p["metadata"]["labels"].get("app") == "checkout"
        )

        answer = ask(cluster, "POST", f"/api/v1/namespaces/shop/pods/{name}/eviction", {"metadata": {"name": name}})

        assert (answer.status, answer.body) == (429, recorded("evict-429-pdb")["body"])

    def test_deletes_a_pod_that_may_go(self, cluster: SimulatedCluster) -> None:
        cluster.apply(workloads.deployment("evicted", "web", "registry.example/web:1", replicas=2))
        cluster.apply(workloads.budget("evicted", "web", min_available="50%"))
        cluster.wait_for(lambda c: ready_everywhere(c, "web", "evicted"))
        name = cluster.list("Pod", "evicted")[0]["metadata"]["name"]

        assert ask(cluster, "POST", f"/api/v1/namespaces/evicted/pods/{name}/eviction", {"metadata": {}}).status == 201

        cluster.wait_for(lambda c: c.get("Pod", "evicted", name) is None)
