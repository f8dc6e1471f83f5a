"""The figures of api.md 9.2 to 9.7 on a small history whose figures are known."""

from datetime import timedelta
from typing import Any

import pytest

from aiops.api.formats import parse_duration
from aiops.apikeys.roles import Role
from analytics.services import rollups
from incidents.models import Incident
from runbooks.models import RemediationPlan
from tests.analytics.api.conftest import Api, api_of
from tests.conftest import NOON
from tests.factories import (
    make_approval,
    make_incident,
    make_insight,
    make_plan,
    make_postmortem,
    make_step,
)

pytestmark = pytest.mark.django_db

MANUAL = {"aiops.chatcli.io/manual-resolution": "true"}
MINUTE = timedelta(minutes=1)


def past(*, hours: float = 0, minutes: float = 0, **facts: Any) -> Incident:
    """An incident that was detected so long before noon, one minute after its first signal."""
    detected = NOON - timedelta(hours=hours, minutes=minutes)
    return make_incident(**{"detected_at": detected, "started_at": detected - MINUTE, "created_at": detected, **facts})


def resolved(*, after: float, hours: float = 0, **facts: Any) -> Incident:
    """One that was resolved `after` minutes after its detection."""
    at = NOON - timedelta(hours=hours) + timedelta(minutes=after)
    return past(hours=hours, state="Resolved", resolved_at=at, **facts)


def seconds_of(duration: str) -> float:
    return parse_duration(duration).total_seconds()


@pytest.fixture(params=["raw", "rolled up"])
def _rolled_up(request: pytest.FixtureRequest) -> Any:
    """The answers are the same whether or not a worker has been there."""
    return (lambda: rollups.refresh(limit=1_000)) if request.param == "rolled up" else (lambda: None)


class TestSummary:
    def test_counts(self, viewer: Api, _rolled_up: Any) -> None:
        healed = resolved(after=9, hours=2, severity="critical", risk_score=90)
        resolved(after=19, hours=3, annotations=MANUAL, risk_score=30)
        past(hours=4, state="Contained", severity="low", chaos_experiment="drill", risk_score=30)
        past(hours=24 * 8, state="Failed")
        plan = make_plan(
            incident=healed, state="Completed", runbook_name="undo", created_at=NOON - timedelta(hours=2),
            started_at=NOON - timedelta(hours=2), completed_at=NOON - timedelta(hours=2) + 3 * MINUTE,
        )  # fmt: skip
        make_approval(plan=plan, state="Approved", created_at=NOON, decided_at=NOON + 2 * MINUTE)
        make_postmortem(incident=healed, requires_human_action=True)
        _rolled_up()

        summary = viewer.get("/analytics/summary").json()["summary"]

        assert summary["incidents"] | {"bySeverity": None} == {
            "total": 3, "bySeverity": None, "autoResolved": 1, "autoResolvedPercent": 33.3, "avgTimeToDetect": "1m",
            "byState": {
                "detected": 0, "analyzing": 0, "remediating": 0, "contained": 1, "resolved": 2, "escalated": 0, "failed": 0,
            },
            "avgTimeToResolve": "15m", "detectSamples": 2, "resolveSamples": 2, "resolveCoverage": 1.0,
            "detectCoverage": 0.67,
        }  # fmt: skip
        assert summary["severityBreakdown"] == summary["incidents"]["bySeverity"] == {
            "critical": 1, "high": 1, "medium": 0, "low": 1,
        }  # fmt: skip
        assert (summary["remediations"]["successSamples"], summary["remediations"]["executionCoverage"]) == (1, 1.0)
        names = ("total", "successful", "failed", "successRate", "avgExecutionTime", "topRunbooks")
        assert {name: summary["remediations"][name] for name in names} == {
            "total": 1, "successful": 1, "failed": 0, "successRate": 100.0, "avgExecutionTime": "3m",
            "topRunbooks": [{"name": "undo", "count": 1}],
        }  # fmt: skip
        assert (summary["approvals"]["approved"], summary["approvals"]["avgDecisionTime"]) == (1, "2m")
        assert (summary["openIssues"], summary["containedIssues"], summary["chaosInducedIssues"]) == (1, 1, 1)
        assert (summary["remediatedIssues"], summary["resolvedByRemediation"]) == (1, 1)
        assert (summary["totalPostMortems"], summary["postMortemsRequiringHumanAction"]) == (1, 1)
        assert summary["avgRiskScore"] == 50.0

    def test_of_nothing_is_zero_and_compares_with_nothing(self, viewer: Api) -> None:
        document = viewer.get("/analytics/summary").json()

        assert document["metadata"] == {
            "period": "7d", "from": "2027-04-05T12:01:00Z", "to": "2027-04-12T12:01:00Z", "generatedAt": "2027-04-12T12:01:00Z",
        }  # fmt: skip
        assert document["summary"]["incidents"]["avgTimeToResolve"] == "0s"
        assert set(document["summary"]["trends"].values()) == {None}
        assert document["summary"]["slos"]["avgBudgetRemaining"] is None

    def test_compares_with_the_equally_long_range_before(self, viewer: Api, _rolled_up: Any) -> None:
        for hours in (1, 2, 3):
            resolved(after=9, hours=hours)
        for hours in (25, 26):
            resolved(after=19, hours=hours)
        _rolled_up()

        trends = viewer.get("/analytics/summary", period="24h").json()["summary"]["trends"]

        assert trends == {"incidentsVsPrevPeriod": "+50%", "mttrVsPrevPeriod": "-50%", "autoResolveVsPrevPeriod": "0%"}

    def test_counts_an_overdue_approval_as_expired(self, viewer: Api) -> None:
        make_approval(plan=make_plan(state="WaitingApproval"), expires_at=NOON)

        summary = viewer.get("/analytics/summary").json()["summary"]

        assert (summary["approvals"]["expired"], summary["pendingApprovals"]) == (1, 0)


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "total"),
        [
            ({}, 3),
            ({"namespace": "media"}, 1),
            ({"cluster": "east"}, 2),
            ({"severity": "LOW"}, 1),
            ({"cluster": "east", "severity": "high"}, 1),
            ({"namespace": ""}, 3),
            ({"from": "2027-04-12T11:00:00Z"}, 2),
            ({"until": "2027-04-12T11:00:00Z"}, 2),
            ({"since": "2027-04-12T10:00:01Z", "to": "2027-04-12T11:00:00Z"}, 1),
        ],
    )
    def test_narrow(self, viewer: Api, _rolled_up: Any, query: dict[str, str], total: int) -> None:
        past(hours=0, namespace="media", severity="low", cluster_name="east")
        past(hours=1, severity="high", cluster_name="east")
        past(hours=2, severity="high", cluster_name="west")
        _rolled_up()

        assert viewer.get("/analytics/summary", **query).json()["summary"]["totalIssues"] == total

    @pytest.mark.parametrize("path", ["summary", "mttd", "mttr", "trends", "top-resources", "remediation-stats"])
    @pytest.mark.parametrize(
        "query",
        [
            {"period": "1y"},
            {"window": "x"},
            {"from": "yesterday"},
            {"severity": "bad"},
            {"from": "2027-04-02", "to": "2027-04-01"},
        ],
    )
    def test_refuse_what_they_do_not_know(self, viewer: Api, path: str, query: dict[str, str]) -> None:
        answer = viewer.get(f"/analytics/{path}", **query)

        assert answer.status_code == 400
        assert set(answer.json()["error"]["fields"]) & set(query)

    @pytest.mark.parametrize(
        "path",
        [
            *("analytics/" + name for name in (
                "summary", "mttd", "mttr", "trends", "top-resources", "remediation-stats", "compliance", "capacity", "costs",
            )),
            *("reports/" + name for name in ("incidents", "slo", "compliance", "capacity", "noise")),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(
        "query",
        [
            {"to": "9999-12-31T23:59:59Z"},
            {"to": "0001-01-01"},
            {"from": "0001-01-01", "to": "9999-12-31T23:59:59.9Z"},
            {"from": "9999-12-31T23:59:59.9Z", "to": "9999-12-31T23:59:59.95Z"},
        ],
    )
    def test_take_every_time_there_is(self, viewer: Api, path: str, query: dict[str, str]) -> None:
        past(hours=1)

        assert viewer.get(f"/{path}", **query).status_code == 200

    def test_bounds_of_all_time_hold_everything(self, viewer: Api, _rolled_up: Any) -> None:
        past(hours=1)
        past(hours=24 * 4_000)
        _rolled_up()

        answer = viewer.get("/analytics/summary", **{"from": "0001-01-01", "to": "9999-12-31T23:59:59Z"}).json()

        assert answer["summary"]["totalIssues"] == 2
        assert (answer["metadata"]["from"], answer["metadata"]["to"]) == (
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        )

    @pytest.mark.parametrize(
        "query", [{"from": "2027-04-13"}, {"since": "2027-04-13"}, {"namespace": "\x00"}, {"cluster": "\x00"}]
    )
    def test_a_refusal_names_what_was_sent(self, viewer: Api, query: dict[str, str]) -> None:
        answer = viewer.get("/analytics/summary", **query)

        assert answer.status_code == 400
        assert set(answer.json()["error"]["fields"]) == set(query)

    def test_a_scoped_key_counts_what_it_sees(self, viewer: Api, _rolled_up: Any) -> None:
        past(namespace="media")
        past(namespace="shop")
        _rolled_up()
        scoped = api_of(role=Role.VIEWER, namespaces=["media"])

        assert scoped.get("/analytics/summary").json()["summary"]["totalIssues"] == 1
        assert scoped.get("/analytics/summary", namespace="shop").json()["summary"]["totalIssues"] == 0

    def test_need_a_key(self, nobody: Api) -> None:
        assert nobody.get("/analytics/summary").status_code == 401


class TestMTTD:
    def test_gives_days_newest_first_without_drills(self, viewer: Api, _rolled_up: Any) -> None:
        past(hours=1)
        past(hours=2, started_at=NOON - timedelta(hours=2, minutes=2))
        past(hours=30, chaos_experiment="drill")
        past(hours=50)
        _rolled_up()

        document = viewer.get("/analytics/mttd").json()

        assert document["mttd"] == [
            {"date": "2027-04-12", "averageSeconds": 90.0, "incidentCount": 2, "coverage": 1.0},
            {"date": "2027-04-10", "averageSeconds": 60.0, "incidentCount": 1, "coverage": 1.0},
        ]
        assert document["overall"]["coverage"] == 0.75
        assert (document["overall"]["sampleSize"], document["overall"]["median"]) == (3, "1m")


class TestMTTR:
    def test_gives_mean_percentiles_and_severities(self, viewer: Api, _rolled_up: Any) -> None:
        for after in (4, 9, 29):
            resolved(after=after, hours=2, severity="high")
        resolved(after=999, hours=20, chaos_experiment="drill")
        past(hours=1, state="Escalated")
        _rolled_up()

        mttr = viewer.get("/analytics/mttr").json()["mttr"]

        assert mttr["overall"] == {
            "mean": "15m", "median": "10m", "p95": "30m", "p99": "30m", "sampleSize": 3, "errorBound": 0.0,
            "openIncidents": 1, "coverage": 0.75, "kaplanMeierMedian": "10m",
        }  # fmt: skip
        assert mttr["bySeverity"]["high"] == {"mean": "15m", "median": "10m", "count": 3, "coverage": 0.75}
        assert mttr["bySeverity"]["low"] == {"mean": "0s", "median": "0s", "count": 0, "coverage": None}
        assert mttr["history"] == [{"date": "2027-04-12", "mttr": "15m", "incidentCount": 3, "coverage": 0.75}]

    def test_phases_add_up_to_the_mean(self, viewer: Api, _rolled_up: Any) -> None:
        incident = resolved(after=9, hours=1)
        make_insight(incident=incident, generated_at=incident.detected_at + MINUTE)
        plan = make_plan(incident=incident, state="Completed")
        asked = incident.detected_at + MINUTE
        make_approval(plan=plan, state="Approved", created_at=asked, decided_at=asked + 4 * MINUTE)
        _rolled_up()

        phases = viewer.get("/analytics/mttr").json()["mttr"]["byPhase"]

        assert {name: phase["mean"] for name, phase in phases.items()} == {
            "detection": "1m", "analysis": "1m", "approval": "4m", "remediation": "4m",
        }  # fmt: skip

    def test_percentiles_of_phases_are_of_those_who_had_them(self, viewer: Api, _rolled_up: Any) -> None:
        for waited in (10, 20, 600):
            incident = resolved(after=29, hours=2)
            plan = make_plan(
                incident=incident, state="Completed", target_key=str(waited), completed_at=NOON,
                actions_completed_at=NOON - timedelta(seconds=waited),
            )  # fmt: skip
            asked = incident.detected_at
            decided = asked + timedelta(seconds=waited)
            make_approval(plan=plan, state="Approved", created_at=asked, decided_at=decided)
        resolved(after=9, hours=1, acknowledged_at=NOON - 50 * MINUTE)
        _rolled_up()

        mttr = viewer.get("/analytics/mttr").json()["mttr"]

        approval, answer = mttr["byPhase"]["approval"], mttr["responses"]["acknowledgement"]
        assert (approval["samples"], approval["coverage"], approval["median"]) == (3, 0.75, "20s")
        assert seconds_of(approval["p95"]) == pytest.approx(600, rel=approval["errorBound"])
        assert (answer["samples"], answer["coverage"]) == (1, 0.25)
        assert seconds_of(answer["p99"]) == pytest.approx(600, rel=answer["errorBound"])
        assert mttr["responses"]["verification"]["median"] == "20s"
        assert mttr["byPhase"]["analysis"] | {"description": ""} == {
            "mean": "0s", "median": "0s", "p95": "0s", "p99": "0s", "description": "", "samples": 0, "coverage": 0.0,
            "errorBound": 0.03125,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("granularity", "dates"),
        [
            ("hourly", ["2027-04-12T11:00:00Z", "2027-04-12T09:00:00Z"]),
            ("DAILY", ["2027-04-12"]),
            ("weekly", ["2027-04-12"]),
        ],
    )
    def test_history_has_the_wanted_granularity(
        self, viewer: Api, _rolled_up: Any, granularity: str, dates: list[str]
    ) -> None:
        resolved(after=9, hours=1)
        resolved(after=9, hours=3)
        _rolled_up()

        history = viewer.get("/analytics/mttr", granularity=granularity).json()["mttr"]["history"]

        assert [entry["date"] for entry in history] == dates

    def test_compares_with_the_first_whole_month(self, viewer: Api, _rolled_up: Any) -> None:
        past(hours=24 * 65)  # 6 February: that month is not whole
        resolved(after=19, hours=24 * 30)  # 13 March
        resolved(after=9, hours=1)
        _rolled_up()

        improvement = viewer.get("/analytics/mttr", period="7d").json()["mttr"]["improvement"]

        assert improvement == {
            "vsPrevPeriod": None, "vsBaseline": "-50%", "baselinePeriod": "2027-03-01 to 2027-03-31",
        }  # fmt: skip

    def test_of_nothing_is_zero(self, viewer: Api) -> None:
        mttr = viewer.get("/analytics/mttr").json()["mttr"]

        assert (mttr["overall"]["mean"], mttr["overall"]["p99"], mttr["overall"]["kaplanMeierMedian"]) == (
            "0s",
            "0s",
            None,
        )
        assert mttr["improvement"] == {"vsPrevPeriod": None, "vsBaseline": None, "baselinePeriod": None}


class TestTrends:
    @pytest.mark.parametrize(
        ("group", "expected"),
        [("day", [("2027-04-12", 2), ("2027-04-11", 1)]), ("week", [("2027-04-12", 2), ("2027-04-05", 1)])],
    )
    def test_leave_empty_buckets_out(
        self, viewer: Api, _rolled_up: Any, group: str, expected: list[tuple[str, int]]
    ) -> None:
        past(hours=1, severity="low")
        past(hours=2, severity="low")
        past(hours=14)
        _rolled_up()

        document = viewer.get("/analytics/trends", groupBy=group).json()

        assert [(one["date"], one["total"]) for one in document["trends"]] == expected
        assert document["trends"][0]["bySeverity"] == {"critical": 0, "high": 0, "medium": 0, "low": 2}
        assert document["metadata"]["groupBy"] == group


class TestTopResources:
    def test_ranks_by_incidents_then_by_the_newest(self, viewer: Api, _rolled_up: Any) -> None:
        for hours, name, signal in (
            (9, "api", "oom_kill"),
            (8, "api", "latency"),
            (7, "api", "latency"),
            (3, "old", "x"),
            (1, "new", "x"),
        ):
            past(hours=hours, resource_name=name, signal_type=signal, resource_kind="Deployment", namespace="shop")
        _rolled_up()

        resources = viewer.get("/analytics/top-resources").json()["resources"]

        assert [one["name"] for one in resources] == ["api", "new", "old"]
        assert resources[0] == {
            "kind": "Deployment", "name": "api", "namespace": "shop", "incidentCount": 3,
            "lastIncident": "2027-04-12T05:00:00Z", "topSignals": ["latency", "oom_kill"],
        }  # fmt: skip

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5"])
    def test_refuses_other_limits(self, viewer: Api, limit: str) -> None:
        assert viewer.get("/analytics/top-resources", limit=limit).json()["error"]["fields"] == {
            "limit": ["Must be a whole number from 1 to 100."]
        }


class TestRemediationStats:
    def test_count_finished_plans_by_their_first_action(self, viewer: Api, _rolled_up: Any) -> None:
        for state in ("Completed", "Completed", "RolledBack", "Executing"):
            plan = make_plan(
                state=state, target_key=state, started_at=NOON - 3 * MINUTE, completed_at=NOON - MINUTE,
                target_name=state,
            )  # fmt: skip
            make_step(plan=plan, action_type="")
            make_step(plan=plan, action_type="RestartDeployment")
        RemediationPlan.objects.filter(state="Executing").update(completed_at=None)
        make_plan(state="Failed", target_key="none")
        _rolled_up()

        stats = viewer.get("/analytics/remediation-stats").json()["stats"]

        assert [one["action"] for one in stats] == ["RestartDeployment", "Unknown"]
        assert {name: stats[0][name] for name in ("total", "successful", "failed", "successRate", "avgDuration")} == {
            "total": 3, "successful": 2, "failed": 1, "successRate": 0.67, "avgDuration": 120.0,
        }  # fmt: skip
        assert stats[1]["avgDuration"] == 0
        assert (stats[0]["coverage"], stats[0]["durationCoverage"]) == (0.75, 1.0)  # one is still at work
