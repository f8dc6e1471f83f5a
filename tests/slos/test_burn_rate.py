from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slos import burn_rate
from slos.burn_rate import Reading, Rule

THOUSANDTH = Decimal("0.001")
PAGE = Rule(timedelta(minutes=5), timedelta(hours=1), 14.4, "critical")
BUSY = 10_000.0


def reading(error_rate: float, total: float = BUSY, coverage: float = 1.0) -> Reading:
    return Reading(good=total * (1 - error_rate), total=total, coverage=coverage)


def fires(short: Reading, long: Reading, rule: Rule = PAGE, budget: Decimal = THOUSANDTH, counts: bool = True) -> bool:
    return burn_rate.fires(rule, short=short, long=long, budget=budget, counts_events=counts)


class TestDerive:
    @pytest.mark.parametrize(
        ("days", "factors"),
        [
            (7, [3.36, 1.4, 1, 1]),  # below 1 would alert on normal spending
            (14, [6.72, 2.8, 1.4, 1]),
            (28, [13.44, 5.6, 2.8, 1]),
            (30, [14.4, 6, 3, 1]),
            (90, [43.2, 18, 9, 3]),
        ],
    )
    def test_scales_the_factors_to_the_window(self, days: int, factors: list[float]) -> None:
        rules = burn_rate.derive(timedelta(days=days), THOUSANDTH)

        assert [rule.factor for rule in rules] == pytest.approx(factors)

    @pytest.mark.parametrize("hours", [1, 2, 6, 12, 24, 48, 72, 168])
    def test_looks_back_at_most_half_of_the_window(self, hours: int) -> None:
        rules = burn_rate.derive(timedelta(hours=hours), THOUSANDTH)

        assert rules
        assert all(rule.long * 2 <= timedelta(hours=hours) for rule in rules)
        assert all(rule.factor >= 1 for rule in rules)

    def test_caps_what_could_never_fire(self) -> None:
        rules = burn_rate.derive(timedelta(days=30), Decimal("0.07"))

        assert all(burn_rate.can_fire(rule, Decimal("0.07")) for rule in rules)

    def test_has_pages_and_tickets(self) -> None:
        severities = [rule.severity for rule in burn_rate.derive(timedelta(days=30), THOUSANDTH)]

        assert severities == ["critical", "high", "medium", "low"]


class TestRead:
    def test_takes_what_a_person_wrote(self) -> None:
        stored = [{"severity": "warning", "shortWindow": "30m", "longWindow": "6h", "burnRate": 6}]

        assert burn_rate.read(stored) == [Rule(timedelta(minutes=30), timedelta(hours=6), 6.0, "medium")]


class TestContradicts:
    @pytest.mark.parametrize(
        ("good", "contradicts"), [(1000.9, False), (1001.1, True), (-0.9, False), (-1.1, True), (500, False)]
    )
    def test_bears_counters_that_are_scraped_apart(self, good: float, contradicts: bool) -> None:
        assert burn_rate.contradicts(good, 1000) is contradicts

    def test_takes_a_little_too_much_for_all(self) -> None:
        assert burn_rate.bad_share(1000.9, 1000) == 0
        assert burn_rate.bad_share(-0.9, 1000) == 1


class TestWarnings:
    @pytest.mark.parametrize(("target", "count"), [("0.93", 1), ("0.9306", 0), ("0.95", 0)])
    def test_names_rules_that_no_error_rate_reaches(self, target: str, count: int) -> None:
        assert len(burn_rate.warnings([PAGE], budget=1 - Decimal(target))) == count


class TestFires:
    def test_needs_both_windows(self) -> None:
        assert fires(reading(0.02), reading(0.015))
        assert not fires(reading(0.02), reading(0.009))
        assert not fires(reading(0.009), reading(0.02))

    def test_is_false_at_equality(self) -> None:
        assert not fires(reading(0.0144), reading(0.0144))

    def test_is_silent_about_nothing(self) -> None:
        assert not fires(Reading(0, 0), reading(0.5))

    def test_waits_for_half_of_the_long_window(self) -> None:
        assert not fires(reading(0.5), reading(0.5, coverage=0.49))

    def test_does_not_page_for_a_single_failure(self) -> None:
        assert not fires(reading(1 / 40, total=40), reading(1 / 40, total=40))

    def test_may_open_a_ticket_for_it(self) -> None:
        ticket = Rule(timedelta(hours=2), timedelta(days=1), 3, "medium")

        assert fires(reading(1 / 40, total=40), reading(1 / 40, total=40), ticket)

    def test_counts_no_events_where_there_are_none(self) -> None:
        assert fires(reading(0.5, total=12), reading(0.5, total=60), counts=False)


class TestMinimumEvents:
    def test_is_what_tells_one_failure_from_an_outage(self) -> None:
        assert burn_rate.minimum_events(PAGE, THOUSANDTH) == 70

    def test_has_bounds(self) -> None:
        assert burn_rate.minimum_events(PAGE, Decimal("0.00001")) == 100
        assert burn_rate.minimum_events(PAGE, Decimal("0.05")) == 10

    def test_is_what_a_person_says(self) -> None:
        assert burn_rate.minimum_events(PAGE, THOUSANDTH, wanted=5) == 5


class TestDetectionTime:
    def test_follows_from_the_error_rate(self) -> None:
        rule = Rule(timedelta(minutes=5), timedelta(hours=1), 13.44, "critical")

        assert burn_rate.detection_time(rule, error_rate=0.4, budget=Decimal("0.01")) == timedelta(seconds=1209.6)

    def test_is_never_below_the_threshold(self) -> None:
        assert burn_rate.detection_time(PAGE, error_rate=0.014, budget=THOUSANDTH) is None


class TestBurnRate:
    @given(st.floats(0, 1), st.decimals("0.0001", "0.5", places=4))
    def test_of_a_constant_error_is_error_by_allowed(self, error_rate: float, budget: Decimal) -> None:
        assert burn_rate.burn_rate(error_rate, budget) == pytest.approx(error_rate / float(budget))

    def test_never_divides_by_nothing(self) -> None:
        assert burn_rate.burn_rate(0.0, Decimal(0)) == 0
        assert burn_rate.burn_rate(0.1, Decimal(0)) is None
        assert burn_rate.burn_rate(None, THOUSANDTH) is None


class TestBadShare:
    def test_is_unknown_without_events(self) -> None:
        assert burn_rate.bad_share(0, 0) is None

    def test_clamps_what_scraping_apart_explains(self) -> None:
        assert burn_rate.bad_share(1000.9, 1000) == 0

    def test_is_unknown_when_the_numbers_contradict(self) -> None:
        assert burn_rate.bad_share(1002, 1000) is None
        assert burn_rate.bad_share(-5, 1000) is None

    @given(st.floats(0, 1e9), st.floats(1e-3, 1e9))
    def test_is_a_share_or_unknown(self, good: float, total: float) -> None:
        share = burn_rate.bad_share(good, total)

        assert share is None or 0 <= share <= 1
