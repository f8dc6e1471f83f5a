from itertools import pairwise

import pytest

from analytics import histograms


class TestBuckets:
    def test_are_exact_below_the_bound(self) -> None:
        for seconds in range(128):
            assert histograms.value_of(histograms.bucket_of(seconds)) == seconds

    @pytest.mark.parametrize("steps", [histograms.STEPS, histograms.COARSE])
    @pytest.mark.parametrize("seconds", [*range(30, 40_000, 397), 10**6, 10**7, 3 * 10**8])
    def test_are_no_more_wrong_than_stated(self, seconds: int, steps: int) -> None:
        value = histograms.value_of(histograms.bucket_of(seconds, steps), steps)

        assert abs(value - seconds) <= seconds * histograms.error(steps)

    @pytest.mark.parametrize("steps", [histograms.STEPS, histograms.COARSE])
    def test_follow_each_other(self, steps: int) -> None:
        buckets = [histograms.bucket_of(seconds, steps) for seconds in range(20_000)]

        assert {after - before for before, after in pairwise(buckets)} == {0, 1}


def test_merging_equals_counting_everything_at_once() -> None:
    left, right = (histograms.Histogram(map(histograms.bucket_of, seconds)) for seconds in ([5, 5, 900], [5, 70_000]))

    assert histograms.merge([histograms.pack(left), histograms.pack(right)]) == left + right
