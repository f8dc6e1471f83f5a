from typing import Any

import pytest

from slos import tasks
from slos.models import SLO, Measurement
from tests.conftest import NOON
from tests.slos.rows import slo_row

pytestmark = pytest.mark.django_db


@pytest.fixture
def nudges(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(tasks, "nudge", lambda task, **_: sent.append(task))
    return sent


class TestSweep:
    def test_has_what_is_due_evaluated(self, nudges: list[str], time_machine: Any) -> None:
        slo_row()
        time_machine.move_to(NOON)

        tasks.sweep()

        assert nudges == ["slos.tasks.evaluate_due"]

    def test_is_silent_when_nothing_is(self, nudges: list[str], time_machine: Any) -> None:
        slo_row(enabled=False)
        time_machine.move_to(NOON)

        tasks.sweep()

        assert nudges == []


class TestEvaluateDue:
    def test_measures(self, time_machine: Any) -> None:
        slo_row()
        time_machine.move_to(NOON)

        tasks.evaluate_due()

        assert SLO.objects.get().current == 100


class TestForget:
    def test_drops_slices_after_four_days(self, time_machine: Any) -> None:
        slo = slo_row()
        for days in (1, 5):
            Measurement.objects.create(slo=slo, hour=NOON.replace(day=NOON.day - days), slices=b"")
        time_machine.move_to(NOON)

        tasks.forget()

        assert Measurement.objects.count() == 1
