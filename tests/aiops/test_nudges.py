from typing import Any

import pytest
from django.db import transaction

from aiops import nudges
from aiops.nudges import nudge_rows, work_off

TASK = "incidents.tasks.analyze_incidents"


@pytest.fixture
def sent(monkeypatch) -> list[dict[str, Any]]:
    """The arguments of every message, in order."""
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(nudges, "_send", lambda task, kwargs, expires: messages.append(kwargs))
    return messages


@pytest.mark.django_db(transaction=True)
class TestNudgeRows:
    def test_sends_ten_rows_in_a_message(self, sent):
        with transaction.atomic():
            for pk in range(25):
                nudge_rows(TASK, pk)
            assert not sent

        assert sent == [{"ids": list(range(10))}, {"ids": list(range(10, 20))}, {"ids": list(range(20, 25))}]

    def test_keeps_tasks_apart(self, sent):
        with transaction.atomic():
            for pk in (1, 2):
                nudge_rows(TASK, pk)
                nudge_rows("slos.tasks.start_clocks", pk)

        assert sent == [{"ids": [1, 2]}, {"ids": [1, 2]}]

    def test_forgets_only_the_rows_of_a_savepoint_that_is_rolled_back(self, sent):
        with transaction.atomic():
            nudge_rows(TASK, 1)
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                nudge_rows(TASK, 2)
                raise ZeroDivisionError
            nudge_rows(TASK, 3)

        assert sent == [{"ids": [1, 3]}]

    def test_leaves_most_of_a_storm_to_the_sweep(self, sent):
        nudge_rows(TASK, *range(10_000))

        assert len(sent) == nudges.MAX_PER_TRANSACTION

    def test_of_nothing_sends_nothing(self, sent):
        nudge_rows(TASK)

        assert sent == []


@pytest.mark.django_db(transaction=True)
class TestWorkOff:
    def test_does_the_rows_in_order(self, sent):
        done: list[int] = []

        work_off(TASK, [3, 1, 2], done.append)

        assert (done, sent) == ([3, 1, 2], [])

    def test_hands_the_rest_on_when_its_time_is_over(self, sent, monkeypatch):
        monkeypatch.setattr(nudges, "PATIENCE", -1.0)
        done: list[int] = []

        work_off(TASK, [3, 1, 2], done.append)

        assert (done, sent) == ([3], [{"ids": [1]}, {"ids": [2]}])

    def test_a_row_that_fails_takes_no_other_with_it(self, sent):
        with pytest.raises(ZeroDivisionError):
            work_off(TASK, [0, 1, 2], lambda pk: 1 // pk)

        assert sent == [{"ids": [1]}, {"ids": [2]}]
