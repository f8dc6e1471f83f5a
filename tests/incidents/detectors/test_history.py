from datetime import timedelta
from typing import Any

from incidents.detectors.history import MAX_PODS, RestartHistory, Unsettled
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)


def make_pod(restarts: int, uid: str = "one") -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"uid": uid}, "status": {"containerStatuses": [{"restartCount": restarts}]}}


def look(stored: dict[str, Any], restarts: int, at=NOON, last_look=None) -> dict[str, Any]:
    history = RestartHistory(stored, last_look=last_look)
    history.see([make_pod(restarts)], at)
    return history.dump()


def make_deployment(**status) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"uid": "one", "generation": 2},
        "spec": {"replicas": 3},
        "status": status,
    }


class TestRestartHistory:
    def test_needs_nothing_for_pods_that_never_restarted(self):
        assert look({}, 0) == {}

    def test_keeps_the_first_count_seen(self):
        assert look({}, 5) == {"one": [[int(NOON.timestamp()), 5]]}

    def test_keeps_nothing_more_while_the_count_stays(self):
        first = look({}, 5)

        assert look(first, 5, NOON + 90 * MINUTE, NOON) == first

    def test_keeps_both_sides_of_a_change(self):
        stored = look({}, 5)

        history = RestartHistory(stored, last_look=NOON + 100 * MINUTE)
        history.see([make_pod(8)], NOON + 101 * MINUTE)

        assert history.samples("one") == [(NOON + 100 * MINUTE, 5), (NOON + 101 * MINUTE, 8)]

    def test_begins_again_when_the_count_drops(self):
        assert look(look({}, 5), 1, NOON + MINUTE, NOON) == {"one": [[int((NOON + MINUTE).timestamp()), 1]]}

    def test_stays_bounded_per_pod(self):
        stored: dict[str, Any] = {}
        for number in range(1, 200):
            stored = look(
                stored, number, NOON + number * timedelta(seconds=5), NOON + (number - 1) * timedelta(seconds=5)
            )

        assert len(stored["one"]) <= 20

    def test_forgets_the_longest_unchanged_pods_when_there_are_too_many(self):
        history = RestartHistory({}, last_look=None)
        history.see([make_pod(1, "old")], NOON - MINUTE)
        history.see((make_pod(1, str(number)) for number in range(MAX_PODS)), NOON)

        assert len(history.dump()) == MAX_PODS
        assert "old" not in history.dump()

    def test_forgets_pods_that_are_gone(self):
        assert RestartHistory(look({}, 5), last_look=NOON).dump() == {}

    def test_survives_nonsense(self):
        for stored in ({"one": "x"}, {"one": [[1]]}, {"one": [["a", "b"]]}, {"one": None}):
            assert look(stored, 2) == {"one": [[int(NOON.timestamp()), 2]]}


class TestUnsettled:
    def test_leaves_settled_workloads_out(self):
        memory = Unsettled({})
        memory.see(make_deployment(observedGeneration=2, updatedReplicas=3, readyReplicas=3, availableReplicas=3), NOON)

        assert memory.dump() == {}

    def test_dates_the_first_look_that_saw_these_counts(self):
        short = make_deployment(observedGeneration=2, updatedReplicas=3, readyReplicas=1, availableReplicas=1)
        first = Unsettled({})
        first.see(short, NOON)

        second = Unsettled(first.dump())
        second.see(short, NOON + MINUTE)

        assert second.since == {"one": NOON}

    def test_begins_again_with_any_progress(self):
        first = Unsettled({})
        first.see(make_deployment(observedGeneration=2, updatedReplicas=1), NOON)

        second = Unsettled(first.dump())
        second.see(make_deployment(observedGeneration=2, updatedReplicas=2), NOON + MINUTE)

        assert second.since == {"one": NOON + MINUTE}

    def test_sees_a_generation_that_was_not_taken_up(self):
        memory = Unsettled({})
        memory.see(make_deployment(observedGeneration=1, updatedReplicas=3, readyReplicas=3, availableReplicas=3), NOON)

        assert memory.since == {"one": NOON}

    def test_survives_nonsense(self):
        for stored in ({"one": "x"}, {"one": [1]}, {"one": [None, "b"]}):
            memory = Unsettled(stored)
            memory.see({"kind": "Deployment", "metadata": {"uid": "one"}, "spec": None, "status": []}, NOON)
            assert memory.since == {"one": NOON}
