from datetime import timedelta
from typing import Any

import pytest

from aiops.apikeys.roles import Role
from tests.aiops.audit.makers import INES, make_event
from tests.conftest import NOON
from tests.incidents.api.conftest import Api, api_of

pytestmark = pytest.mark.django_db


def ids(api: Api, **query: Any) -> list[str]:
    return [item["id"] for item in api.get("/audit", **query).json()["items"]]


class TestList:
    def test_shows_every_member_of_the_contract(self, viewer: Api) -> None:
        event = make_event(
            action="approval.approve",
            actor=INES,
            resource_type="ApprovalRequest",
            resource="APR-20270412-001",
            event_type="approval_granted",
            correlation_id="INC-20270412-003",
            details={"incident": "INC-20270412-003"},
        )

        document = viewer.get("/audit").json()

        assert (document["kind"], document["metadata"]) == (
            "AuditLogList",
            {"totalCount": 1, "page": 1, "pageSize": 50},
        )
        assert document["items"] == [
            {
                "id": event.id,
                "timestamp": "2027-04-12T12:00:00Z",
                "action": "approval.approve",
                "user": "ines.okafor@example.com",
                "role": "operator",
                "resource": "APR-20270412-001",
                "resourceType": "Approval",
                "namespace": "shop",
                "details": {"incident": "INC-20270412-003"},
                "sourceIP": "192.0.2.17",
                "userAgent": "cli/2.1",
                "checksum": event.checksum,
                "eventType": "approval_granted",
                "severity": "info",
                "actorType": "user",
                "correlationId": "INC-20270412-003",
            }
        ]

    def test_is_newest_first(self, viewer: Api) -> None:
        first, second, third = (make_event(at=NOON + timedelta(seconds=number)) for number in (0, 1, 1))

        assert ids(viewer) == [*sorted([second.id, third.id], reverse=True), first.id]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"action": "runbook.create"}, "b"),
            ({"user": "ines.okafor@example.com"}, "a"),
            ({"actor": "ines.okafor@example.com"}, "a"),
            ({"user": "ines.okafor@example.com", "actor": "system"}, ""),
            ({"resource": "heap"}, "b"),
            ({"resource": "runbook/heap"}, "b"),
            ({"resource": "incident/heap"}, ""),
            ({"namespace": "shop"}, "a"),
            ({"type": "config_changed"}, "b"),
            ({"severity": "WARNING"}, "b"),
            ({"correlation_id": "INC-7"}, "a"),
            ({"since": "2027-04-12T12:00:01Z"}, "b"),
            ({"from": "2027-04-12T12:00:01Z"}, "b"),
            ({"until": "2027-04-12T12:00:00Z"}, "a"),
            ({"since": "2027-04-12", "from": "2027-04-12T12:00:01Z"}, "b"),
            ({"to": "2027-04-12T12:00:00Z", "until": ""}, "a"),
            ({"nonsense": "x"}, "ab"),
        ],
    )
    def test_filters(self, viewer: Api, query: dict[str, str], found: str) -> None:
        a = make_event(actor=INES, correlation_id="INC-7")
        b = make_event(
            at=NOON + timedelta(seconds=1), action="runbook.create", resource_type="Runbook", resource="heap",
            namespace="harbor", event_type="config_changed", severity="warning",
        )  # fmt: skip

        assert sorted(ids(viewer, **query)) == sorted({"a": a.id, "b": b.id}[name] for name in found)

    @pytest.mark.parametrize("query", [{"severity": "fatal"}, {"since": "yesterday"}, {"pageSize": "0"}])
    def test_refuses_bad_values_by_name(self, viewer: Api, query: dict[str, str]) -> None:
        response = viewer.get("/audit", **query)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == set(query)

    def test_page_has_at_most_200(self, viewer: Api) -> None:
        assert viewer.get("/audit", pageSize=1000).json()["metadata"]["pageSize"] == 200

    def test_costs_three_queries_whatever_the_size(self, viewer: Api, django_assert_num_queries: Any) -> None:
        viewer.get("/audit")  # the key is remembered
        for _ in range(10):
            make_event()

        with django_assert_num_queries(3):
            viewer.get("/audit")

    @pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
    def test_is_append_only(self, viewer: Api, method: str) -> None:
        assert getattr(viewer.client, method)("/api/v1/audit").status_code == 405

    def test_needs_a_key(self, nobody: Api) -> None:
        assert nobody.get("/audit").status_code == 401

    def test_shows_the_namespaces_of_the_key(self, viewer: Api) -> None:
        event = make_event(namespace="shop")
        make_event(namespace="")

        assert ids(api_of(Role.VIEWER, namespaces=["shop"])) == [event.id]

    def test_shows_nothing_to_a_key_of_one_cluster(self) -> None:
        make_event()

        assert ids(api_of(Role.VIEWER, clusters=["east"])) == []
