"""Tasks and receivers of SLA clocks: an id in, a service call or a message out."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from incidents.signals import incident_acknowledged, incident_opened
from slos import tasks
from slos.models import ClockState, SLAClock
from tests.conftest import NOON
from tests.factories import make_incident
from tests.slos.services.test_clocks import make_sla

pytestmark = pytest.mark.django_db


@pytest.fixture
def nudged(monkeypatch, django_capture_on_commit_callbacks):
    """Runs a function and returns the messages that it sent to the tasks of clocks."""
    sent: list[tuple[str, dict[str, int]]] = []
    monkeypatch.setattr("aiops.nudges._send", lambda task, kwargs, *rest: sent.append((task, kwargs)))

    def run(work) -> list[tuple[str, dict[str, int]]]:
        with django_capture_on_commit_callbacks(execute=True):
            work()
        return [(task, kwargs) for task, kwargs in sent if "clocks" in task]

    return run


def test_a_new_incident_asks_for_its_clocks(nudged):
    incident = make_incident()

    sent = nudged(lambda: incident_opened.send(type(incident), incident=incident))

    assert sent == [("slos.tasks.start_clocks", {"ids": [incident.pk]})]


def test_an_acknowledgement_asks_to_settle_the_clocks(nudged):
    make_sla()
    incident = make_incident(acknowledged_at=timezone.now())
    tasks.start_clocks(ids=[incident.pk])

    sent = nudged(lambda: incident_acknowledged.send(type(incident), incident=incident))

    assert sent == [("slos.tasks.settle_clocks", {"ids": [incident.pk]})]


def test_the_sweep_starts_and_judges():
    make_sla(response_seconds=60)
    make_incident()

    with time_machine.travel(NOON + timedelta(hours=1)):
        tasks.sweep_clocks()

    assert SLAClock.objects.get().state == ClockState.BREACHED


def test_an_incident_that_is_gone_is_nobodys_business():
    tasks.start_clocks(ids=[0])
    tasks.settle_clocks(ids=[0])
