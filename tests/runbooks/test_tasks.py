"""Tasks and receivers: an id in, a service call or a message out."""

from datetime import timedelta

import pytest
from django.utils import timezone

from incidents.signals import incident_analyzed, incident_resolved
from runbooks import tasks
from runbooks.models import RemediationPlan
from tests.factories import make_cluster, make_incident, make_plan
from tests.runbooks.services.stage import analyzed_incident, runbook

pytestmark = pytest.mark.django_db


@pytest.fixture
def nudged(monkeypatch, django_capture_on_commit_callbacks):
    """Runs a function and returns the messages that it sent."""
    sent: list[tuple[str, dict[str, int]]] = []
    monkeypatch.setattr("aiops.nudges._send", lambda task, kwargs, *rest: sent.append((task, kwargs)))

    def run(work) -> list[tuple[str, dict[str, int]]]:
        with django_capture_on_commit_callbacks(execute=True):
            work()
        return sent

    return run


def test_an_analyzed_incident_asks_for_a_plan(nudged):
    incident = make_incident()

    sent = nudged(lambda: incident_analyzed.send(type(incident), incident=incident))

    assert sent == [("runbooks.tasks.plan_remediations", {"ids": [incident.pk]})]


def test_a_resolved_incident_asks_its_plans_to_stop(nudged):
    incident = make_incident(state="Remediating", remediation_attempts=2)
    plan = make_plan(incident=incident, state="WaitingApproval")
    make_plan(incident=plan.incident, state="Failed")

    sent = nudged(lambda: incident_resolved.send(type(plan.incident), incident=plan.incident))

    ours = [message for message in sent if message[0].startswith("runbooks.")]  # SLA clocks are asked to stop as well
    assert ours == [("runbooks.tasks.advance_plan", {"plan_id": plan.pk})]


def test_the_sweep_finds_what_is_due(nudged):
    now = timezone.now()
    incident = analyzed_incident(make_cluster(), due_at=now)
    due = make_plan(due_at=now)
    make_plan(due_at=now + timedelta(hours=1))
    make_plan(due_at=now, leased_until=now + timedelta(minutes=1), lease_holder="other")

    sent = nudged(tasks.sweep)

    assert sent == [
        ("runbooks.tasks.plan_remediations", {"ids": [incident.pk]}),
        ("runbooks.tasks.advance_plan", {"plan_id": due.pk}),
    ]


def test_plan_remediation_makes_the_plan():
    incident = analyzed_incident(make_cluster(), due_at=timezone.now())
    runbook("RestartDeployment")

    tasks.plan_remediations(ids=[incident.pk])

    assert RemediationPlan.objects.get().incident == incident


def test_messages_about_rows_that_are_gone_are_ignored():
    tasks.plan_remediations(ids=[999_999])
    tasks.advance_plan(plan_id=999_999)


def test_advance_plan_goes_on_until_the_plan_waits():
    plan = make_plan(due_at=timezone.now())  # of an incident without a cluster: it ends at once

    tasks.advance_plan(plan_id=plan.pk)

    plan.refresh_from_db()
    assert (plan.state, plan.lease_holder) == ("Failed", "")
