from datetime import timedelta

import pytest
import time_machine

from incidents.services import lifecycle
from slos import metrics
from slos.services import clocks
from tests.conftest import NOON
from tests.slos.factories import make_slo, measured
from tests.slos.services.test_clocks import OLGA, incident_at_noon, make_sla

pytestmark = pytest.mark.django_db


def rows(name):
    found = {gauge.name: gauge for gauge in metrics.measure()}
    return dict(found[f"chatcli_operator_{name}"].rows)


class TestSLOs:
    def test_shows_value_budget_and_pace(self):
        make_slo(columns=measured())
        labels = ("checkout", "checkout-availability", "default")

        assert rows("slo_current_value") == {labels: pytest.approx(99.9625)}
        assert rows("slo_error_budget_remaining") == {labels: pytest.approx(0.625)}
        assert rows("slo_burn_rate")[(*labels, "6h")] == 1.3
        assert rows("slo_state")[(*labels, "healthy")] == 1

    def test_says_nothing_of_what_is_unknown(self):
        make_slo()

        assert rows("slo_current_value") == {}
        assert rows("slo_error_budget_remaining") == {}

    def test_costs_a_fixed_number_of_queries(self, django_assert_num_queries):
        for number in range(3):
            make_slo(name=f"slo-{number}", columns=measured())

        with django_assert_num_queries(6):
            list(metrics.measure())


class TestSLAs:
    def test_shows_violations_and_compliance(self):
        make_sla()
        late, quick = incident_at_noon(), incident_at_noon(resource_name="other")
        for incident in (late, quick):
            clocks.start(incident=incident, at=NOON)
        lifecycle.acknowledge(incident=quick, actor=OLGA, at=NOON + timedelta(minutes=10))
        clocks.settle(incident=quick, at=NOON + timedelta(minutes=10))
        clocks.advance_due(at=NOON + timedelta(hours=2))

        with time_machine.travel(NOON + timedelta(hours=2)):
            assert rows("sla_compliance_percentage") == {("high",): 50.0}
            assert rows("sla_violations_total") == {("high", "response"): 1}
            assert rows("sla_response_time_seconds") == {("high",): 600}
