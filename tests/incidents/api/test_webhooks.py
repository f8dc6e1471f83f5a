from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError
from django.test import Client

from aiops import nudges
from aiops.apikeys.roles import Role
from aiops.audit.models import AuditEvent
from incidents.models import Anomaly, Incident
from tests.factories import make_cluster
from tests.incidents.api.conftest import BASE, Api, api_of

pytestmark = pytest.mark.django_db
STARTS = "2027-04-12T11:59:00Z"


def alert(name: str = "HighErrorRate", status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "namespace": "shop", "deployment": "checkout", **labels},
        "annotations": {"summary": "Too many errors"},
        "startsAt": STARTS,
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{name}-{'-'.join(labels.values())}",
    }


def group(*alerts: Any, **members: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": "{}",
        "status": "firing",
        "receiver": "aiops",
        "alerts": list(alerts),
        **members,
    }


class TestAlertmanager:
    path = "/alerts/alertmanager"

    def test_opens_an_incident(self, operator: Api) -> None:
        response = operator.post(self.path, group(alert()))

        document = response.json()
        assert response.status_code == 202
        assert document["kind"] == "AlertReceipt"
        assert document["metadata"]["source"] == "alertmanager"
        assert document["status"] == {
            "received": 1,
            "opened": 1,
            "updated": 0,
            "resolved": 0,
            "suppressed": 0,
            "duplicates": 0,
            "incidents": ["INC-20270412-001"],
            "rejected": [],
        }
        incident = operator.get("/incidents/INC-20270412-001").json()
        assert incident["spec"]["resource"] == "Deployment/checkout"
        assert incident["spec"]["signalType"] == "error_rate"
        assert incident["spec"]["detectionSource"] == "alertmanager"
        assert incident["spec"]["severity"] == "medium"

    def test_the_same_again_is_a_duplicate(self, operator: Api) -> None:
        operator.post(self.path, group(alert()))
        before = Incident.objects.values().get()

        status = operator.post(self.path, group(alert())).json()["status"]

        assert status["duplicates"] == 1
        assert Incident.objects.values().get() == before

    def test_resolved_closes_the_incident(self, operator: Api) -> None:
        operator.post(self.path, group(alert()))

        status = operator.post(self.path, group(alert(status="resolved"))).json()["status"]

        assert (status["resolved"], status["incidents"]) == (1, ["INC-20270412-001"])
        assert Incident.objects.get().state == "Resolved"

    def test_the_label_decides_the_severity(self, operator: Api) -> None:
        operator.post(self.path, group(alert("SomethingNew", severity="P1")))

        incident = Incident.objects.get()
        assert (incident.severity, incident.signal_type) == ("critical", "something_new")

    def test_event_time_is_the_start(self, operator: Api) -> None:
        operator.post(self.path, group(alert()))

        assert operator.get("/incidents/INC-20270412-001/anomalies").json()["items"][0]["firstSeenAt"] == STARTS

    def test_a_bad_alert_is_rejected_alone(self, operator: Api) -> None:
        bad = alert() | {"startsAt": "yesterday"}

        status = operator.post(self.path, group(bad, "x", alert())).json()["status"]

        assert (status["received"], status["opened"]) == (1, 1)
        assert [one["index"] for one in status["rejected"]] == [0, 1]

    @pytest.mark.parametrize(
        ("document", "member"),
        [
            ({}, "alerts"),
            ([], "alerts"),
            (group(alert()) | {"alerts": {}}, "alerts"),
            (group(alert()) | {"status": "burning"}, "status"),
            (group(alert()) | {"version": "9"}, "version"),
            ({"alerts": [1] * 10_001}, "alerts"),
        ],
    )
    def test_a_document_of_another_shape_is_refused(self, operator: Api, document: Any, member: str) -> None:
        response = operator.post(self.path, document)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == {member}
        assert not Incident.objects.exists()

    def test_malformed_json_is_refused(self, operator: Api) -> None:
        response = operator.client.post(BASE + self.path, "{", content_type="application/json")

        assert response.status_code == 400

    def test_bodies_of_several_mebibytes_are_read_but_not_of_nine(self, operator: Api) -> None:
        small, large = group(alert(), padding="x" * 2**21), group(alert(), padding="x" * 9 * 2**20)

        assert operator.post(self.path, small).status_code == 202
        assert operator.post(self.path, large).status_code == 413

    def test_needs_the_operator(self, nobody: Api, viewer: Api) -> None:
        assert nobody.post(self.path, group()).status_code == 401
        assert viewer.post(self.path, group()).status_code == 403

    def test_takes_a_bearer_token(self, operator: Api) -> None:
        client = Client(headers={"Authorization": f"Bearer {operator.key}"})

        assert client.post(BASE + self.path, group(alert()), content_type="application/json").status_code == 202

    def test_receipts_write_no_audit_record_of_the_request(self, operator: Api) -> None:
        operator.post(self.path, group(alert()))

        assert list(AuditEvent.objects.values_list("action", "user")) == [("incident.open", "system")]

    @pytest.mark.parametrize("source", ["pager", "alertmanager/x", ""])
    def test_an_unknown_source_is_no_route(self, operator: Api, source: str) -> None:
        assert operator.post(f"/alerts/{source}", {}).status_code == 404

    def test_only_posts(self, operator: Api) -> None:
        assert operator.get(self.path).status_code == 405


class TestClusters:
    path = "/alerts/alertmanager"

    def test_the_query_names_it(self, operator: Api) -> None:
        make_cluster(name="east", phase="Disconnected")

        operator.post(f"{self.path}?cluster=east", group(alert()))

        assert Incident.objects.get().cluster_name == "east"

    def test_else_the_label_if_it_is_registered(self, operator: Api) -> None:
        make_cluster(name="east", phase="Disconnected")

        operator.post(self.path, group(alert(cluster="east"), alert("Latency", cluster="elsewhere")))

        assert set(Incident.objects.values_list("cluster_name", flat=True)) == {"east", ""}

    def test_an_unknown_one_is_refused(self, operator: Api) -> None:
        response = operator.post(f"{self.path}?cluster=nowhere", group(alert()))

        assert response.status_code == 400
        assert "cluster" in response.json()["error"]["fields"]

    def test_a_pod_of_a_cluster_that_is_away_is_judged_by_its_name(self, operator: Api) -> None:
        make_cluster(name="east", phase="Disconnected")
        document = group(
            {"labels": {"alertname": "X", "namespace": "shop", "pod": "checkout-6c9f7d5b4c-x2v9k"}, "startsAt": STARTS}
        )

        operator.post(f"{self.path}?cluster=east", document)

        assert Incident.objects.get().resource == "Deployment/checkout"
        assert Anomaly.objects.get().object_name == "checkout-6c9f7d5b4c-x2v9k"

    def test_a_cluster_that_hangs_does_not_stop_the_receipt(self, operator: Api, monkeypatch: Any) -> None:
        monkeypatch.setattr("incidents.services.owners.PATIENCE", 0.05)
        cluster = make_cluster(name="east")  # its address leads nowhere
        document = group({"labels": {"alertname": "X", "pod": "web-0"}, "startsAt": STARTS})

        assert operator.post(f"{self.path}?cluster={cluster.name}", document).status_code == 202
        assert Incident.objects.get().resource == "Pod/web-0"


class TestScope:
    path = "/alerts/alertmanager"

    def test_outside_is_forbidden(self) -> None:
        scoped = api_of(Role.OPERATOR, namespaces=["harbor"])

        assert scoped.post(self.path, group(alert())).status_code == 403

    def test_of_a_mixed_document_the_inside_is_stored(self) -> None:
        scoped = api_of(Role.OPERATOR, namespaces=["shop"])

        document = group(alert(), alert("Latency", namespace="harbor"))
        status = scoped.post(self.path, document).json()["status"]

        assert (status["opened"], [one["index"] for one in status["rejected"]]) == (1, [1])


class TestGeneric:
    path = "/alerts/generic"

    def test_one_object(self, operator: Api) -> None:
        body = {
            "title": "Queue is full",
            "severity": "high",
            "resource": {"kind": "StatefulSet", "name": "queue", "namespace": "shop"},
            "signalType": "queue_full",
        }

        status = operator.post(self.path, body).json()["status"]

        assert status["opened"] == 1
        incident = Incident.objects.get()
        assert (incident.resource, incident.severity, incident.signal_type) == (
            "StatefulSet/queue",
            "high",
            "queue_full",
        )

    def test_a_cloud_event(self, operator: Api) -> None:
        event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "x", "data": {"title": "Queue is full"}}

        assert operator.post(self.path, event).json()["status"]["opened"] == 1

    def test_an_array_rejects_the_bad_ones_alone(self, operator: Api) -> None:
        body = [{"title": "a", "resource": {"kind": "Service", "name": "a"}}, {"description": "no title"}]

        status = operator.post(self.path, body).json()["status"]

        assert (status["received"], status["rejected"][0]["index"]) == (1, 1)

    @pytest.mark.parametrize(
        ("body", "member"),
        [
            ({}, "title"),
            ({"title": 5}, "title"),
            ({"title": "x", "status": "burning"}, "status"),
            ({"title": "x", "resource": {"kind": "Pod"}}, "resource.name"),
            ({"title": "x", "signalType": "Bad Name"}, "signalType"),
            ({"title": "x", "labels": {"a": 1}}, "labels"),
            ("x", "title"),
        ],
    )
    def test_a_single_bad_one_is_refused(self, operator: Api, body: Any, member: str) -> None:
        response = operator.client.post(
            BASE + self.path, body if isinstance(body, dict) else '"x"', content_type="application/json"
        )

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == {member}

    def test_the_dedup_key_is_the_identity(self, operator: Api) -> None:
        operator.post(self.path, {"title": "Queue at 91 %", "dedupKey": "queue"})

        ended = operator.post(self.path, {"title": "Queue at 12 %", "dedupKey": "queue", "status": "resolved"})

        assert ended.json()["status"]["resolved"] == 1


class TestStorageFailure:
    def test_is_answered_with_retry_after(self, operator: Api, monkeypatch: Any) -> None:
        def break_down(*args: Any, **kwargs: Any) -> None:
            raise OperationalError("disk full")

        monkeypatch.setattr("incidents.services.receiving.correlation.observe", break_down)

        response = operator.post("/alerts/alertmanager", group(alert()))

        assert response.status_code == 503
        assert int(response["Retry-After"]) >= 1
        assert "disk" not in response.content.decode()

    @pytest.mark.django_db(transaction=True)
    def test_a_broker_that_is_away_is_none(self, operator: Api, monkeypatch: Any) -> None:
        monkeypatch.setattr(current_app.conf, "broker_url", "redis://127.0.0.1:1/0")
        monkeypatch.setattr(nudges, "PAUSE", 0.0)

        response = operator.post("/alerts/alertmanager", group(alert()))

        assert response.status_code == 202
        assert Incident.objects.get().due_at is not None
