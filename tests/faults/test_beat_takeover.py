"""Two beats run; one is active. When it dies, the other one goes on."""

import pytest
from django.utils import timezone

from aiops.health.models import Lease
from tests.processes import Process, eventually

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

ACTIVE = "this beat is the active one"
SENDING = "Sending due task"


def test_second_beat_takes_over_from_a_killed_one(stack):
    first = stack.start_beat()
    eventually(lambda: has_said(first, SENDING), or_say="the first beat sends")
    second = stack.start_beat()
    eventually(lambda: has_said(second, "beat: Starting"), or_say="the second beat has started")
    assert not has_said(second, ACTIVE)

    first.kill()
    # as if the lease of the dead one had ended, which takes half a minute
    Lease.objects.update(expires_at=timezone.now())

    eventually(lambda: has_said(second, ACTIVE), or_say="the second beat is active")
    eventually(lambda: has_said(second, SENDING), or_say="the second beat sends")


def test_stopped_beat_gives_its_lease_back(stack):
    beat = stack.start_beat()
    eventually(lambda: has_said(beat, SENDING), or_say="the beat sends")

    beat.stop()

    assert not Lease.objects.exists()


def has_said(process: Process, text: str) -> bool:
    return text in process.output()
