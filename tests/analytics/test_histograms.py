from itertools import pairwise

import pytest

from analytics import histograms


class TestBuckets:
    def test_are_exact_below_the_bound(self) -> None:
        for seconds in range(histograms.EXACT_BELOW):
            assert histograms.value_of(histograms.bucket_of(seconds)) == seconds

    @pytest.mark.parametrize("seconds", [*range(128, 40_000, 97), 10**6, 10**7, 3 * 10**8])
    def test_are_no_more_wrong_than_stated(self, seconds: int) -> None:
        value = histograms.value_of(histograms.bucket_of(seconds))

        assert abs(value - seconds) <= seconds * histograms.ERROR

    def test_follow_each_other(self) -> None:
        buckets = [histograms.bucket_of(seconds) for seconds in range(20_000)]

        assert {after - before for before, after in pairwise(buckets)} == {0, 1}


def test_merging_equals_counting_everything_at_once() -> None:
    left, right = [(5, 2), (900, 1)], [(5, 1), (70_000, 4)]

    merged = histograms.merge([histograms.pack(histograms.of(left)), histograms.pack(histograms.of(right))])

    assert merged == histograms.of([*left, *right])
