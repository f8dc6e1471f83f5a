import pytest

from analytics.capacity import direction, exhaustion, fit


def line(
    slope: float, count: int, *, start: float = 50.0, noise: tuple[float, ...] = (0.0,)
) -> tuple[tuple[float, float], ...]:
    return tuple((float(day), start + slope * day + noise[day % len(noise)]) for day in range(count))


def test_two_points_are_no_trend() -> None:
    assert fit(line(1, 2)) is None
    assert fit(()) is None


def test_finds_the_slope_and_the_day_it_is_full() -> None:
    found = fit(line(2, 10))

    assert found is not None
    assert (found.slope, found.level) == (2.0, 68.0)
    assert exhaustion(found).days == 16.0


def test_one_outlier_changes_nothing() -> None:
    points = list(line(1, 20))
    points[7] = (7.0, 500.0)

    found = fit(tuple(points))

    assert found is not None
    assert found.slope == pytest.approx(1, abs=0.05)


def test_takes_the_week_out() -> None:
    weekend = (0.0, 0.0, 0.0, 0.0, 0.0, -20.0, -20.0)

    found = fit(line(0.5, 28, noise=weekend), since=21.0)

    assert found is not None
    assert found.slope == pytest.approx(0.5, abs=0.01)
    assert found.error == pytest.approx(0, abs=0.1)


def test_what_is_flat_is_never_full() -> None:
    found = fit(line(0, 10))

    assert found is not None
    assert exhaustion(found).days is None


@pytest.mark.parametrize(
    ("slopes", "word"), [([0.1, 1.3], "increasing"), ([0.2, -0.4], "stable"), ([-2.0, 0.0], "decreasing")]
)
def test_says_where_it_goes(slopes: list[float], word: str) -> None:
    assert direction(slopes) == word


def test_the_interval_holds_the_true_slope_and_the_dates() -> None:
    """Sen's interval by hand: of the 45 slopes between 10 points the 12th and the 34th in order."""
    values = [50.0, 52.5, 53.0, 57.0, 57.5, 60.5, 61.0, 65.0, 66.0, 67.5]
    points = tuple((float(day), value) for day, value in enumerate(values))
    slopes = sorted(
        (values[later] - values[earlier]) / (later - earlier)
        for earlier in range(10)
        for later in range(earlier + 1, 10)
    )

    found = fit(points)

    assert found is not None
    assert found.slope == slopes[22]
    assert (found.low, found.high) == (slopes[12], slopes[34])
    end = exhaustion(found)
    assert end.earliest is not None
    assert end.days is not None
    assert end.latest is not None
    assert end.earliest < end.days < end.latest
    assert end.days == pytest.approx((100 - found.level) / found.slope)


def test_the_back_test_tells_how_wrong_an_earlier_forecast_was() -> None:
    """Fifteen days of growth, then five of none: a line through the first fifteen would have been 1 to 5 points too high."""
    points = tuple((float(day), 50.0 + min(day, 14)) for day in range(20))

    found = fit(points)

    assert found is not None
    assert found.error == pytest.approx((1 + 2 + 3 + 4 + 5) / 5)


def test_too_short_a_series_is_not_tested() -> None:
    found = fit(line(1, 3))

    assert found is not None
    assert found.error is None
