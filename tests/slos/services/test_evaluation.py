from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from slos import objectives
from slos.models import SLO, DailyHistory, HourlyHistory
from slos.services import evaluation
from tests.conftest import NOON
from tests.factories import make_cluster
from tests.servers import Answer, http_server
from tests.slos.prometheus import Server
from tests.slos.rows import measured_row, slo_row

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def measure(server: Server, **overrides: Any) -> SLO:
    (found,) = evaluation.evaluate(slos=[measured_row(server.url, **overrides)], at=NOON)
    return found


class TestEvaluate:
    def test_counts_good_and_bad_events(self, prometheus: Server) -> None:
        slo = measure(prometheus)

        assert slo.current == pytest.approx(99.8, abs=1e-6)
        assert slo.budget_total == pytest.approx(43.2)
        assert slo.budget_consumed == pytest.approx(86.4, abs=0.01)
        assert slo.budget_remaining == pytest.approx(-43.2, abs=0.01)
        assert (slo.status, slo.target_met, slo.status_reason) == ("breached", False, "")

    def test_counts_good_events_as_well(self, prometheus: Server) -> None:
        slo = measure(prometheus, bad_query="", good_query="requests_total - errors_total")

        assert slo.current == pytest.approx(99.8, abs=1e-6)

    @pytest.mark.parametrize("window", ["1h", "6h", "24h", "72h", "7d", "28d", "30d", "90d"])
    def test_of_a_constant_error_is_the_same_in_every_window(self, prometheus: Server, window: str) -> None:
        slo = measure(prometheus, window=window)

        assert slo.sli == pytest.approx(0.998, abs=1e-6)
        assert {
            name: pytest.approx(2, abs=1e-3) for name in ("1h", "6h", "24h", "72h")
        }.items() <= slo.burn_rates.items()

    def test_bears_counters_that_restart(self, prometheus: Server) -> None:
        slo = measure(prometheus, total_query="resetting_total", window="24h", bad_query="morning_total")

        assert slo.total == pytest.approx(24 * 36_000, rel=0.005)
        assert slo.current == pytest.approx(100 - 100 * 1800 / (24 * 36_000), abs=0.005)

    def test_leaves_a_gap_out(self, prometheus: Server) -> None:
        slo = measure(prometheus, total_query="gap_total", bad_query="errors_total", window="6h")

        assert slo.coverage == pytest.approx(5 / 6, abs=0.02)
        assert slo.current == pytest.approx(99.8, abs=0.01)

    def test_names_the_buckets_next_to_one_that_is_missing(self, prometheus: Server) -> None:
        slo = measure(
            prometheus,
            total_query="request_seconds_count",
            bad_query="",
            good_query='request_seconds_bucket{le="0.25"}',
        )

        assert slo.current is None
        assert slo.status_reason == ("query error: The histogram has no bucket le=0.25; the nearest ones are 0.1, 0.3")

    def test_asks_for_the_labels_it_is_to_match(self, prometheus: Server) -> None:
        slo = measure(prometheus, total_query="twice_total", bad_query="never_total", match_labels={"job": "b"})

        assert slo.total == pytest.approx(20 * 3600, rel=0.01)  # of one job, not of both

    @pytest.mark.parametrize(
        ("own_server", "labels"), [(False, {"job": "a", "namespace": "shop"}), (True, {"namespace": "shop"})]
    )
    def test_takes_the_labels_of_its_cluster(self, own_server: bool, labels: dict[str, str]) -> None:
        cluster = make_cluster(
            prometheus_url="http://x", labels={"prometheus/job": "a", "tier": "b", "prometheus/": "c"}
        )
        slo = slo_row(
            cluster=cluster, match_labels={"namespace": "shop"}, prometheus_url="http://y" if own_server else ""
        )

        assert objectives.match_labels(slo) == labels

    def test_takes_missing_errors_for_none(self, prometheus: Server) -> None:
        assert measure(prometheus, bad_query="never_total").current == 100

    def test_takes_missing_good_events_for_none(self, prometheus: Server) -> None:
        assert measure(prometheus, bad_query="", good_query="never_total").current == 0

    def test_reads_a_ratio(self, prometheus: Server) -> None:
        query = "1 - sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))"

        assert measure(prometheus, bad_query="", total_query="", query=query).current == pytest.approx(99.8, abs=1e-6)

    def test_reads_a_percentage(self, prometheus: Server) -> None:
        query = "(1 - sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))) * 100"

        assert measure(prometheus, bad_query="", total_query="", query=query).current == pytest.approx(99.8, abs=1e-6)

    def test_reads_an_error_rate(self, prometheus: Server) -> None:
        slo = measure(prometheus, type="error_rate", target=Decimal(1))

        assert slo.current == pytest.approx(0.2, abs=1e-6)
        assert slo.target_met
        assert slo.budget_total == 432

    def test_reads_a_threshold(self, prometheus: Server) -> None:
        slo = measure(
            prometheus,
            bad_query="",
            total_query="",
            query="sum(rate(requests_total[5m]))",
            threshold_op="gte",
            threshold_value=9.0,
            type="throughput",
        )

        assert slo.current == 100


class TestLatency:
    def test_counts_the_bucket_and_shows_the_percentile(self, prometheus: Server) -> None:
        slo = measure(
            prometheus,
            type="latency",
            target=Decimal(300),
            target_unit="ms",
            latency_percentile=Decimal(99),
            bad_query="",
            good_query='sum(rate(request_seconds_bucket{le="0.3"}[5m]))',
            total_query="sum(rate(request_seconds_count[5m]))",
        )

        assert slo.sli == pytest.approx(0.995, abs=1e-6)
        assert slo.current == pytest.approx(297.98, abs=0.1)
        assert slo.target_met
        assert slo.budget_total == pytest.approx(432)
        assert slo.budget_consumed == pytest.approx(216, abs=0.1)

    def test_judges_a_percentile_minute_by_minute(self, prometheus: Server) -> None:
        slo = measure(
            prometheus,
            type="latency",
            target=Decimal(250),
            target_unit="ms",
            bad_query="",
            total_query="",
            query="histogram_quantile(0.99, sum by (le) (rate(request_seconds_bucket[5m])))",
        )

        assert slo.current == pytest.approx(297.98, abs=0.1)
        assert slo.sli == 0
        assert not slo.target_met


class TestMethods:
    def test_cuts_time_into_good_and_bad_slices(self, prometheus: Server) -> None:
        slo = measure(
            prometheus,
            budgeting_method="Timeslices",
            slice_seconds=300,
            slice_target=Decimal("0.96"),
            bad_query="morning_total",
            window="24h",
            target=Decimal(99),
        )

        # an hour of 288 slices of five minutes is bad, give or take the one at its edge
        assert slo.sli == pytest.approx(1 - 12 / 288, abs=1.1 / 288)
        assert slo.total == 288

    def test_weighs_every_slice_alike(self, prometheus: Server) -> None:
        slo = measure(
            prometheus, budgeting_method="RatioTimeslices", slice_seconds=300, bad_query="morning_total", window="24h"
        )

        assert slo.sli == pytest.approx(1 - 0.05 / 24, abs=1e-4)


class TestUnmeasurable:
    @pytest.mark.parametrize(
        ("overrides", "reason"),
        [
            ({"total_query": "idle_total", "bad_query": "idle_total"}, "no data"),
            ({"total_query": "never_total"}, "no data"),
            ({"total_query": "ended_total"}, "no data"),
            ({"total_query": "errors_total", "good_query": "requests_total", "bad_query": ""}, "more good than total"),
            ({"total_query": "rate(twice_total[5m])"}, "query error: The query gives 2 series instead of one"),
        ],
    )
    def test_is_unknown_and_never_good(self, prometheus: Server, overrides: dict[str, str], reason: str) -> None:
        slo = measure(prometheus, **overrides)

        assert slo.status_reason.startswith(reason)
        assert (slo.current, slo.sli, slo.target_met, slo.budget_consumed) == (None, None, None, None)
        assert slo.status == "warning"
        assert slo.burn_rates == {}

    def test_says_when_the_numbers_contradict(self, prometheus: Server) -> None:
        assert measure(prometheus, total_query="errors_total", good_query="requests_total", bad_query="").invalid

    def test_says_what_the_server_said(self) -> None:
        refusal = b'{"status":"error","errorType":"bad_data","error":"unknown function"}'
        with http_server(Answer(status=400, body=refusal)) as server:
            (slo,) = evaluation.evaluate(slos=[measured_row(server.url)], at=NOON)

        assert slo.status_reason == "query error: unknown function"
        assert slo.current is None

    def test_needs_an_address(self) -> None:
        (slo,) = evaluation.evaluate(slos=[slo_row(source="prometheus", query="up")], at=NOON)

        assert "no Prometheus is named" in slo.status_reason

    def test_knows_no_latency_of_incidents(self) -> None:
        (slo,) = evaluation.evaluate(slos=[slo_row(type="latency", target=Decimal(300))], at=NOON)

        assert slo.status_reason == "no query says the latency"


class TestCalendar:
    def test_counts_what_has_elapsed_against_the_whole_period(self, prometheus: Server) -> None:
        slo = measure(prometheus, calendar_unit="day", window="24h", time_zone="America/New_York")

        # it is 07:59 there; two of a thousand failed since midnight
        assert slo.window_start == NOON.replace(hour=4)
        assert slo.window_end == NOON.replace(hour=4) + timedelta(days=1)
        assert slo.budget_total == pytest.approx(1.44)
        assert slo.budget_consumed == pytest.approx(479 * 0.002, abs=0.01)

    def test_burns_across_the_boundary(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, calendar_unit="day", window="24h", time_zone="Etc/GMT-12")

        (found,) = evaluation.evaluate(slos=[slo], at=NOON + 2 * MINUTE)

        # the day there is a minute old, the alerts still look back over three
        assert found.burn_rates["24h"] == pytest.approx(2, abs=1e-3)


class TestBrokenDefinition:
    def test_is_told_and_harms_nobody_else(self, prometheus: Server) -> None:
        broken = measured_row(prometheus.url, name="broken", window="soon")
        odd = measured_row(prometheus.url, name="odd", burn_rate_rules=[{"severity": "high"}])
        fine = measured_row(prometheus.url)

        evaluation.evaluate_due(at=NOON)

        for slo in (broken, odd, fine):
            slo.refresh_from_db()
        assert broken.status_reason.startswith("the definition is not valid")
        assert odd.status_reason.startswith("the definition is not valid")
        assert broken.due_at == NOON + MINUTE
        assert fine.current is not None


class TestRepetition:
    def test_changes_nothing(self, prometheus: Server) -> None:
        first = measure(prometheus)
        before = list(HourlyHistory.objects.order_by("hour").values_list("hour", "good", "total", "slices"))

        (again,) = evaluation.evaluate(slos=[first], at=NOON + timedelta(seconds=20))

        assert again.total == first.total
        assert list(HourlyHistory.objects.order_by("hour").values_list("hour", "good", "total", "slices")) == before

    def test_minute_by_minute_finds_what_one_look_finds(self, prometheus: Server) -> None:
        steady = measured_row(prometheus.url, window="24h")
        for minute in range(0, 31, 3):
            evaluation.evaluate(slos=[steady], at=NOON + minute * MINUTE)
        once = measured_row(prometheus.url, window="24h", name="once")
        evaluation.evaluate(slos=[once], at=NOON + 30 * MINUTE)

        sums = [SLO.objects.get(pk=slo.pk).total for slo in (steady, once)]

        assert sums[0] == sums[1]

    def test_adds_days_up_from_hours(self, prometheus: Server) -> None:
        measure(prometheus)

        assert sum(DailyHistory.objects.values_list("total", flat=True)) == pytest.approx(
            sum(HourlyHistory.objects.values_list("total", flat=True))
        )


class TestEvaluateDue:
    def test_takes_what_is_due(self, prometheus: Server) -> None:
        due = measured_row(prometheus.url)
        later = measured_row(prometheus.url, name="later", due_at=NOON + MINUTE)
        off = measured_row(prometheus.url, name="off", enabled=False)

        assert evaluation.evaluate_due(at=NOON) == 1

        measured = SLO.objects.exclude(evaluated_at=None).values_list("pk", flat=True)
        assert set(measured) == {due.pk} and not {later.pk, off.pk} & set(measured)

    def test_makes_it_due_again_in_its_own_phase(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url, due_at=NOON - timedelta(seconds=150))

        evaluation.evaluate_due(at=NOON)

        slo.refresh_from_db()
        assert slo.due_at == NOON + timedelta(seconds=30)
        assert slo.lease_until is None

    def test_leaves_what_another_worker_holds(self, prometheus: Server) -> None:
        measured_row(prometheus.url, lease_until=NOON + MINUTE)

        assert evaluation.evaluate_due(at=NOON) == 0

    def test_does_not_count_evaluations_as_changes(self, prometheus: Server) -> None:
        slo = measured_row(prometheus.url)

        evaluation.evaluate_due(at=NOON)

        slo.refresh_from_db()
        assert slo.version == 1

    @pytest.mark.django_db
    def test_needs_few_statements(self, prometheus: Server, django_assert_max_num_queries: Any) -> None:
        for number in range(10):
            measured_row(prometheus.url, name=f"slo-{number}", bad_query="never_total")

        # some thirty for the batch, and one row each
        with django_assert_max_num_queries(60):
            evaluation.evaluate_due(at=NOON)


class TestCoverage:
    def test_counts_from_the_first_sample(self, prometheus: Server) -> None:
        slo = measure(prometheus, total_query="few_total", bad_query="never_total")

        assert slo.coverage == pytest.approx(1, abs=0.01)

    def test_judges_nothing_by_less_than_half(self, prometheus: Server) -> None:
        slo = measured_row(
            prometheus.url, total_query="few_total", bad_query="never_total", measured_since=NOON - timedelta(days=20)
        )

        (found,) = evaluation.evaluate(slos=[slo], at=NOON)

        assert (found.current, found.status_reason) == (None, "insufficient data")
