"""The history of a budget adds up to what is consumed, whatever it is cut into."""

from datetime import timedelta

import pytest

from slos.services import evaluation, reports
from tests.conftest import NOON
from tests.slos.prometheus import Server
from tests.slos.rows import measured_row

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


class TestBudgetHistory:
    @pytest.mark.parametrize("granularity", reports.Granularity.values)
    @pytest.mark.parametrize("window", ["6h", "24h", "7d"])
    def test_adds_up_to_what_is_consumed(self, prometheus: Server, window: str, granularity: str) -> None:
        # noon and eight minutes lies inside a slice, half past eight inside the first hour of the week
        at = NOON + 8 * MINUTE
        row = measured_row(prometheus.url, window=window, bad_query="sum(errors_total) + sum(burst_total)")
        (slo,) = evaluation.evaluate(slos=[row], at=at)

        entries = reports.budget_history(slo, granularity, at)

        assert sum(entry.consumed for entry in entries) == pytest.approx(slo.budget_consumed, abs=0.01)
        assert entries[0].cumulative == pytest.approx(slo.budget_consumed, abs=0.001)
        assert entries[-1].cumulative == pytest.approx(entries[-1].consumed, abs=0.01)

    def test_counts_minutes_where_they_were_spent(self, prometheus: Server) -> None:
        at = NOON + 8 * MINUTE
        row = measured_row(prometheus.url, window="24h", bad_query="burst_total", total_query="sum(requests_total)")
        (slo,) = evaluation.evaluate(slos=[row], at=at)

        spent = {str(entry.date): entry.consumed for entry in reports.budget_history(slo, "daily", at)}

        assert spent == {"2027-04-12": pytest.approx(slo.budget_consumed, abs=0.001), "2027-04-11": 0}
