from datetime import UTC, datetime, timedelta

from analytics import schedules
from tests.conftest import NOON


class TestNextRun:
    def test_keeps_the_wall_clock_when_the_clocks_change(self) -> None:
        before = datetime(2027, 3, 27, 12, tzinfo=UTC)  # Berlin changes on the 28th

        first = schedules.next_run("0 7 * * *", "Europe/Berlin", after=before)
        assert first == datetime(2027, 3, 28, 5, tzinfo=UTC)
        earlier = schedules.next_run("0 7 * * *", "Europe/Berlin", after=before - timedelta(days=1))
        assert earlier == datetime(2027, 3, 27, 6, tzinfo=UTC)

    def test_runs_once_in_the_hour_that_comes_twice(self) -> None:
        before = datetime(2027, 10, 30, 12, tzinfo=UTC)  # on the 31st 2:30 comes twice in Berlin

        first = schedules.next_run("30 2 * * *", "Europe/Berlin", after=before)
        assert first is not None
        second = schedules.next_run("30 2 * * *", "Europe/Berlin", after=first)

        assert first.day == 31 and second == datetime(2027, 11, 1, 1, 30, tzinfo=UTC)

    def test_never_is_none(self) -> None:
        assert schedules.next_run("0 0 31 2 *", "UTC", after=NOON) is None


class TestNewestRun:
    def test_is_the_last_one_that_was_missed(self) -> None:
        due_at = NOON.replace(hour=7)

        newest = schedules.newest_run("0 7 * * *", "UTC", due_at=due_at, at=NOON + timedelta(days=3))

        assert newest == due_at + timedelta(days=3)

    def test_is_the_due_one_when_none_was_missed(self) -> None:
        assert schedules.newest_run("0 7 * * *", "UTC", due_at=NOON, at=NOON) == NOON
