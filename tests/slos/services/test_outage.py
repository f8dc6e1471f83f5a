"""Prometheus is away for two hours, or hangs, and comes back."""

import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from slos.models import SLO, MeasurementSource
from slos.services import evaluation
from tests.conftest import NOON
from tests.servers import Answer, Received, http_server
from tests.slos.prometheus import Server
from tests.slos.rows import measured_row

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EMPTY = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'


@pytest.fixture
def own(prometheus: Server, tmp_path: Path) -> Server:
    """A Prometheus over the same series that a test may stop."""
    shutil.copytree(
        prometheus.path / "data", tmp_path / "data", ignore=shutil.ignore_patterns("lock", "wal", "chunks_head")
    )
    return Server(tmp_path)


class TestTwoHoursAway:
    def test_costs_no_measurement_and_counts_none_twice(self, prometheus: Server, own: Server) -> None:
        own.start()
        slo = measured_row(own.url, window="24h", bad_query="burst_total")
        evaluation.evaluate(slos=[slo], at=NOON - HOUR)
        own.stop()
        for minute in range(0, 120, 20):
            evaluation.evaluate(slos=[slo], at=NOON - HOUR + minute * MINUTE)
        own.start()
        try:
            evaluation.evaluate(slos=[slo], at=NOON + HOUR)
        finally:
            own.stop()
        always = measured_row(prometheus.url, name="always", window="24h", bad_query="burst_total")
        evaluation.evaluate(slos=[always], at=NOON + HOUR)

        slo.refresh_from_db()
        always.refresh_from_db()
        assert (slo.good, slo.total, slo.burn_rates) == (always.good, always.total, always.burn_rates)
        lately = [row.hours.filter(hour__gt=NOON - DAY).values_list("hour", "good", "total") for row in (slo, always)]
        assert list(lately[0]) == list(lately[1])

    def test_keeps_what_was_known_for_a_while_and_then_nothing(self, own: Server) -> None:
        own.start()
        slo = measured_row(own.url)
        evaluation.evaluate(slos=[slo], at=NOON)
        own.stop()

        (soon,) = evaluation.evaluate(slos=[slo], at=NOON + 5 * MINUTE)
        (late,) = evaluation.evaluate(slos=[slo], at=NOON + 20 * MINUTE)

        assert soon.current is not None
        assert late.current is None
        assert late.status_reason.startswith("query error: Prometheus cannot be reached")

    def test_is_asked_less_and_less_often(self, own: Server) -> None:
        slo = measured_row(own.url)
        waits = []
        for minute in range(0, 50, 10):
            at = NOON + minute * MINUTE
            evaluation.evaluate(slos=[slo], at=at)
            slo.refresh_from_db()
            assert slo.due_at is not None
            waits.append((slo.due_at - at).total_seconds())

        assert waits == [30, 60, 120, 240, 300]

    def test_is_forgotten_when_it_is_back(self, own: Server) -> None:
        slo = measured_row(own.url)
        evaluation.evaluate(slos=[slo], at=NOON)
        own.start()
        try:
            evaluation.evaluate(slos=[slo], at=NOON + MINUTE)
        finally:
            own.stop()

        assert MeasurementSource.objects.get().failures == 0


class TestOneThatHangs:
    def test_keeps_nobody_else_waiting(self, prometheus: Server) -> None:
        release = threading.Event()
        with http_server(Answer(status=503, hang=release)) as deaf:
            for number in range(20):
                measured_row(deaf.url if number % 2 else prometheus.url, name=f"slo-{number}", bad_query="never_total")
            threading.Timer(2.0, release.set).start()

            evaluation.evaluate_due(at=NOON)

        assert SLO.objects.filter(current__isnull=False).count() == 10
        # as many as are asked at a time were tried, the others were not
        assert len(deaf.received) <= evaluation.PER_SOURCE

    def test_is_not_taken_for_its_server_when_that_answers_others(self) -> None:
        def choose(request: Received) -> Answer:
            return Answer(status=503) if b"heavy" in request.body else Answer(body=EMPTY)

        with http_server(choose=choose) as server:
            heavy = measured_row(server.url, name="heavy", total_query="heavy_total")
            light = [measured_row(server.url, name=f"light-{number}") for number in range(6)]

            evaluation.evaluate_due(at=NOON)

        assert MeasurementSource.objects.get().failures == 0
        heavy.refresh_from_db()
        assert heavy.status_reason == "query error: HTTP 503"
        assert {SLO.objects.get(pk=slo.pk).status_reason for slo in light} == {"no data"}

    def test_is_tried_with_another_question_each_time(self) -> None:
        with http_server(Answer(status=503)) as server:
            for number in range(3):
                measured_row(server.url, name=f"slo-{number}", total_query=f"total_{number}")
            evaluation.evaluate(slos=SLO.objects.all(), at=NOON)
            server.received.clear()
            for hour in (1, 2, 3):
                evaluation.evaluate(slos=SLO.objects.all(), at=NOON + hour * HOUR)

        assert len({request.body for request in server.received}) == 3
