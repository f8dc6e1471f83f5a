from datetime import timedelta
from typing import Any

import pytest

from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, Invalid
from incidents.models import Incident, PostMortem, TimelineEvent
from incidents.services import lifecycle, postmortems
from tests.conftest import NOON
from tests.factories import make_anomaly, make_incident, make_insight, make_postmortem
from tests.incidents.actors import PERSON

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(minutes=31)


def act(incident: Incident, type: str, message: str, **details: Any) -> None:
    TimelineEvent.objects.create(
        incident=incident, at=NOON, type=type, source="runbook-engine", message=message, details=details
    )


class TestWrite:
    def test_is_made_of_what_happened(self) -> None:
        incident = make_incident(state="Remediating", resource_name="checkout", assigned_to="docks")
        make_insight(incident=incident, category="code-bug", recommendations=["Test before the rollout"])
        make_anomaly(incident=incident, object_kind="Pod", object_name="checkout-1")
        act(incident, "RemediationAction", "Rolled back", action="RollbackDeployment", params={}, runbook="undo")

        lifecycle.recover(incident=incident, resolution="Healthy after the rollback", at=LATER)

        postmortem = PostMortem.objects.get()
        report = postmortem.report
        assert postmortem.name == "PM-20270412-001"
        assert postmortem.complete
        assert "31m" in postmortem.summary
        assert report["rootCause"]["category"] == "code-bug"
        assert report["remediationApplied"] == {"runbook": "undo", "steps": ["Rolled back"], "result": "success"}
        assert report["actionsExecuted"][0]["action"] == "RollbackDeployment"
        assert report["actionItems"][0]["assignee"] == "docks"
        assert report["blastRadius"][1]["resource"] == {"kind": "Pod", "name": "checkout-1", "namespace": "shop"}
        assert report["timeline"][-1]["event"] == "Healthy after the rollback"

    def test_what_nobody_knows_stays_out(self) -> None:
        incident = make_incident()

        lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)

        report = PostMortem.objects.get().report
        assert report["rootCause"] is report["remediationApplied"] is report["trending"] is None
        assert "usersAffected" not in report["impact"]

    @pytest.mark.parametrize(
        ("types", "result"),
        [
            (["RemediationAction", "RemediationFailed"], "partial"),
            (["RemediationFailed"], "failed"),
            (["RemediationAction", "Rollback"], "partial"),
        ],
    )
    def test_the_result_counts_failures(self, types: list[str], result: str) -> None:
        incident = make_incident()
        for type in types:
            act(incident, type, type, action="ScaleDeployment")

        lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)

        assert PostMortem.objects.get().report["remediationApplied"]["result"] == result

    def test_the_last_plan_counts(self) -> None:
        incident = make_incident()
        act(incident, "RemediationFailed", "Restarted", action="RestartDeployment", plan="plan-1")
        act(incident, "RemediationAction", "Rolled back", action="RollbackDeployment", plan="plan-2")
        act(incident, "Verification", "Healthy", result="passed", plan="plan-2")

        lifecycle.recover(incident=incident, resolution="Healthy", at=LATER)

        report = PostMortem.objects.get().report
        assert report["remediationApplied"]["result"] == "success"
        assert report["remediationApplied"]["steps"] == ["Rolled back"]
        assert len(report["actionsExecuted"]) == 2

    def test_what_was_not_verified_is_partial(self) -> None:
        incident = make_incident()
        act(incident, "RemediationAction", "Rolled back", action="RollbackDeployment", plan="plan-1")
        act(incident, "Verification", "Not verified in time", result="failed", plan="plan-1")

        lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)

        assert PostMortem.objects.get().report["remediationApplied"]["result"] == "partial"

    def test_names_others_of_the_same_resource(self) -> None:
        before = make_incident(resource_name="checkout", state="Resolved", resolved_at=NOON)
        make_postmortem(name="PM-1", incident=before, created_at=NOON - timedelta(days=29))
        other = make_incident(resource_name="checkout", namespace="harbor", state="Resolved", resolved_at=NOON)
        make_postmortem(incident=other)
        incident = make_incident(resource_name="checkout")

        lifecycle.resolve(incident=incident, actor=PERSON, at=NOON)

        trending = PostMortem.objects.get(incident=incident).report["trending"]
        assert (trending["occurrenceCount"], trending["relatedPostMortems"]) == (2, ["PM-1"])

    def test_twice_is_once(self) -> None:
        incident = make_incident(state="Resolved", resolved_at=NOON)

        first = postmortems.write(incident=incident, at=NOON)
        second = postmortems.write(incident=incident, at=LATER)

        assert first.pk == second.pk

    def test_the_draft_of_a_contained_incident_is_completed(self) -> None:
        incident = make_incident(state="Remediating")
        lifecycle.contain(incident=incident, required_action="Restore it", at=NOON)
        lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)

        postmortem = PostMortem.objects.get()
        assert (postmortem.complete, postmortem.resolved_at) == (True, LATER)
        assert postmortem.requires_human_action  # until a person confirms it

    def test_a_closed_one_is_never_touched(self) -> None:
        incident = make_incident()
        make_postmortem(incident=incident, state="Closed", title="as it was")

        lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)

        assert PostMortem.objects.get().title == "as it was"


class TestReview:
    def test_begins_once_and_keeps_what_is_not_given(self) -> None:
        postmortem = make_postmortem()
        postmortems.review(postmortem=postmortem, reviewer="ines", notes="good", actor=PERSON, at=NOON)
        postmortems.review(postmortem=postmortem, notes="better", actor=PERSON, at=LATER)

        assert (postmortem.state, postmortem.reviewer, postmortem.notes) == ("InReview", "ines", "better")
        assert (postmortem.review_started_at, postmortem.reviewed_at) == (NOON, LATER)
        assert postmortem.annotations["aiops.chatcli.io/reviewed-by"] == "operator"

    def test_closing_needs_no_review(self) -> None:
        postmortem = make_postmortem()

        postmortems.close(postmortem=postmortem, actor=PERSON, at=LATER)

        assert (postmortem.state, postmortem.closed_at) == ("Closed", LATER)
        assert AuditEvent.objects.get().action == "postmortem.close"

    def test_closing_waits_for_the_human_action(self) -> None:
        postmortem = make_postmortem(requires_human_action=True, required_action="Restore it")

        with pytest.raises(Conflict):
            postmortems.close(postmortem=postmortem, actor=PERSON, at=LATER)

        postmortems.acknowledge_human_action(postmortem=postmortem, note="done", actor=PERSON, at=LATER)
        postmortems.close(postmortem=postmortem, actor=PERSON, at=LATER)
        assert postmortem.required_action == "Restore it"
        assert postmortem.annotations["aiops.chatcli.io/human-action-acknowledged"] == "true"
        assert postmortem.annotations["aiops.chatcli.io/human-action-note"] == "done"

    def test_nothing_to_acknowledge_is_invalid(self) -> None:
        with pytest.raises(Invalid):
            postmortems.acknowledge_human_action(postmortem=make_postmortem(), actor=PERSON, at=LATER)

    def test_feedback_replaces_feedback_but_not_the_cause(self) -> None:
        postmortem = make_postmortem(root_cause="bug")
        for accuracy in (2, 5):
            postmortems.feedback(
                postmortem=postmortem,
                remediation_accuracy=accuracy,
                override_root_cause="config",
                actor=PERSON,
                at=LATER,
            )

        assert postmortem.feedback is not None
        assert postmortem.feedback["remediationAccuracy"] == 5
        assert postmortem.feedback["providedBy"] == PERSON.name
        assert postmortem.root_cause == "bug"

    @pytest.mark.parametrize("verb", ["review", "close", "feedback"])
    def test_a_closed_one_refuses(self, verb: str) -> None:
        postmortem = make_postmortem(state="Closed")
        more = {"remediation_accuracy": 3} if verb == "feedback" else {}

        with pytest.raises(Conflict):
            getattr(postmortems, verb)(postmortem=postmortem, actor=PERSON, at=LATER, **more)

        assert not AuditEvent.objects.exists()
