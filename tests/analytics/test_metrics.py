from datetime import timedelta

import pytest

from analytics.metrics import change, mean, nearest_rank, percent, success_interval, survival_median


@pytest.mark.parametrize(("percentile", "value"), [(50, 3), (95, 9), (99, 9), (20, 1), (21, 2)])
def test_percentiles_are_those_of_the_nearest_rank(percentile: float, value: int) -> None:
    assert nearest_rank({1: 1, 2: 1, 3: 1, 4: 1, 9: 1}, percentile) == value


def test_no_values_have_no_mean_and_no_percentile() -> None:
    assert mean(0, 0) == timedelta()
    assert nearest_rank({}, 50) == 0
    assert percent(0, 0) == 0.0


class TestSurvivalMedian:
    def test_is_the_median_when_everything_ended(self) -> None:
        assert survival_median({10: 1, 20: 1, 30: 1, 40: 1}, {}) == 20

    def test_counts_the_open_ones_as_long_as_they_were_seen(self) -> None:
        # 5 at risk: after 10 s 4/5 are left, after 20 s 4/5 * 2/3 (one was lost at 15 s), after 30 s half of that
        assert survival_median({10: 1, 20: 1, 30: 1}, {15: 1, 99: 1}) == 30

    def test_is_unknown_while_most_are_open(self) -> None:
        assert survival_median({10: 1}, {50: 3}) is None
        assert survival_median({}, {}) is None


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (8, 10, "-20%"),
        (105, 100, "+5%"),
        (10, 10, "0%"),
        (0, 10, "-100%"),
        (1, 0, None),
        (None, 5, None),
        (1.006, 1, "+1%"),
    ],
)
def test_changes_are_signed_percent_strings(now: float | None, before: float | None, text: str | None) -> None:
    assert change(now, before) == text


def test_a_few_successes_prove_little() -> None:
    assert success_interval(3, 3) == (0.439, 1.0)
    assert success_interval(0, 0) is None
