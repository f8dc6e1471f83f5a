from typing import Any

import pytest

from incidents.models import PostMortem
from tests.conftest import NOON
from tests.factories import make_incident, make_insight, make_postmortem
from tests.incidents.api.conftest import Api

pytestmark = pytest.mark.django_db
ACTIONS: dict[str, dict[str, Any]] = {
    "review": {},
    "close": {},
    "feedback": {"providedBy": "ines", "remediationAccuracy": 4},
    "ack-human-action": {},
}


class TestPostMortems:
    def test_items(self, viewer: Api) -> None:
        incident = make_incident(name="INC-1", state="Resolved", resolved_at=NOON, resource_name="checkout")
        make_postmortem(incident=incident, resolved_at=NOON)

        item = viewer.get("/postmortems", incident="INC-1").json()["items"][0]

        assert (item["incident"], item["issueRef"]) == ("INC-1", "INC-1")
        assert (item["status"], item["state"], item["duration"]) == ("published", "Open", "0s")
        assert item["resource"] == "Deployment/checkout"

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ({"severity": "High"}, 1),
            ({"severity": "low"}, 0),
            ({"state": "inreview"}, 0),
            ({"namespace": "shop"}, 1),
            ({"incident": "INC-2"}, 0),
            ({"since": "2027-04-12T12:00:01Z"}, 0),
        ],
    )
    def test_filters(self, viewer: Api, query: dict[str, str], count: int) -> None:
        make_postmortem()

        assert viewer.get("/postmortems", **query).json()["metadata"]["totalCount"] == count

    def test_the_document_is_whole_even_when_the_stored_report_is_not(self, viewer: Api) -> None:
        make_postmortem(name="PM-1", summary="short")

        document = viewer.get("/postmortems/PM-1").json()

        assert document["metadata"]["author"] == "ai-generated"
        assert document["metadata"]["reviewedBy"] is None
        assert document["spec"]["resourceRef"]["kind"] == "Deployment"
        assert document["report"]["summary"] == "short"
        assert document["report"]["timeline"] == []
        assert document["report"]["rootCause"] is None

    def test_costs_three_queries_whatever_the_size(self, viewer: Api, django_assert_num_queries: Any) -> None:
        viewer.get("/postmortems")
        for _ in range(5):
            make_postmortem()

        with django_assert_num_queries(3):
            viewer.get("/postmortems")

    @pytest.mark.parametrize("action", ACTIONS)
    def test_actions_need_the_role_and_the_object(self, viewer: Api, operator: Api, action: str) -> None:
        assert viewer.post(f"/postmortems/PM-1/{action}", ACTIONS[action]).status_code == 403
        assert operator.post(f"/postmortems/PM-1/{action}", ACTIONS[action]).status_code == 404

    @pytest.mark.parametrize(
        ("action", "state", "human", "status"),
        [
            ("review", "Open", False, 200),
            ("review", "InReview", False, 200),
            ("review", "Closed", False, 409),
            ("close", "Open", False, 200),
            ("close", "Open", True, 409),
            ("close", "Closed", False, 409),
            ("feedback", "InReview", False, 200),
            ("feedback", "Closed", False, 409),
            ("ack-human-action", "Open", True, 200),
            ("ack-human-action", "Open", False, 400),
            ("ack-human-action", "Closed", True, 400),
        ],
    )
    def test_actions_follow_the_table(self, operator: Api, action: str, state: str, human: bool, status: int) -> None:
        make_postmortem(name="PM-1", state=state, requires_human_action=human)

        assert operator.post(f"/postmortems/PM-1/{action}", ACTIONS[action]).status_code == status

    @pytest.mark.parametrize(
        ("body", "member"),
        [
            ({"remediationAccuracy": 3}, "providedBy"),
            ({"providedBy": "x"}, "remediationAccuracy"),
            ({"providedBy": "x", "remediationAccuracy": 6}, "remediationAccuracy"),
            ({"providedBy": "x", "remediationAccuracy": "3"}, "remediationAccuracy"),
        ],
    )
    def test_feedback_is_checked(self, operator: Api, body: Any, member: str) -> None:
        make_postmortem(name="PM-1")

        response = operator.post("/postmortems/PM-1/feedback", body)

        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == {member}

    def test_review_shows_the_reviewer(self, operator: Api) -> None:
        make_postmortem(name="PM-1")

        document = operator.post("/postmortems/PM-1/review", {"reviewer": "ines", "notes": "good"}).json()

        assert document["metadata"]["reviewedBy"] == document["status"]["reviewer"] == "ines"
        assert PostMortem.objects.get().state == "InReview"


class TestInsights:
    def test_list_and_document_agree(self, viewer: Api) -> None:
        incident = make_incident(name="INC-1")
        make_insight(incident=incident, name="insight-1", suggested_actions=[
            {"name": "Undo", "action": "RollbackDeployment", "description": "Go back", "params": {"toRevision": "previous"}}
        ])  # fmt: skip

        item = viewer.get("/aiinsights", issue="INC-1").json()["items"][0]
        document = viewer.get("/aiinsights/insight-1").json()

        assert item["issueRef"] == document["spec"]["issueRef"] == "INC-1"
        assert item["suggestedActions"] == document["status"]["suggestedActions"]
        assert item["suggestedActions"][0]["params"] == {"toRevision": "previous"}
        assert item["gitOpsContext"] is None
        assert viewer.get("/aiinsights", issue="INC-2").json()["items"] == []
        assert viewer.get("/aiinsights/none").status_code == 404
