from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slos import budget, windows
from slos.budget import Budget, Trend
from slos.windows import Calendar, Window
from tests.conftest import NOON

MONTH = windows.rolling(timedelta(days=30), NOON)
THOUSANDTH = Decimal("0.001")


def spend(error_rate: float, window: Window = MONTH, share: Decimal = THOUSANDTH, adjusted: float = 0.0) -> Budget:
    return budget.spend(window, budget=share, error_rate=error_rate, adjusted=adjusted)


class TestAllowedMinutes:
    @pytest.mark.parametrize(
        ("window", "target", "minutes"),
        [
            ("1h", "99", 0.6),
            ("24h", "99.9", 1.44),
            ("7d", "99.9", 10.08),
            ("14d", "99.5", 100.8),
            ("28d", "99.5", 201.6),
            ("30d", "99.9", 43.2),
            ("30d", "99.95", 21.6),
            ("90d", "99.99", 12.96),
        ],
    )
    def test_is_the_share_of_the_window(self, window: str, target: str, minutes: float) -> None:
        share = 1 - Decimal(target) / 100

        assert budget.allowed_minutes(windows.rolling(windows.parse(window), NOON), share) == minutes


class TestSpend:
    @pytest.mark.parametrize(
        ("window", "target", "error_rate", "consumed"),
        [
            ("30d", "99.9", 0.0005, 0.5),
            ("30d", "99.5", 0.003, 0.6),
            ("28d", "99.5", 35 / (28 * 1440), 0.1736),
            ("30d", "99", 31_000 / 4_000_000, 0.775),
            ("30d", "99", 52_000 / 4_000_000, 1.3),
        ],
    )
    def test_follows_the_worked_examples(self, window: str, target: str, error_rate: float, consumed: float) -> None:
        spent = spend(error_rate, windows.rolling(windows.parse(window), NOON), 1 - Decimal(target) / 100)

        assert spent.consumed_ratio == pytest.approx(consumed, abs=1e-4)

    def test_counts_bad_time_of_a_calendar_period_against_all_of_it(self) -> None:
        window = windows.period(Calendar("month"), datetime(2027, 5, 10, tzinfo=UTC))

        spent = spend(5 / 12960, window, Decimal("0.0005"))

        assert spent.total == pytest.approx(22.32)
        assert spent.remaining_ratio == pytest.approx(0.776, abs=1e-3)
        assert window.ideal_remaining == pytest.approx(0.710, abs=1e-3)

    def test_adds_and_gives_back_minutes(self) -> None:
        assert spend(0.0, adjusted=5).consumed == 5
        assert spend(0.0005, adjusted=-1.6).consumed == pytest.approx(20)

    def test_gives_back_no_more_than_was_spent(self) -> None:
        assert spend(0.0005, adjusted=-100).consumed == 0

    @given(st.floats(0, 1))
    def test_consumed_and_remaining_are_the_total(self, error_rate: float) -> None:
        spent = spend(error_rate)

        assert spent.consumed + spent.remaining == pytest.approx(spent.total)

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_is_monotone(self, one: float, other: float) -> None:
        less, more = sorted((one, other))

        assert spend(less).remaining >= spend(more).remaining

    def test_keeps_overspending(self) -> None:
        assert spend(0.002).remaining == pytest.approx(-43.2)

    def test_of_nothing_is_gone_with_the_first_failure(self) -> None:
        assert not spend(0.0, share=Decimal(0)).is_exhausted
        assert spend(1e-6, share=Decimal(0)).is_exhausted


class TestForecast:
    def test_goes_by_the_pace_of_a_day(self) -> None:
        found = budget.forecast(
            Budget(43.2, 16.2), window=MONTH, burn_rates={"1h": 0.4, "6h": 1.3, "24h": 0.9, "72h": 1.1}
        )

        assert found.days_remaining == pytest.approx(20.83, abs=0.01)
        assert found.trend == Trend.STABLE

    def test_has_an_interval_from_the_fastest_to_the_slowest_pace(self) -> None:
        found = budget.forecast(Budget(43.2, 16.2), window=MONTH, burn_rates={"6h": 2.0, "24h": 1.5, "72h": 1.0})

        assert found.exhaustion is not None
        assert found.earliest is not None
        assert found.latest is not None
        assert found.earliest < found.exhaustion < found.latest

    @pytest.mark.parametrize("pace", [0.0, 0.5, None])
    def test_is_empty_when_the_pace_leaves_some(self, pace: float | None) -> None:
        assert budget.forecast(Budget(43.2, 16.2), window=MONTH, burn_rates={"24h": pace}).exhaustion is None

    def test_is_now_when_nothing_is_left(self) -> None:
        found = budget.forecast(Budget(43.2, 50), window=MONTH, burn_rates={"24h": 0.0})

        assert (found.exhaustion, found.days_remaining) == (NOON, 0.0)

    @pytest.mark.parametrize(("day", "trend"), [(1.3, "deteriorating"), (1.2, "stable"), (0.7, "improving")])
    def test_compares_a_day_with_three(self, day: float, trend: str) -> None:
        assert budget.trend_of(day, 1.0) == trend


class TestStatus:
    @pytest.mark.parametrize(
        ("consumed", "met", "alerts", "status"),
        [
            (10, True, [], "healthy"),
            (10, True, ["fires"], "warning"),
            (10, False, [], "warning"),
            (32.4, True, [], "warning"),
            (43.2, True, [], "breached"),
        ],
    )
    def test_is_that_of_the_contract(self, consumed: float, met: bool, alerts: list[str], status: str) -> None:
        assert budget.status(Budget(43.2, consumed), target_met=met, alerts=alerts) == status

    def test_of_the_unknown_is_a_warning(self) -> None:
        assert budget.status(None, target_met=None, alerts=[]) == "warning"
