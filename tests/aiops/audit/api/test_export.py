import base64
import csv
import hashlib
import io
from datetime import timedelta
from typing import Any

import orjson
import pytest
import time_machine

from aiops.apikeys.roles import Role
from aiops.audit import exports
from aiops.audit.models import AuditEvent, AuditExport
from tests.aiops.audit.makers import make_event
from tests.conftest import NOON
from tests.incidents.api.conftest import Api, api_of

pytestmark = pytest.mark.django_db
HEADER = "id,timestamp,action,user,role,resource,resourceType,namespace,sourceIP,checksum"
TODAY = "2027-04-12"


def export(api: Api, **query: str) -> Any:
    return api.get("/audit/export", **{"since": TODAY} | query)


def written(response: Any) -> bytes:
    return b"".join(response.streaming_content)


class TestExport:
    def test_is_csv_oldest_first(self, viewer: Api) -> None:
        second, first = make_event(at=NOON + timedelta(seconds=1)), make_event(at=NOON)

        response = export(viewer)

        assert response.status_code == 200
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert response["Content-Disposition"] == 'attachment; filename="audit-export-20270412.csv"'
        lines = response.content.decode().split("\r\n")
        assert lines[0] == HEADER and lines[-1] == ""
        assert [line.split(",")[0] for line in lines[1:-1]] == [first.id, second.id]

    def test_spreadsheets_calculate_nothing(self, viewer: Api) -> None:
        for name in ("=1+1", "+1", "-1", "@x", 'a,"b"'):
            make_event(resource=name)

        rows = list(csv.DictReader(io.StringIO(export(viewer).content.decode())))

        assert sorted(row["resource"] for row in rows) == sorted(["'=1+1", "'+1", "'-1", "'@x", 'a,"b"'])

    def test_is_json_on_demand(self, viewer: Api) -> None:
        event = make_event(details={"resolution": "größer"}, namespace="")

        response = export(viewer, format="JSON")

        assert response["Content-Type"] == "application/json; charset=utf-8"
        assert response["Content-Disposition"] == 'attachment; filename="audit-export-20270412.json"'
        document = response.json()
        assert document["kind"] == "AuditExport"
        assert document["metadata"] == {
            "exportedAt": "2027-04-12T12:01:00Z",
            "from": "2027-04-12T00:00:00Z",
            "to": "2027-04-12T12:01:00Z",
            "totalRecords": 1,
            "format": "json",
        }
        [record] = document["records"]
        assert (record["id"], record["namespace"], record["details"]) == (event.id, None, {"resolution": "größer"})

    def test_every_record_can_be_checked_without_us(self, viewer: Api) -> None:
        make_event(details={"text": "größer ✓", "ratio": 0.84, "empty": None})

        [record] = export(viewer, format="json").json()["records"]

        claimed = record.pop("checksum")
        content = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
        assert claimed == f"sha256:{hashlib.sha256(content).hexdigest()}"

    def test_file_carries_its_digest(self, viewer: Api) -> None:
        response = export(viewer)

        digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()
        assert response["Repr-Digest"] == f"sha-256=:{digest}:"

    @pytest.mark.parametrize(
        ("query", "offending"),
        [
            ({"since": ""}, {"since"}),
            ({"format": "xml"}, {"format"}),
            ({"until": "2027-04-11"}, {"since", "until"}),
            ({"since": "2027-04-13"}, {"since"}),
            ({"since": "soon"}, {"since"}),
            ({"severity": "fatal"}, {"severity"}),
        ],
    )
    def test_refuses_bad_values_by_name(self, viewer: Api, query: dict[str, str], offending: set[str]) -> None:
        response = export(viewer, **query)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == offending
        assert not AuditEvent.objects.exists()

    @pytest.mark.parametrize("query", [{"until": "9999-12-31T23:59:59Z"}, {"until": "9999-12-31T23:59:59.9Z"}])
    def test_takes_every_time_there_is(self, viewer: Api, query: dict[str, str]) -> None:
        assert viewer.get("/audit/export", since="0001-01-01", **query).status_code == 200

    @pytest.mark.parametrize("name", ["since", "from"])
    def test_a_lower_bound_in_the_future_is_named(self, viewer: Api, name: str) -> None:
        answer = viewer.get("/audit/export", **{name: "9999-01-01"})

        assert answer.status_code == 400
        assert set(answer.json()["error"]["fields"]) == {name}

    def test_takes_the_filters_and_synonyms_of_the_list(self, viewer: Api) -> None:
        make_event(action="runbook.create")
        event = make_event(severity="warning", event_type="sla_breach")

        query = {"from": TODAY, "action": "incident.resolve", "actor": "system", "type": "sla_breach"}
        query |= {"severity": "warning", "resource": "Incident/INC-20270412-001", "namespace": "shop"}
        records = viewer.get("/audit/export", format="json", to="2027-04-13", **query).json()["records"]

        assert [record["id"] for record in records] == [event.id]

    def test_is_audited_once(self, viewer: Api) -> None:
        make_event()

        export(viewer, namespace="shop")

        event = AuditEvent.objects.get(action="audit.export")
        assert (event.resource_type, event.resource, event.user) == (
            "Audit",
            "audit-export-20270412.csv",
            "vera@example.com",
        )
        assert event.details["records"] == 1 and event.details["namespace"] == "shop"

    def test_head_exports_nothing(self, viewer: Api) -> None:
        response = viewer.client.head(f"/api/v1/audit/export?since={TODAY}")

        assert response.status_code == 200
        assert not AuditEvent.objects.exists()

    def test_leaves_out_what_lies_outside_the_scope_of_the_key(self) -> None:
        make_event(namespace="harbor")

        assert export(api_of(Role.VIEWER, namespaces=["shop"]), format="json").json()["records"] == []


class TestBackground:
    @pytest.fixture(autouse=True)
    def _little_at_once(self, settings: Any) -> None:
        settings.AIOPS_EXPORT_SYNC_MAX = 2

    @pytest.fixture
    def events(self) -> list[AuditEvent]:
        return [make_event(at=NOON + timedelta(seconds=number)) for number in range(3)]

    def begin(self, api: Api, **query: str) -> AuditExport:
        response = export(api, **query)
        assert response.status_code == 202
        return AuditExport.objects.get(job_id=response.json()["metadata"]["jobId"])

    def fetch(self, api: Api, job: AuditExport) -> Any:
        return api.get(f"/audit/export/download/{job.job_id}")

    def test_answers_with_the_job(self, viewer: Api, events: list[AuditEvent]) -> None:
        document = export(viewer).json()

        assert document["kind"] == "AuditExportJob"
        assert document["metadata"]["jobId"] == "export-20270412-001"
        status = document["status"]
        assert (status["state"], status["estimatedRecords"]) == ("processing", 3)
        assert status["downloadUrl"] == "/api/v1/audit/export/download/export-20270412-001"
        assert status["expiresAt"] == "2027-04-12T18:01:00Z"
        assert AuditEvent.objects.get(action="audit.export").resource == "export-20270412-001"

    def test_as_many_as_the_limit_come_at_once(self, viewer: Api) -> None:
        make_event(), make_event()

        assert export(viewer).status_code == 200

    def test_says_that_it_is_at_work(self, viewer: Api, events: list[AuditEvent]) -> None:
        response = self.fetch(viewer, self.begin(viewer))

        assert (response.status_code, response.json()["status"]["state"]) == (202, "processing")

    @pytest.mark.parametrize("wanted", ["csv", "json"])
    def test_gives_the_file_when_it_is_done(
        self, viewer: Api, events: list[AuditEvent], settings: Any, wanted: str
    ) -> None:
        job = self.begin(viewer, format=wanted, until="2027-04-12T12:00:30Z")

        assert exports.write(job=job, at=NOON + timedelta(minutes=2))
        response = self.fetch(viewer, job)

        content = written(response)
        settings.AIOPS_EXPORT_SYNC_MAX = 10
        assert response.status_code == 200
        assert content == export(viewer, format=wanted, until="2027-04-12T12:00:30Z").content.replace(
            b"12:01:01", b"12:01:00"
        )
        assert int(response["Content-Length"]) == len(content)
        assert response["Content-Disposition"] == f'attachment; filename="audit-export-20270412.{wanted}"'

    def test_another_key_may_fetch_it(self, viewer: Api, operator: Api, events: list[AuditEvent]) -> None:
        job = self.begin(viewer)
        exports.write(job=job, at=NOON + timedelta(minutes=2))

        assert self.fetch(operator, job).status_code == 200

    def test_a_key_with_a_scope_gets_only_what_lies_within_it(self, viewer: Api, events: list[AuditEvent]) -> None:
        everything = self.begin(viewer)
        scoped = api_of(Role.VIEWER, namespaces=["shop", "harbor"])
        own = self.begin(scoped)

        assert self.fetch(scoped, everything).status_code == 404
        assert self.fetch(scoped, own).status_code == 202

    def test_unknown_is_404(self, viewer: Api) -> None:
        assert viewer.get("/audit/export/download/export-20270412-999").status_code == 404

    def test_expired_is_410(self, viewer: Api, events: list[AuditEvent]) -> None:
        job = self.begin(viewer)

        with time_machine.travel(job.expires_at + timedelta(seconds=1)):
            response = self.fetch(viewer, job)

        assert (response.status_code, response.json()["error"]["reason"]) == (410, "GONE")

    def test_failed_is_500(self, viewer: Api, events: list[AuditEvent]) -> None:
        job = self.begin(viewer)
        exports.give_up(job)

        response = self.fetch(viewer, job)

        assert (response.status_code, response.json()["error"]["reason"]) == (500, "INTERNAL_ERROR")
