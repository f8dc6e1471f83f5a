import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from aiops import nudges
from aiops.nudges import nudge, nudge_rows, work_off

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


class TestGather:
    @pytest.fixture
    def go_on(self) -> threading.Event:
        """Set: the thread sends what it has gathered."""
        return threading.Event()

    @pytest.fixture
    def gathering(self, monkeypatch, go_on) -> Iterator[nudges._Gathering]:
        """As in a process that serves people."""
        found = nudges._Gathering()
        monkeypatch.setattr(found, "pause", lambda: go_on.wait(10))
        monkeypatch.setattr(nudges, "_gathering", found)
        yield found
        go_on.set()

    @pytest.fixture
    def arrivals(self, monkeypatch) -> "queue.SimpleQueue[tuple[str, dict[str, Any]]]":
        messages: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        monkeypatch.setattr(nudges, "_send", lambda task, kwargs, expires: messages.put((task, kwargs)))
        return messages

    @pytest.mark.django_db(transaction=True)
    def test_rows_of_many_transactions_share_a_message(self, gathering, go_on, arrivals):
        nudge_rows(TASK, 1)
        assert arrivals.get(timeout=10) == (TASK, {"ids": [1]}), "after a silence it leaves at once"

        for pk in (2, 3):
            nudge_rows(TASK, pk)
            nudge("runbooks.tasks.advance_plan", plan_id=pk)
        go_on.set()

        assert [arrivals.get(timeout=10) for _ in range(3)] == [
            (TASK, {"ids": [2, 3]}),
            ("runbooks.tasks.advance_plan", {"plan_id": 2}),
            ("runbooks.tasks.advance_plan", {"plan_id": 3}),
        ]

    @pytest.mark.django_db(transaction=True)
    def test_what_is_rolled_back_leaves_nothing(self, gathering, arrivals):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            nudge_rows(TASK, 1)
            raise ZeroDivisionError
        nudge_rows(TASK, 2)

        assert arrivals.get(timeout=10) == (TASK, {"ids": [2]})

    @pytest.mark.django_db(transaction=True)
    def test_more_than_can_wait_is_left_to_the_sweep(self, gathering, arrivals, monkeypatch):
        monkeypatch.setattr(nudges, "WAITING_MAX", 0)

        nudge_rows(TASK, 1)

        assert gathering.waiting.empty()
        assert arrivals.empty()
