from datetime import timedelta
from typing import Any

import pytest

from aiops.apikeys.roles import Role
from aiops.audit import services as audit
from analytics.services import compliance
from slos.models import SLAClock
from tests.aiops.audit.makers import make_event
from tests.conftest import NOON
from tests.factories import make_approval, make_incident, make_plan, make_step
from tests.incidents.api.conftest import Api, api_of

pytestmark = pytest.mark.django_db
PATH = "/analytics/compliance"
S = 1_000_000_000
BEFORE = NOON - timedelta(hours=1)


def spec(api: Api, **query: str) -> dict[str, Any]:
    answer = api.get(PATH, **query)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["spec"]
    return found


def make_clock(**overrides: Any) -> SLAClock:
    values: dict[str, Any] = {
        "sla_name": "gold",
        "kind": "response",
        "severity": "high",
        "state": "breached",
        "started_at": NOON,
        "allowed_seconds": 60,
        "breached_at": NOON,
        "due_at": NOON,
    }
    return SLAClock.objects.create(**values | overrides)


def resolved(after: timedelta, **overrides: Any) -> Any:
    return make_incident(state="Resolved", resolved_at=NOON + after, **overrides)


class TestCompliance:
    def test_is_a_report_over_seven_days(self, viewer: Api) -> None:
        document = viewer.get(PATH).json()

        assert document["kind"] == "ComplianceReport"
        assert document["metadata"] == {
            "period": "7d",
            "from": "2027-04-05T12:01:00Z",
            "to": "2027-04-12T12:01:00Z",
            "generatedAt": "2027-04-12T12:01:00Z",
        }
        assert document["spec"]["Period"] == {"Start": "2027-04-05T12:01:00Z", "End": "2027-04-12T12:01:00Z"}

    def test_period_is_the_requested_range(self, viewer: Api) -> None:
        query = {"from": "2027-04-01", "to": "2027-04-12T12:00:00Z", "period": "nonsense"}
        document = viewer.get(PATH, **query).json()

        assert document["metadata"]["period"] is None
        assert document["spec"]["Period"] == {"Start": "2027-04-01T00:00:00Z", "End": "2027-04-12T12:00:00Z"}

    def test_only_an_upper_bound_means_the_default_period_before_it(self, viewer: Api) -> None:
        assert viewer.get(PATH, until="2027-04-08").json()["metadata"]["from"] == "2027-04-01T00:00:00Z"

    @pytest.mark.parametrize(
        ("query", "offending"),
        [
            ({"period": "8d"}, {"period"}),
            ({"window": "8d"}, {"window"}),
            ({"from": "soon"}, {"from"}),
            ({"from": "2027-04-12", "to": "2027-04-11"}, {"from", "to"}),
            ({"severity": "worst"}, {"severity"}),
        ],
    )
    def test_refuses_bad_values_by_name(self, viewer: Api, query: dict[str, str], offending: set[str]) -> None:
        response = viewer.get(PATH, **query)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == offending

    def test_counts_incidents(self, viewer: Api) -> None:
        resolved(timedelta(minutes=9), severity="high", remediation_attempts=1)  # 1 min to detect, 10 to resolve
        resolved(timedelta(minutes=19), severity="low", remediation_attempts=2)  # 20 to resolve
        resolved(timedelta(hours=5), severity="low", chaos_experiment="drill")
        make_incident(severity="critical", state="Escalated")
        make_incident(detected_at=NOON - timedelta(days=8))

        found = spec(viewer)["IncidentMetrics"]

        assert found == {
            "TotalIncidents": 4,
            "BySeverity": {"critical": 1, "high": 1, "medium": 0, "low": 2},
            "ByState": {"Resolved": 3, "Escalated": 1},
            "MTTD": 60 * S,
            "MTTDSamples": 3,
            "MTTDCoverage": 0.75,
            "MTTR": 900 * S,
            "MTTRSamples": 2,
            "MTTRCoverage": 0.67,
            "MeanRemediationAttempts": 0.75,
        }

    def test_counts_remediations(self, viewer: Api) -> None:
        for state in ("Completed", "Completed", "RolledBack", "Failed", "Executing"):
            plan = make_plan(state=state)
            if state != "Failed":
                make_step(plan=plan, action_type="ScaleDeployment" if state == "Executing" else "RollbackDeployment")

        assert spec(viewer)["RemediationMetrics"] == {
            "TotalRemediations": 5,
            "SuccessRate": 0.5,
            "FinishedRemediations": 4,
            "SuccessRateCoverage": 0.8,
            "ByActionType": {
                "RollbackDeployment": {"Count": 3, "Success": 2, "Failed": 1},
                "ScaleDeployment": {"Count": 1, "Success": 0, "Failed": 0},
                "Unknown": {"Count": 1, "Success": 0, "Failed": 1},
            },
            "AutoRemediatedCount": 2,
            "AgenticCount": 0,
        }

    def test_an_incident_that_broke_two_promises_is_one_that_broke_some(self, viewer: Api) -> None:
        late = make_incident(acknowledged_at=NOON + timedelta(seconds=90))
        make_clock(incident=late, kind="response", state="missed")
        make_clock(incident=late, kind="resolution")
        make_clock(incident=make_incident(), state="met", breached_at=None)
        make_clock(incident=make_incident(), state="cancelled")
        resolved(timedelta(minutes=4))

        found = spec(viewer)

        assert found["SLAMetrics"] == {
            "CompliancePercentage": 75.0,
            "IncidentsWithSLA": 2,
            "Coverage": 0.5,
            "ResponseSLAViolations": 1,
            "MitigationSLAViolations": 0,
            "ResolutionSLAViolations": 1,
            "AverageResponseTime": 90 * S,
            "ResponseTimeSamples": 1,
            "ResponseTimeCoverage": 0.25,
            "AverageResolutionTime": 240 * S,
            "ResolutionTimeSamples": 1,
            "ResolutionTimeCoverage": 0.25,
        }
        evidence = found["Evidence"]["SLAViolations"]
        assert evidence["Total"] == 2
        assert {(item["Incident"], item["Kind"], item["SLA"]) for item in evidence["Items"]} == {
            (late.name, "response", "gold"),
            (late.name, "resolution", "gold"),
        }

    def test_nothing_happened_is_compliant(self, viewer: Api) -> None:
        found = spec(viewer)

        assert found["SLAMetrics"]["CompliancePercentage"] == 100
        assert found["RemediationMetrics"]["SuccessRate"] == found["IncidentMetrics"]["MTTR"] == 0
        assert found["IncidentMetrics"]["ByState"] == {}

    def test_counts_approvals_and_shows_who_decided(self, viewer: Api) -> None:
        decided = {"decided_at": NOON + timedelta(minutes=2), "created_at": NOON}
        make_approval(state="Approved", auto_approved=True, decided_by="system", **decided)
        own = make_approval(state="Approved", decided_by="ines", requester="ines", **decided)
        make_approval(state="Rejected", decided_by="ines", requester="system", **decided)
        make_approval(state="Expired", expires_at=BEFORE)
        make_approval(state="Pending", expires_at=BEFORE)  # past its time: counts as expired
        make_approval(state="Pending")

        found = spec(viewer)

        assert found["ApprovalMetrics"] == {
            "TotalRequests": 6,
            "AutoApproved": 1,
            "ManualApproved": 1,
            "Rejected": 1,
            "Expired": 2,
            "AverageDecisionTime": 120 * S,
            "DecisionTimeSamples": 3,
            "DecisionTimeCoverage": 0.5,
        }
        evidence = found["Evidence"]["Approvals"]
        assert evidence["Total"] == len(evidence["Items"]) == 4
        assert [item["Name"] for item in evidence["Items"] if not item["DutiesSeparated"]] == [own.name]

    def test_summarizes_the_audit_log(self, viewer: Api) -> None:
        make_event(event_type="issue_resolved")
        make_event(event_type="issue_resolved", severity="warning")
        make_event()
        make_event(at=NOON - timedelta(days=8))

        assert spec(viewer)["AuditSummary"] == {
            "TotalEvents": 3,
            "BySeverity": {"info": 2, "warning": 1},
            "ByEventType": {"issue_resolved": 2},
        }

    def test_shows_the_verdict_on_the_audit_chain(self, viewer: Api) -> None:
        make_event()
        assert spec(viewer)["Evidence"]["AuditChain"] == {
            "Verdict": "intact", "Records": 1, "CheckedAt": None, "Broken": None,
        }  # fmt: skip

        audit.judge(at=NOON)
        assert spec(viewer)["Evidence"]["AuditChain"]["CheckedAt"] == "2027-04-12T12:00:00Z"

    def test_a_log_too_long_to_verify_at_once_is_unknown_and_counted_whole(
        self, viewer: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compliance, "SHORT_LOG", 2)
        for _ in range(5):
            make_event()

        chain = spec(viewer)["Evidence"]["AuditChain"]

        assert (chain["Verdict"], chain["Records"]) == ("unknown", 5)

    @pytest.mark.parametrize("query", [{"namespace": "shop"}, {"cluster": "east"}, {"severity": "HIGH"}])
    def test_filters(self, viewer: Api, query: dict[str, str]) -> None:
        inside = make_incident(namespace="shop", cluster_name="east", severity="high")
        outside = make_incident(namespace="harbor", cluster_name="west", severity="low")
        for incident in (inside, outside):
            make_clock(incident=incident, severity=incident.severity)
            make_approval(plan=make_plan(incident=incident, namespace=incident.namespace), state="Rejected")

        found = spec(viewer, **query)

        assert found["IncidentMetrics"]["TotalIncidents"] == 1
        assert found["RemediationMetrics"]["TotalRemediations"] == 1
        assert found["ApprovalMetrics"]["TotalRequests"] == found["Evidence"]["Approvals"]["Total"] == 1
        assert found["Evidence"]["SLAViolations"]["Items"][0]["Incident"] == inside.name

    def test_shows_what_lies_in_the_scope_of_the_key(self) -> None:
        make_incident(namespace="harbor")
        make_event(namespace="harbor")
        scoped = api_of(Role.VIEWER, namespaces=["shop"])

        assert spec(scoped)["IncidentMetrics"]["TotalIncidents"] == 0
        assert spec(scoped, namespace="harbor")["AuditSummary"]["TotalEvents"] == 0

    def test_needs_a_key(self, nobody: Api) -> None:
        assert nobody.get(PATH).status_code == 401
