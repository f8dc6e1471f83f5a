import csv
import io
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aiops.apikeys.roles import Role
from aiops.notifications.models import Channel, Notification
from analytics.models import ReportKind, ReportSchedule, Usage
from analytics.periods import bucket_start, seconds_of
from incidents.models import SuppressedSignal
from slos.models import SLO, DailyHistory
from tests.conftest import NOON
from tests.factories import make_anomaly, make_approval, make_cluster, make_incident, make_plan, make_step
from tests.incidents.api.conftest import Api, api_of

pytestmark = pytest.mark.django_db


def report(api: Api, kind: str, **query: str) -> dict[str, Any]:
    answer = api.get(f"/reports/{kind}", **query)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["report"]
    return found


def figures(found: dict[str, Any]) -> dict[str, Any]:
    return {figure["name"]: figure["value"] for figure in found["figures"]}


def table(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = next(one for one in found["tables"] if one["name"] == name)["rows"]
    return rows


def make_slo(**overrides: Any) -> SLO:
    values: dict[str, Any] = {
        "name": "checkout",
        "namespace": "shop",
        "service": "checkout",
        "type": "availability",
        "target": Decimal("99.9"),
        "status": "healthy",
        "current": 99.95,
        "budget_total": 43.2,
        "budget_consumed": 21.6,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return SLO.objects.create(**values | overrides)


class TestList:
    def test_offers_every_kind(self, viewer: Api) -> None:
        document = viewer.get("/reports").json()

        assert (document["kind"], document["metadata"]["totalCount"]) == ("ReportList", 5)
        assert [item["kind"] for item in document["items"]] == list(ReportKind.values)
        for item in document["items"]:
            assert viewer.client.get(item["url"]).status_code == 200

    def test_shows_the_schedules(self, viewer: Api) -> None:
        ReportSchedule.objects.create(
            name="weekly",
            report="noise",
            cron="0 7 * * mon",
            channels=["mail"],
            due_at=NOON,
            created_at=NOON,
            updated_at=NOON,
        )

        [schedule] = viewer.get("/reports").json()["schedules"]

        assert (schedule["name"], schedule["report"], schedule["nextRunAt"]) == (
            "weekly",
            "noise",
            "2027-04-12T12:00:00Z",
        )


class TestEveryKind:
    @pytest.mark.parametrize("kind", ReportKind.values)
    def test_is_json_csv_and_html(self, viewer: Api, kind: str) -> None:
        make_anomaly()

        as_json = viewer.get(f"/reports/{kind}")
        as_csv = viewer.get(f"/reports/{kind}", format="csv")
        as_html = viewer.get(f"/reports/{kind}", format="HTML")

        document = as_json.json()
        assert (document["kind"], document["metadata"]["name"], document["metadata"]["period"]) == (
            "Report",
            kind,
            "7d",
        )
        assert as_csv["Content-Type"] == "text/csv; charset=utf-8"
        assert as_csv["Content-Disposition"] == f'attachment; filename="{kind}-20270412.csv"'
        assert as_csv.content.startswith(b"section,row,measure,value,unit,samples,coverage\r\n")
        assert as_html["Content-Type"] == "text/html; charset=utf-8"
        assert as_html.content.startswith(b"<!DOCTYPE html>") and b"<svg" in as_html.content
        assert not re.findall(rb"<script|<link|<img|src=|href=|url\(", as_html.content)

    @pytest.mark.parametrize("kind", ReportKind.values)
    def test_all_three_say_the_same(self, viewer: Api, kind: str) -> None:
        make_incident(signal_type="oom_kill")
        make_slo()

        found = report(viewer, kind)
        lines = csv.DictReader(io.StringIO(viewer.get(f"/reports/{kind}", format="csv").content.decode()))

        in_csv = {line["measure"]: line["value"] for line in lines if line["section"] == "figures"}
        assert set(in_csv) == set(figures(found))
        for name, value in figures(found).items():
            assert in_csv[name] == ("" if value is None else str(value))

    @pytest.mark.parametrize("kind", ReportKind.values)
    def test_is_there_without_any_data(self, viewer: Api, kind: str) -> None:
        assert b"no data" in viewer.get(f"/reports/{kind}", format="html").content or kind == "compliance"

    @pytest.mark.parametrize(
        ("query", "offending"),
        [
            ({"format": "pdf"}, {"format"}),
            ({"period": "1y"}, {"period"}),
            ({"format": "csv", "table": "nosuch"}, {"table"}),
            ({"since": "2027-04-13", "until": "2027-04-12"}, {"since", "until"}),
        ],
    )
    def test_refuses_bad_values_by_name(self, viewer: Api, query: dict[str, str], offending: set[str]) -> None:
        response = viewer.get("/reports/incidents", **query)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == offending

    def test_unknown_kind_is_no_route(self, viewer: Api) -> None:
        assert viewer.get("/reports/weather").status_code == 404
        assert viewer.post("/reports/incidents", {}).status_code == 405

    def test_needs_a_key(self, nobody: Api) -> None:
        assert nobody.get("/reports").status_code == nobody.get("/reports/slo").status_code == 401


class TestIncidents:
    def test_has_exact_numbers(self, viewer: Api) -> None:
        for minutes, severity in ((4, "high"), (9, "high"), (19, "low")):
            make_incident(state="Resolved", resolved_at=NOON + timedelta(minutes=minutes), severity=severity)
        make_incident(severity="critical", detected_at=NOON - timedelta(days=1), started_at=NOON - timedelta(days=1))

        found = report(viewer, "incidents")

        expected = {
            "total": 4,
            "open": 1,
            "resolved": 3,
            "mttd": 45.0,
            "mttr": 700.0,
            "mtta": None,
            "autoResolved": 75.0,
        }
        assert figures(found) | expected == figures(found)
        assert figures(found)["medianTimeToResolve"] == pytest.approx(600, rel=0.008)
        assert table(found, "perDay") == [
            {
                "date": "2027-04-12",
                "total": 3,
                "critical": 0,
                "high": 2,
                "medium": 0,
                "low": 1,
                "mttr": 700.0,
                "resolved": 3,
            },
            {
                "date": "2027-04-11",
                "total": 1,
                "critical": 1,
                "high": 0,
                "medium": 0,
                "low": 0,
                "mttr": None,
                "resolved": 0,
            },
        ]

    def test_one_table_as_csv(self, viewer: Api) -> None:
        make_incident(resource_name="=cmd")

        content = viewer.get("/reports/incidents", format="csv", table="topResources").content.decode()

        header, row, _ = content.split("\r\n")
        assert header == "resource,namespace,cluster,total,mttr,last"
        assert row == "Deployment/=cmd,shop,,1,,2027-04-12T12:00:00Z"

    def test_shows_what_lies_in_the_scope_of_the_key(self) -> None:
        make_incident(namespace="harbor")
        scoped = api_of(Role.VIEWER, namespaces=["shop"])

        found = report(scoped, "incidents")

        assert figures(found)["total"] == 0
        assert table(found, "open") == table(found, "topResources") == []


class TestSlo:
    def test_shows_budgets_and_what_is_not_measured(self, viewer: Api) -> None:
        slo = make_slo()
        make_slo(name="search", status="warning", current=None, budget_consumed=None)
        DailyHistory.objects.create(slo=slo, day=NOON.date(), good=999, total=1000)

        found = report(viewer, "slo")

        assert figures(found) == {"total": 2, "healthy": 1, "warning": 1, "breached": 0, "unmeasured": 1}
        first, second = table(found, "objectives")
        assert (first["name"], first["target"], first["budgetLeft"]) == ("checkout", "99.9 %", 50.0)
        assert second["current"] is second["budgetLeft"] is None


class TestCapacity:
    def test_names_bottlenecks(self, viewer: Api) -> None:
        make_cluster(name="east", pod_count=90, pod_capacity=120)
        for _ in range(3):
            make_incident(resource_name="cart", signal_type="oom_kill")
        make_incident(resource_name="cart", signal_type="latency")

        found = report(viewer, "capacity")

        assert figures(found)["bottlenecks"] == 1
        [row] = table(found, "pressure")
        assert (row["resource"], row["symptoms"], row["incidents"]) == ("Deployment/cart", "oom_kill", 3)
        assert table(found, "clusters")[0]["podsUsed"] == 75.0

    def test_shows_how_full_things_are(self, viewer: Api) -> None:
        make_cluster(name="east")
        for day in range(5):
            Usage.objects.create(
                grain=24, start=bucket_start(seconds_of(NOON - timedelta(days=day)) // 3600, 24), cluster="east",
                namespace="shop", kind="Deployment", name="cart", samples=2, cpu_sum=200, cpu_max=100, cpu_limit=1000,
                memory_sum=2 * (80 - day) * 2**20, memory_max=90 * 2**20, memory_limit=100 * 2**20,
            )  # fmt: skip

        [row] = table(report(viewer, "capacity"), "forecasts")

        assert (row["resource"], row["cpu"], row["memory"]) == ("Deployment/cart", 10.0, 80.0)
        assert b"Deployment/cart" in viewer.get("/reports/capacity", format="html").content


def told(*, at: datetime, type: str = "email", **facts: Any) -> None:
    number = Notification.objects.count()
    Notification.objects.create(
        **{"event": "incident_created", "subject": "", "body": "", "state": "sent", "subject_name": "INC-1", **facts},
        key=f"told_{number}", channel_name=type, channel_type=type, subject_kind="Incident", created_at=at,
    )  # fmt: skip


class TestNoise:
    def test_tells_signals_from_incidents(self, viewer: Api) -> None:
        incident = make_incident(acknowledged_at=NOON)
        for _ in range(3):
            make_anomaly(incident=incident)
        make_anomaly(incident=make_incident(signal_type="latency"))
        plan = make_plan(
            state="Completed", incident=make_incident(state="Resolved", resolved_at=NOON, signal_type="oom_kill")
        )
        make_step(plan=plan)

        found = report(viewer, "noise")

        expected = {
            "signals": 4,
            "incidents": 3,
            "signalsPerIncident": 1.33,
            "actionable": 66.7,
            "automationLift": 100.0,
        }
        assert figures(found) | expected == figures(found)
        assert table(found, "signals")[0] == {
            "signalType": "latency", "signals": 1, "incidents": 1, "actedOn": 0, "ignored": 1, "actionable": 0.0,
        }  # fmt: skip

    def test_counts_suppressed_signals_and_those_that_were_real(self, viewer: Api) -> None:
        for fingerprint, why in (("a", "maintenance"), ("b", "maintenance"), ("c", "information")):
            SuppressedSignal.objects.create(
                day=NOON.date(), fingerprint=fingerprint, why=why, namespace="shop", resource_kind="Deployment",
                resource_name="cart", origin="alertmanager", signal_type="latency", at=NOON - timedelta(hours=5),
            )  # fmt: skip
        make_anomaly(fingerprint="a", detected_at=NOON - timedelta(hours=4))
        make_anomaly(fingerprint="b", detected_at=NOON - timedelta(hours=6))

        assert table(report(viewer, "noise"), "suppressed") == [
            {"signalType": "latency", "origin": "alertmanager", "maintenance": 2, "information": 1, "incidents": 1}
        ]

    def test_counts_interruptions_at_night_and_at_the_weekend(self, viewer: Api) -> None:
        channel = Channel.objects.create(name="mail", type="email", created_at=NOON, updated_at=NOON)
        night, weekend = NOON.replace(hour=3), NOON - timedelta(days=1)
        for number, (at, state) in enumerate(
            ((NOON, "sent"), (night, "sent"), (weekend, "sent"), (NOON, "suppressed"))
        ):
            Notification.objects.create(
                channel=channel, channel_name="mail", channel_type="email", event="incident_created", key=f"ntf_{number}",
                subject_kind="Incident", subject_name="INC-1", subject="", body="", state=state, created_at=at,
            )  # fmt: skip

        assert table(report(viewer, "noise"), "interruptions") == [
            {"channel": "mail", "sent": 3, "night": 1, "weekend": 1, "suppressed": 1, "failed": 0}
        ]

    def test_counts_what_reached_a_person_and_what_the_person_did(self, viewer: Api, settings: Any) -> None:
        settings.AIOPS_TIME_ZONE = ZoneInfo("Asia/Tokyo")  # noon UTC is 21:00 there
        told(at=NOON, target="ada@example.com, bo@example.com")
        told(
            at=NOON + timedelta(seconds=40),
            sent_at=NOON + timedelta(hours=1),
            target="ada@example.com",
            event="escalation_level",
        )
        told(at=NOON, target="hooks.example.com", type="webhook")
        incident = make_incident(acknowledged_by="ada@example.com", acknowledged_at=NOON - timedelta(days=1, hours=6))
        approval = {"state": "Approved", "decided_at": NOON, "created_at": NOON, "decided_by": "bo@example.com"}
        make_approval(plan=make_plan(incident=incident), **approval)
        make_approval(plan=make_plan(incident=make_incident()), auto_approved=True, **approval)

        found = table(report(viewer, "noise"), "people")

        assert found == [
            {
                "person": "ada@example.com", "messages": 2, "escalations": 1, "acknowledged": 1, "decided": 0, "night": 1,
                "weekend": 1, "outside": 66.7,
            },
            {
                "person": "bo@example.com", "messages": 1, "escalations": 0, "acknowledged": 0, "decided": 1, "night": 0,
                "weekend": 0, "outside": 0.0,
            },
        ]  # fmt: skip

    def test_counts_messages_about_what_the_key_may_see(self) -> None:
        told(at=NOON, target="ada@example.com", incident_name=make_incident(namespace="media").name)
        told(at=NOON, target="ada@example.com", incident_name=make_incident(namespace="shop").name)
        told(at=NOON, target="ada@example.com")

        found = report(api_of(Role.VIEWER, namespaces=["media"]), "noise")

        assert [one["messages"] for one in table(found, "people")] == [1]
        assert [one["sent"] for one in table(found, "interruptions")] == [1]

    def test_names_rules_that_nobody_acted_on(self, viewer: Api) -> None:
        make_incident(signal_type="latency", namespace="shop", acknowledged_at=NOON)
        for _ in range(2):
            make_incident(signal_type="latency", namespace="media")

        assert table(report(viewer, "noise"), "neverActedOn") == [
            {
                "signalType": "latency", "namespace": "media", "signals": 0, "incidents": 2,
                "last": make_incident().detected_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ]  # fmt: skip
