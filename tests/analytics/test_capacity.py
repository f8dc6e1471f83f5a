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
