from typing import Any, ClassVar

import orjson
import pytest

from aiops.clients.errors import ClientUnavailable
from aiops.clients.kubeconfig import Access
from aiops.clients.kubernetes import KubernetesClient
from incidents.services import survey
from incidents.services.survey import Survey
from tests.conftest import NOON
from tests.servers import Answer, http_server

OWNER = {"kind": "ReplicaSet", "name": "checkout-1", "uid": "rs", "controller": True}
NONSENSE: list[dict[str, Any]] = [
    {},
    {"metadata": None, "spec": None, "status": None},
    {"metadata": [], "spec": "x", "status": 7},
    {"metadata": {"uid": 1, "name": [], "annotations": "x", "labels": [1]}, "spec": {"template": 1, "replicas": "x"}},
    {"metadata": {"name": "a", "ownerReferences": [None, {}]}, "status": {"conditions": [1, {}], "phase": ["Failed"]}},
    {"status": {"containerStatuses": [{"restartCount": "x"}, None, {"restartCount": 3, "state": []}]}},
]


def look_at(
    lists: dict[str, list[dict[str, Any]]], *, answers: dict[str, Answer] | None = None, **options: Any
) -> Survey:
    """A look at a server that has these objects, by plural, and nothing else; `answers` come first."""

    def answer(path: str) -> Answer:
        plural = path.partition("?")[0].rpartition("/")[2]
        if answers and plural in answers:
            return answers[plural]
        if plural == "version":
            return Answer(body=b'{"gitVersion": "v1.36.2"}')
        return Answer(body=orjson.dumps({"kind": "List", "metadata": {}, "items": lists.get(plural, [])}))

    with http_server(choose=lambda request: answer(request.path)) as server:
        return survey.take(KubernetesClient(Access(server.url, token="t")), at=NOON, **options)


def groups(*names: str) -> Answer:
    return Answer(body=orjson.dumps({"kind": "APIGroupList", "groups": [{"name": name} for name in names]}))


def make_pod(name: str, *, phase: str = "Running", ready: bool = True, **status: Any) -> dict[str, Any]:
    conditions = [
        {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": "2027-04-12T10:00:00Z"}
    ]
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "ownerReferences": [OWNER]},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": phase, "conditions": conditions, **status},
    }


class TestTake:
    def test_survives_objects_of_any_shape(self):
        lists = dict.fromkeys(("pods", "nodes", "deployments", "replicasets", "jobs", "events"), NONSENSE)
        lists |= dict.fromkeys(("services", "endpointslices", "persistentvolumeclaims", "namespaces"), NONSENSE)

        assert look_at(lists).nodes == len(NONSENSE)

    def test_counts_nodes_and_their_room(self):
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"pods": "110"}}
        lost = {"conditions": [{"type": "Ready", "status": "Unknown"}], "allocatable": {"pods": "110"}}

        seen = look_at(
            {"nodes": [{"metadata": {"name": "a"}, "status": ready}, {"metadata": {"name": "b"}, "status": lost}]}
        )

        assert (seen.nodes, seen.nodes_ready, seen.pod_capacity) == (2, 1, 220)

    def test_judges_failed_pods_by_those_that_replaced_them_on_later_pages(self):
        failed = make_pod("checkout-1-a", phase="Failed", ready=False)
        replicas = [make_pod(f"checkout-1-{number}") for number in range(survey.PAGE + 1)]
        replica_set = {
            "metadata": {"name": "checkout-1", "namespace": "shop", "uid": "rs"},
            "spec": {"replicas": len(replicas)},
            "status": {"replicas": len(replicas), "readyReplicas": len(replicas), "availableReplicas": len(replicas)},
        }

        seen = look_at({"pods": [failed, *replicas], "replicasets": [replica_set]})

        assert [found for found in seen.observations if not found.signal.informational] == []

    def test_notices_a_storm_of_restarts_between_two_looks(self):
        def pods(count: int) -> list[dict[str, Any]]:
            return [
                make_pod("a", containerStatuses=[{"name": "web", "ready": True, "restartCount": count, "state": {}}])
            ]

        first = look_at({"pods": pods(5)})
        second = look_at({"pods": pods(9)}, restart_history=first.restart_history, last_look=NOON)

        assert [found.signal.condition for found in second.observations] == ["restart_storm"]

    def test_gives_up_when_it_is_told_to(self):
        def enough() -> None:
            raise ClientUnavailable("enough")

        with pytest.raises(ClientUnavailable, match="enough"):
            look_at({}, progress=enough)


class TestSlim:
    def test_drops_what_no_rule_reads(self):
        notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "deployment.kubernetes.io/revision": "2"}
        deployment = {
            "metadata": {"managedFields": [1], "annotations": notes},
            "spec": {"replicas": 2, "template": {"a": 1}},
        }

        assert survey.slim(deployment) == {
            "metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}},
            "spec": {"replicas": 2},
        }


class TestReferences:
    PENDING = make_pod("a", phase="Pending", ready=False) | {
        "spec": {"volumes": [{"configMap": {"name": "settings"}}, {"secret": {"secretName": "key"}}]}
    }

    def look_at(self, answers: dict[str, int], *, pods: int = 1) -> tuple[list[str], list[str]]:
        """What is missing, and what was asked for, at a server that answers by plural so."""
        asked = []

        def answer(path: str) -> Answer:
            parts = path.partition("?")[0].split("/")
            for plural, status in answers.items():
                if parts[-2] == plural:
                    asked.append(parts[-1])
                    return Answer(status=status, body=b'{"kind": "Status"}')
            pending = [self.PENDING] * pods if parts[-1] == "pods" else []
            return Answer(body=orjson.dumps({"kind": "List", "metadata": {}, "items": pending}))

        with http_server(choose=lambda request: answer(request.path)) as server:
            seen = survey.take(KubernetesClient(Access(server.url, token="t")), at=NOON)
        found = [
            one.signal.evidence["missing"] for one in seen.observations if one.signal.condition == "missing_reference"
        ]
        return sorted(map(str, found)), asked

    def test_that_do_not_exist_are_found(self):
        missing, _ = self.look_at({"configmaps": 404, "secrets": 200})

        assert missing == ["ConfigMap/settings"]

    def test_that_we_may_not_read_are_unknown(self):
        missing, _ = self.look_at({"configmaps": 404, "secrets": 403})

        assert missing == ["ConfigMap/settings"]

    def test_are_asked_for_once(self):
        _, asked = self.look_at({"configmaps": 404, "secrets": 404}, pods=20)

        assert sorted(asked) == ["key", "settings"]


class TestClusterKinds:
    def test_of_the_cluster_itself_are_judged(self):
        """Namespaces, aggregated APIs and admission webhooks."""
        hook = {
            "name": "check.shop",
            "failurePolicy": "Fail",
            "clientConfig": {"service": {"namespace": "s", "name": "x"}},
        }
        away = {"type": "Available", "status": "False", "lastTransitionTime": "2027-04-12T10:00:00Z"}
        ending = {"name": "old", "deletionTimestamp": "2027-04-12T10:00:00Z"}
        seen = look_at(
            {
                "namespaces": [{"metadata": ending, "status": {"phase": "Terminating"}}],
                "apiservices": [{"metadata": {"name": "v1beta1.metrics.k8s.io"}, "status": {"conditions": [away]}}],
                "validatingwebhookconfigurations": [{"metadata": {"name": "checks"}, "webhooks": [hook]}],
            }
        )

        assert {one.signal.condition for one in seen.observations} == {
            "namespace_stuck_terminating",
            "apiservice_unavailable",
            "webhook_backend_down",
        }


class TestCustomResources:
    APPLICATION: ClassVar[dict[str, Any]] = {
        "metadata": {"name": "shop", "namespace": "argocd"},
        "status": {"health": {"status": "Degraded", "message": "1 of 2 is sick"}, "sync": {"status": "Synced"}},
    }

    def test_are_judged_where_their_group_is_served(self):
        seen = look_at({"applications": [self.APPLICATION]}, answers={"apis": groups("argoproj.io")})

        assert [one.signal.condition for one in seen.observations] == ["argocd_degraded"]
        assert not seen.gaps

    def test_are_not_asked_for_elsewhere(self):
        seen = look_at({"applications": [self.APPLICATION]}, answers={"apis": groups("apps")})

        assert (seen.observations, seen.gaps) == ([], {})
        assert "Application" in seen.listed  # there are none: what was found earlier is over

    def test_of_which_the_group_is_served_for_others_are_no_gap(self):
        lacking = {"apis": groups("argoproj.io"), "applications": Answer(404, b"404 page not found")}

        assert not look_at({}, answers=lacking).gaps

    def test_that_are_forbidden_are_a_gap(self):
        denied = Answer(403, b'{"kind": "Status", "message": "no", "code": 403}')
        seen = look_at({}, answers={"apis": groups("argoproj.io"), "applications": denied})

        assert set(seen.gaps) == {"Application"}
