from hypothesis import given
from hypothesis import strategies as st

from analytics.models import Grain
from analytics.periods import HOUR, Span, bucket_start, cover, date_of

MOMENT = st.integers(0, 90 * 24 * HOUR)


def test_weeks_begin_on_monday() -> None:
    assert date_of(bucket_start(502_092, Grain.WEEK)).isoweekday() == 1


@given(
    MOMENT,
    MOMENT,
    st.sets(st.integers(0, 90 * 24), max_size=5),
    st.sampled_from([1, 24, 168]),
)
def test_covers_every_second_once(one: int, other: int, outdated: set[int], largest: int) -> None:
    span = Span(min(one, other), max(one, other))

    found = cover(span, outdated=outdated, largest=largest)

    parts = [(start * HOUR, end * HOUR) for _, start, end in found.buckets]
    parts = sorted([*parts, *((raw.lower, raw.upper) for raw in found.raw)])
    ends = [span.lower, *(end for _, end in parts)]
    assert [start for start, _ in parts] == ends[:-1]
    assert ends[-1] == span.upper or span.length == 0


@given(MOMENT, st.sets(st.integers(0, 90 * 24), max_size=5))
def test_leaves_outdated_hours_to_the_raw_rows(upper: int, outdated: set[int]) -> None:
    found = cover(Span(0, upper), outdated=outdated)

    assert not any(start <= hour < end for _, start, end in found.buckets for hour in outdated)


def test_takes_the_largest_buckets() -> None:
    monday = bucket_start(502_092, Grain.WEEK)

    found = cover(Span((monday - 25) * HOUR, (monday + 168) * HOUR + 5))

    assert found.buckets == [
        (Grain.HOUR, monday - 25, monday - 24), (Grain.DAY, monday - 24, monday), (Grain.WEEK, monday, monday + 168),
    ]  # fmt: skip
    assert found.raw == [Span((monday + 168) * HOUR, (monday + 168) * HOUR + 5)]
