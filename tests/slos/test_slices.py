from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slos.slices import Grid, Slice, Timeline, add_up, hour_of, seconds
from tests.conftest import NOON

END = seconds(NOON)
EVENTS = Grid(width=300)
INSTANTS = Grid(width=60)
FIRST = hour_of(END) - 5 * 3600


def filled(grid: Grid, good: float = 99.0, total: float = 100.0) -> Timeline:
    line = Timeline(FIRST, 6)
    line.put(Slice(end, good, total) for end in range(FIRST + grid.step, END + 1, grid.step))
    return line


class TestReading:
    @pytest.mark.parametrize(("minutes", "total"), [(5, 100), (30, 600), (60, 1200), (120, 2400)])
    def test_counts_every_moment_once(self, minutes: int, total: float) -> None:
        assert filled(EVENTS).reading(END, timedelta(minutes=minutes), EVENTS).total == total

    def test_ends_at_any_minute(self) -> None:
        assert filled(EVENTS).reading(END - 120, timedelta(hours=1), EVENTS).total == 1200

    def test_says_what_share_has_data(self) -> None:
        line = Timeline(FIRST, 6)
        line.put(Slice(end, 1, 1) for end in range(END - 14 * 60, END + 1, 60))

        assert line.reading(END, timedelta(hours=1), INSTANTS).coverage == 0.25

    def test_counts_a_slice_without_events_as_data(self) -> None:
        assert filled(INSTANTS, 0, 0).reading(END, timedelta(hours=1), INSTANTS).coverage == 1

    def test_leaves_maintenance_out(self) -> None:
        line = filled(INSTANTS)

        assert line.reading(END, timedelta(hours=1), INSTANTS, [(END - 1800, END)]).total == 3000


class TestTimeline:
    def test_survives_packing(self) -> None:
        line = filled(EVENTS)
        hour = hour_of(END)

        again = Timeline.load(FIRST, 6, {hour: line.pack(hour)})

        assert again.reading(END, timedelta(hours=1), EVENTS) == line.reading(END, timedelta(hours=1), EVENTS)

    def test_keeps_latencies(self) -> None:
        line = Timeline(FIRST, 6)
        line.put([Slice(END, 1, 1, 250.0)])

        again = Timeline.load(FIRST, 6, {hour_of(END): line.pack(hour_of(END))})

        assert again.slices(hour_of(END), INSTANTS)[-1].value == 250.0

    def test_measures_twice_without_counting_twice(self) -> None:
        line = filled(INSTANTS)
        before = line.reading(END, timedelta(hours=2), INSTANTS)

        line.put(Slice(end, 99, 100) for end in range(END - 3600, END + 1, 60))

        assert line.reading(END, timedelta(hours=2), INSTANTS) == before

    def test_ignores_what_is_older_than_it(self) -> None:
        line = Timeline(FIRST, 6)

        line.put([Slice(FIRST - 600, 1, 1)])

        assert not line.touched

    def test_puts_a_full_hour_into_the_hour_before(self) -> None:
        assert hour_of(END) == END - 3600


class TestAddUp:
    def test_keeps_maintenance_beside_the_rest(self) -> None:
        slices = [Slice(END - 60, 0, 10), Slice(END, 10, 10)]

        sums = add_up(slices, INSTANTS, [(END - 120, END - 60)])

        assert (sums.total, sums.excluded_total, sums.excluded_good) == (20, 10, 0)

    @given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=60))
    def test_is_the_sum_of_its_parts(self, pairs: list[tuple[int, int]]) -> None:
        slices = [Slice(END + 60 * at, min(pair), max(pair)) for at, pair in enumerate(pairs)]

        sums = add_up(slices, INSTANTS)

        assert sums.good == sum(min(pair) for pair in pairs)
        assert sums.total == sum(max(pair) for pair in pairs)
