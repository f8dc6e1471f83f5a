from datetime import timedelta

import pytest

from analytics.periods import seconds_of
from analytics.services.questions import Question
from analytics.services.reading import Where
from analytics.services.reports.base import days, filters, mean, nearest_rank, percent
from analytics.windows import span_until
from tests.conftest import NOON

WEEK = Question(span=span_until(NOON, "7d"), at=NOON, where=Where(namespaces=frozenset({"shop", "harbor"})))


class TestMeans:
    def test_of_nothing_are_unknown(self) -> None:
        assert mean(0, 0) is percent(0, 0) is nearest_rank({}, 0.5) is None

    def test_are_rounded_to_a_decimal(self) -> None:
        assert (mean(100, 3), percent(2, 3)) == (33.3, 66.7)

    @pytest.mark.parametrize(("share", "value"), [(0.5, 20), (0.51, 30), (0.75, 30), (0.95, 40), (1.0, 40)])
    def test_percentiles_are_by_nearest_rank(self, share: float, value: int) -> None:
        assert nearest_rank({40: 1, 10: 1, 20: 1, 30: 1}, share) == value


class TestQuestion:
    def test_last_second_belongs_to_the_span(self) -> None:
        assert (WEEK.since, WEEK.until) == (NOON - timedelta(days=7), NOON)
        assert WEEK.span.upper == seconds_of(NOON) + 1

    def test_touches_every_day_of_the_span(self) -> None:
        found = days(WEEK)

        assert (len(found), found[0], found[-1]) == (8, (NOON - timedelta(days=7)).date(), NOON.date())

    def test_says_what_was_left_out(self) -> None:
        assert filters(WEEK) == {"namespace": "harbor, shop"}
