import pytest

from aiops import documents as yaml
from slos import definitions, documents
from slos.models import SLO

DOCUMENT = """\
version: "prometheus/v1"
service: checkout
labels: {owner: payments}
slos:
  - name: availability
    objective: 99.9
    description: Carts become orders
    labels: {category: requests}
    sli:
      events:
        error_query: sum(rate(http_requests_total{code=~"5.."}[{{.window}}]))
        total_query: sum(rate(http_requests_total[{{.window}}]))
    alerting:
      name: CheckoutErrors
      page_alert: {labels: {severity: page}}
      ticket_alert: {disable: true}
  - name: freshness
    objective: 95
    sli:
      raw: {error_ratio_query: avg(stale_ratio)}
"""


def read(text):
    return documents.read(yaml.read(text))


def columns_of(candidate):
    assert not candidate.problem, candidate.problem
    return definitions.check(definitions.read(candidate.body))


class TestRead:
    def test_takes_every_slo_of_the_service(self):
        candidates = read(DOCUMENT)

        assert [candidate.name for candidate in candidates] == ["checkout-availability", "checkout-freshness"]

    def test_takes_events_with_their_placeholder(self):
        columns = columns_of(read(DOCUMENT)[0])

        assert columns["bad_query"] == 'sum(rate(http_requests_total{code=~"5.."}[{{.window}}]))'
        assert columns["labels"] == {"owner": "payments", "category": "requests"}
        assert (columns["window"], float(columns["target"])) == ("30d", 99.9)

    def test_takes_a_ready_ratio_of_errors(self):
        columns = columns_of(read(DOCUMENT)[1])

        assert (columns["query"], columns["raw_type"]) == ("avg(stale_ratio)", "failure")

    def test_keeps_the_rules_that_are_not_disabled(self):
        availability, freshness = (columns_of(candidate) for candidate in read(DOCUMENT))

        assert [rule["longWindow"] for rule in availability["burn_rate_rules"]] == ["1h", "6h"]
        assert freshness["burn_rate_rules"] == []

    @pytest.mark.parametrize(
        ("old", "new", "path"),
        [
            ("service: checkout", "team: checkout", "team"),
            ("objective: 99.9", "objective: 100", "slos[0].objective"),
            ("      events:\n", "      plugin:\n", "slos[0].sli.plugin"),
            ("error_query:", "errors:", "slos[0].sli.events.errors"),
        ],
    )
    def test_names_the_place_of_what_it_refuses(self, old, new, path):
        assert read(DOCUMENT.replace(old, new))[0].problem.startswith(f"{path}:")

    def test_can_be_written_as_openslo(self):
        columns = columns_of(read(DOCUMENT)[0])
        columns.pop("cluster")
        slo = SLO(**columns)

        [again] = read(documents.export(slo))

        assert columns_of(again) | {"cluster": None} == columns_of(read(DOCUMENT)[0]) | {"cluster": None}
