from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, Invalid, InvalidTransition, LostRace
from aiops.notifications.models import Channel, Notification, Policy
from incidents.models import Anomaly, Incident, PostMortem, TimelineEvent
from incidents.services import correlation, lifecycle
from incidents.signals import incident_acknowledged, incident_escalated, incident_resolved
from incidents.states import INCIDENT_TRANSITIONS, IncidentState, Severity
from tests.conftest import NOON
from tests.factories import make_anomaly, make_incident
from tests.incidents.actors import PERSON
from tests.incidents.services.test_correlation import sighting

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(minutes=5)
Move = Callable[[Incident], Incident]
MOVES: dict[str, tuple[IncidentState, Move]] = {
    "begin_analysis": (
        IncidentState.ANALYZING,
        lambda row: lifecycle.begin_analysis(incident=row, at=LATER, due_at=LATER),
    ),
    "start_remediation": (
        IncidentState.REMEDIATING,
        lambda row: lifecycle.start_remediation(incident=row, runbook="undo", plan_name="plan-1", at=LATER),
    ),
    "contain": (
        IncidentState.CONTAINED,
        lambda row: lifecycle.contain(incident=row, required_action="Restore it", at=LATER),
    ),
    "escalate": (IncidentState.ESCALATED, lambda row: lifecycle.escalate(incident=row, reason="no way", at=LATER)),
    "fail": (IncidentState.FAILED, lambda row: lifecycle.fail(incident=row, reason="gone", at=LATER)),
}


@pytest.fixture
def heard() -> Any:
    """Names of the signals that were sent."""
    names: list[str] = []
    signals = {"acknowledged": incident_acknowledged, "escalated": incident_escalated, "resolved": incident_resolved}
    listeners = []
    for name, signal in signals.items():

        def listen(sender: Any, name: str = name, **kwargs: Any) -> None:
            names.append(name)

        listeners.append((signal, listen))
        signal.connect(listen)
    yield names
    for signal, listen in listeners:
        signal.disconnect(listen)


@pytest.fixture
def listener() -> Channel:
    """Somebody who hears of everything."""
    values = {"created_at": NOON, "updated_at": NOON}
    channel = Channel.objects.create(name="ops", type="webhook", **values)
    Policy.objects.create(name="all", rules=[{"name": "all", "match": {}, "channels": ["ops"]}], **values)
    return channel


class TestTransitions:
    @pytest.mark.parametrize("was", IncidentState)
    @pytest.mark.parametrize("verb", MOVES)
    def test_follow_the_table(self, verb: str, was: IncidentState) -> None:
        to, move = MOVES[verb]
        incident = make_incident(state=was, resolved_at=NOON if was == "Resolved" else None)

        if to in INCIDENT_TRANSITIONS[was]:
            assert move(incident).state == to
            assert incident.timeline_count == TimelineEvent.objects.filter(incident=incident).count()
        else:
            with pytest.raises(InvalidTransition):
                move(incident)
            assert Incident.objects.get().state == was

    @pytest.mark.parametrize("verb", MOVES)
    def test_lose_a_race_against_any_change(self, verb: str) -> None:
        incident = make_incident(state="Remediating" if verb in {"contain", "fail"} else "Detected")
        Incident.objects.update(version=7)

        with pytest.raises(LostRace):
            MOVES[verb][1](incident)

        assert not AuditEvent.objects.exists()
        assert not PostMortem.objects.exists()

    def test_an_attempt_is_counted_and_names_its_runbook(self) -> None:
        incident = make_incident(state="Analyzing", due_at=NOON)

        lifecycle.start_remediation(incident=incident, runbook="undo", plan_name="plan-1", match_score=0.8, at=LATER)

        assert (incident.remediation_attempts, incident.runbook, incident.due_at) == (1, "undo", None)
        event = incident.timeline.get(type="RunbookMatch")
        assert (event.details["runbook"], event.details["matchScore"]) == ("undo", 0.8)

    def test_a_retry_waits_for_its_time(self) -> None:
        incident = make_incident(state="Remediating", remediation_attempts=1)

        lifecycle.retry_analysis(incident=incident, reason="not ready", due_at=LATER, at=NOON)

        assert (incident.state, incident.due_at) == ("Analyzing", LATER)

    def test_containment_asks_for_a_person_and_drafts_a_postmortem(self) -> None:
        incident = make_incident(state="Remediating")

        lifecycle.contain(incident=incident, required_action="Restore it", at=LATER)

        assert incident.requires_human_action
        postmortem = PostMortem.objects.get()
        assert (postmortem.complete, postmortem.requires_human_action) == (False, True)
        assert AuditEvent.objects.get().event_type == "issue_contained"

    def test_the_first_escalation_stays_the_time(self) -> None:
        incident = make_incident(state="Analyzing", escalated_at=NOON)

        lifecycle.escalate(incident=incident, reason="again", at=LATER)

        assert incident.escalated_at == NOON


class TestEnds:
    def test_a_person_ends_it_and_its_anomalies_are_forgotten(self, heard: list[str]) -> None:
        incident = make_incident()
        make_anomaly(incident=incident)

        lifecycle.resolve(incident=incident, resolution="fixed", actor=PERSON, at=LATER)

        anomaly = Anomaly.objects.get()
        assert (anomaly.cleared_at, anomaly.cleared_by) == (LATER, "resolved")
        assert heard == ["resolved"]

    def test_a_recovery_is_no_manual_resolution(self) -> None:
        incident = make_incident(state="Remediating")
        make_anomaly(incident=incident)

        lifecycle.recover(incident=incident, resolution="Rolled back and healthy", at=LATER)

        assert incident.resolution == "Rolled back and healthy"
        assert incident.annotations == {}
        assert Anomaly.objects.get().cleared_by == "source"
        assert AuditEvent.objects.get().user == "system"

    @pytest.mark.parametrize("verb", ["resolve", "recover"])
    def test_nothing_ends_twice(self, verb: str) -> None:
        incident = make_incident(state="Resolved", resolved_at=NOON)

        with pytest.raises(Conflict):
            if verb == "resolve":
                lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)
            else:
                lifecycle.recover(incident=incident, resolution="x", at=LATER)

        assert not PostMortem.objects.exists()

    def test_a_refused_end_leaves_nothing_behind(self) -> None:
        incident = make_incident()
        make_anomaly(incident=incident)
        Incident.objects.update(version=9)

        with pytest.raises(LostRace):
            lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)

        assert Anomaly.objects.get().cleared_at is None
        assert TimelineEvent.objects.count() == 1


class TestMerge:
    def test_the_survivor_takes_over(self) -> None:
        ended, survivor = make_incident(signal_type="oom_kill"), make_incident(severity="low", risk_score=10)
        make_anomaly(incident=ended, signal_type="oom_kill", severity="high")

        lifecycle.merge(incident=ended, into=survivor, reason="same", actor=PERSON, at=LATER)

        assert survivor.anomalies.count() == 1
        assert (survivor.risk_score, survivor.severity) == (40, "critical")
        assert ended.annotations["aiops/merged-into"] == survivor.name
        assert TimelineEvent.objects.filter(type="Merge").count() == 2

    def test_not_with_itself(self) -> None:
        incident = make_incident()

        with pytest.raises(Invalid):
            lifecycle.merge(incident=incident, into=incident, actor=PERSON, at=LATER)


class TestMessages:
    def events(self) -> list[str]:
        return list(Notification.objects.order_by("pk").values_list("event", flat=True))

    def test_are_written_with_the_change(self, listener: Channel) -> None:
        incident = make_incident()

        lifecycle.acknowledge(incident=incident, actor=PERSON, at=LATER)
        lifecycle.resolve(incident=incident, actor=PERSON, at=LATER)

        assert self.events() == ["incident_acknowledged", "incident_resolved"]

    def test_tell_of_every_rise_of_the_severity(self, listener: Channel) -> None:
        for signal_type, severity in (("latency", Severity.LOW), ("error_rate", Severity.HIGH), ("oom_kill", None)):
            observation = sighting(signal_type=signal_type, severity=severity)
            correlation.observe(observations=[observation], at=NOON)

        assert self.events() == ["incident_created", "incident_severity_raised", "incident_severity_raised"]

    def test_of_a_snoozed_incident_are_held_back(self, listener: Channel) -> None:
        incident = make_incident()
        lifecycle.snooze(incident=incident, duration=timedelta(hours=1), reason="deploy", actor=PERSON, at=NOON)

        lifecycle.escalate(incident=incident, reason="no way", at=LATER)

        assert Notification.objects.get().due_at == NOON + timedelta(hours=1)

    def test_are_let_go_when_it_is_woken(self, listener: Channel) -> None:
        incident = make_incident()
        lifecycle.escalate(incident=incident, reason="no way", at=NOON)
        lifecycle.snooze(incident=incident, duration=timedelta(hours=1), reason="deploy", actor=PERSON, at=NOON)
        held = Notification.objects.get().due_at

        lifecycle.unsnooze(incident=incident, actor=PERSON, at=LATER)

        due = Notification.objects.get().due_at
        assert held == NOON + timedelta(hours=1)
        assert due is not None
        assert due <= LATER

    def test_signals_are_sent(self, heard: list[str]) -> None:
        incident = make_incident()

        lifecycle.escalate(incident=incident, reason="no way", at=LATER)
        lifecycle.acknowledge(incident=incident, actor=PERSON, at=LATER)

        assert heard == ["escalated", "acknowledged"]
