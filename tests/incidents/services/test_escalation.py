from datetime import timedelta
from typing import Any

import pytest

from aiops.audit.models import AuditEvent
from aiops.notifications.models import Notification
from incidents.models import EscalationPolicy, EscalationRun, Incident
from incidents.services import escalation, lifecycle
from tests.aiops.notifications.makers import make_channel
from tests.conftest import NOON
from tests.factories import make_incident
from tests.incidents.actors import PERSON
from tests.threads import at_once, postgresql_only

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def make_escalation_policy(**overrides: Any) -> EscalationPolicy:
    values: dict[str, Any] = {
        "name": "night-shift",
        "levels": [
            {"name": "on call", "timeoutMinutes": 15, "notifyChannels": ["ops"]},
            {"name": "lead", "timeoutMinutes": 15, "notifyChannels": ["lead"]},
        ],
        "created_at": NOON - timedelta(days=1),
        "updated_at": NOON,
    }
    for name in ("ops", "lead"):
        make_channel(name)
    return EscalationPolicy.objects.create(**values | overrides)


def escalated(**overrides: Any) -> Incident:
    incident = make_incident(state="Analyzing", **overrides)
    lifecycle.escalate(incident=incident, reason="no runbook fits", at=NOON)
    return Incident.objects.get(pk=incident.pk)


def told() -> list[str]:
    return list(Notification.objects.order_by("created_at", "pk").values_list("channel_name", flat=True))


class TestStart:
    def test_tells_the_first_level(self):
        make_escalation_policy()

        incident = escalated()

        assert told() == ["ops"]
        assert incident.escalation_policy == "night-shift"
        run = EscalationRun.objects.get()
        assert (run.level, run.due_at) == (0, NOON + 15 * MINUTE)
        assert [event.message for event in incident.timeline.filter(type="Escalation")][
            -1
        ] == "Escalated to on call (ops)"
        assert AuditEvent.objects.filter(event_type="escalation_triggered").count() == 1

    def test_prefers_a_policy_that_fits_to_the_default(self):
        make_escalation_policy(name="a-default", is_default=True)
        EscalationPolicy.objects.create(
            name="shop",
            namespaces=["shop"],
            levels=[{"name": "x", "notifyChannels": ["lead"]}],
            created_at=NOON,
            updated_at=NOON,
        )

        assert escalated().escalation_policy == "shop"
        assert escalated(namespace="pay").escalation_policy == "a-default"

    def test_leaves_incidents_alone_that_no_policy_fits(self):
        make_escalation_policy(severities=["critical"])

        assert escalated(severity="low").escalation_policy == ""
        assert told() == []

    def test_leaves_acknowledged_incidents_alone(self):
        make_escalation_policy()

        escalated(acknowledged_at=NOON, acknowledged_by="ines")

        assert told() == []

    def test_begins_anew_when_the_incident_escalates_again(self):
        make_escalation_policy(levels=[{"name": "on call", "notifyChannels": ["ops"]}])
        incident = escalated()
        lifecycle.start_remediation(incident=incident, runbook="x", plan_name="p", at=NOON + MINUTE)

        lifecycle.escalate(incident=incident, reason="failed", at=NOON + 2 * MINUTE)

        assert told() == ["ops", "ops"]


class TestAdvanceDue:
    def test_takes_level_after_level(self):
        make_escalation_policy()
        escalated()

        counts = [escalation.advance_due(at=NOON + minutes * MINUTE) for minutes in (14, 15, 30, 60)]

        assert counts == [0, 1, 0, 0]
        assert told() == ["ops", "lead"]
        assert EscalationRun.objects.get().due_at is None

    def test_ends_with_an_acknowledgement(self):
        make_escalation_policy()
        incident = escalated()
        lifecycle.acknowledge(incident=incident, actor=PERSON, at=NOON + MINUTE)

        escalation.advance_due(at=NOON + 15 * MINUTE)

        assert told() == ["ops"]
        assert EscalationRun.objects.get().stopped_by.startswith("acknowledged by")

    def test_ends_with_the_incident(self):
        make_escalation_policy()
        lifecycle.resolve(incident=escalated(), resolution="done", actor=PERSON, at=NOON + MINUTE)

        escalation.advance_due(at=NOON + 15 * MINUTE)

        assert told() == ["ops"]
        assert EscalationRun.objects.get().stopped_by == "resolved"

    def test_waits_while_the_incident_is_snoozed(self):
        make_escalation_policy()
        incident = escalated()
        lifecycle.snooze(incident=incident, duration=60 * MINUTE, reason="known", actor=PERSON, at=NOON)

        assert escalation.advance_due(at=NOON + 15 * MINUTE) == 0
        assert escalation.advance_due(at=NOON + 60 * MINUTE) == 1

    def test_starts_on_created_incidents_where_the_policy_says_so(self):
        make_escalation_policy(starts_on="created", severities=["high"])
        make_incident()
        make_incident(severity="low")
        make_incident(detected_at=NOON - timedelta(days=2))

        assert escalation.advance_due(at=NOON) == 1
        assert escalation.advance_due(at=NOON + MINUTE) == 0

    def test_stops_when_the_policy_is_disabled(self):
        policy = make_escalation_policy()
        escalated()
        EscalationPolicy.objects.filter(pk=policy.pk).update(enabled=False)

        assert escalation.advance_due(at=NOON + 15 * MINUTE) == 0
        assert EscalationRun.objects.get().stopped_by == "policy disabled"


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_of_many_workers_one_takes_the_step(self):
        postgresql_only()
        make_escalation_policy()
        escalated()

        outcomes = at_once(5, lambda _: escalation.advance_due(at=NOON + 15 * MINUTE))

        assert sorted(map(str, outcomes)) == ["0", "0", "0", "0", "1"]
        assert told() == ["ops", "lead"]

    def test_no_level_is_told_after_an_acknowledgement(self):
        postgresql_only()
        make_escalation_policy()
        incident = escalated()

        def work(number: int) -> object:
            if number:
                return escalation.advance_due(at=NOON + 15 * MINUTE)
            return lifecycle.acknowledge(
                incident=Incident.objects.get(pk=incident.pk), actor=PERSON, at=NOON + 14 * MINUTE
            )

        at_once(4, work)
        row = Incident.objects.get(pk=incident.pk)

        if row.acknowledged:
            assert EscalationRun.objects.get().due_at is None
        else:
            assert told() == ["ops", "lead"]
