"""Documents of our own; what others publish has the same shapes."""

from copy import deepcopy

import pytest

from aiops import documents as yaml
from aiops.errors import Invalid
from slos import definitions, documents
from slos.models import SLO

RATIO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout-availability
  displayName: Buying works
  labels:
    tier: gold
    team: [payments, web]
  annotations:
    wiki: https://wiki.example/slo
spec:
  description: Carts become orders
  service: checkout
  indicator:
    metadata:
      name: checkout-requests
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource:
            type: Prometheus
            spec:
              query: sum(http_requests_total{code!~"5.."})
        total:
          metricSource:
            type: Prometheus
            spec:
              query: sum(http_requests_total)
  timeWindow:
    - duration: 4w
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - displayName: Good
      target: 0.9995
"""
THRESHOLD = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: queue-age}
spec:
  service: queue
  indicator:
    metadata: {name: queue-age}
    spec:
      thresholdMetric:
        metricSource: {type: Prometheus, spec: {query: max(queue_age_seconds)}}
  timeWindow:
    - duration: 1M
      isRolling: false
      calendar: {startTime: 2027-01-01 00:00:00, timeZone: Europe/Berlin}
  budgetingMethod: Timeslices
  objectives:
    - {op: lt, value: 30, targetPercent: 99, timeSliceTarget: 0.9, timeSliceWindow: 5m}
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: fast}
      spec:
        conditions:
          - kind: AlertCondition
            metadata: {name: burning}
            spec:
              severity: page
              condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h, alertAfter: 0m}
        notificationTargets: [{targetRef: pager}]
"""
# what Prometheus knows nothing of, and what other readers only warn of
LOGS = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: Batch_Speed
  labels:
    tier: [gold]
spec:
  service: batch
  indicator:
    metadata: {name: batch-speed}
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource:
            type: acme-logs
            metricSourceRef: acme
            spec:
              query: |
                _category=batch
                  | where ms < 400
              timezone: UTC
        total:
          metricSource:
            type: acme-logs
            metricSourceRef: acme
            spec:
              query: _category=batch
  timeWindow:
    - duration: 7d
      isRolling: true
      calendar: {timeZone: America/New_York}
  budgetingMethod: Occurrences
  objectives:
    - target: 0.98
  alertPolicies:
    - Burns-Fast
"""


def only(text):
    [candidate] = documents.read(yaml.read(text))
    return candidate


def changed(**spec):
    """The ratio document with other members in its spec."""
    content = deepcopy(yaml.read(RATIO)[0].content)
    content["spec"] |= spec
    return yaml.write(content)


def stored(candidate):
    """The SLO that an import would make, unsaved."""
    assert not candidate.problem, candidate.problem
    columns = definitions.check(definitions.read(candidate.body))
    columns.pop("cluster")
    return SLO(**columns, imported=candidate.imported)


class TestRead:
    def test_takes_a_ratio(self):
        slo = stored(only(RATIO))

        assert (slo.name, slo.service, slo.type, slo.source) == (
            "checkout-availability",
            "checkout",
            "availability",
            "prometheus",
        )
        assert str(slo.target.normalize()) == "99.95"
        assert slo.window == "28d"
        assert slo.good_query == 'sum(http_requests_total{code!~"5.."})'
        assert slo.labels == {"tier": "gold", "team": "payments,web"}

    def test_samples_what_is_no_counter(self):
        text = RATIO.replace("counter: true", "counter: false").replace("(http_requests_total)", "(rate(all[5m]))")

        slo = stored(only(text))

        assert slo.good_query == 'sum_over_time((sum(http_requests_total{code!~"5.."}))[{{.window}}:1m])'
        assert slo.total_query == "sum(rate(all[5m]))"

    def test_takes_a_threshold_in_calendar_months(self):
        slo = stored(only(THRESHOLD))

        assert (slo.query, slo.threshold_op, slo.threshold_value) == ("max(queue_age_seconds)", "lt", 30)
        assert (slo.calendar_unit, slo.calendar_count, slo.time_zone) == ("month", 1, "Europe/Berlin")
        assert slo.calendar_start == "2027-01-01 00:00:00"
        assert (slo.budgeting_method, slo.slice_seconds, float(slo.slice_target)) == ("Timeslices", 300, 0.9)
        assert slo.burn_rate_rules == [
            {"severity": "critical", "shortWindow": "5m", "longWindow": "1h", "burnRate": 14.4}
        ]

    def test_takes_a_ready_ratio_of_failures(self):
        raw = {"raw": {"metricSource": {"spec": {"query": "avg(errors_ratio)"}}}, "rawType": "failure"}
        slo = stored(only(changed(indicator={"metadata": {"name": "x"}, "spec": {"ratioMetric": raw}})))

        assert (slo.query, slo.raw_type) == ("avg(errors_ratio)", "failure")

    @pytest.mark.parametrize(
        ("duration", "window"),
        [("60m", "1h"), ("12h", "12h"), ("7d", "7d"), ("2w", "14d"), ("1M", "30d"), ("1Q", "90d"), ("1Y", "365d")],
    )
    def test_knows_the_units_of_windows(self, duration, window):
        assert stored(only(changed(timeWindow=[{"duration": duration, "isRolling": True}]))).window == window

    def test_resolves_references_across_documents(self):
        referring = changed(indicator=None, indicatorRef="requests", alertPolicies=[{"alertPolicyRef": "fast"}])
        sli = {
            "apiVersion": "openslo/v1",
            "kind": "SLI",
            "metadata": {"name": "requests"},
            "spec": {
                "ratioMetric": {
                    "bad": {"metricSource": {"metricSourceRef": "main", "spec": {"query": "errors_total"}}},
                    "total": {"metricSource": {"metricSourceRef": "main", "spec": {"query": "requests_total"}}},
                }
            },
        }
        source = {
            "apiVersion": "openslo/v1",
            "kind": "DataSource",
            "metadata": {"name": "main"},
            "spec": {"type": "Prometheus", "connectionDetails": {"url": "http://prometheus.example:9090"}},
        }
        policy = {
            "apiVersion": "openslo/v1",
            "kind": "AlertPolicy",
            "metadata": {"name": "fast"},
            "spec": {"conditions": [{"conditionRef": "burning"}]},
        }
        condition = {
            "apiVersion": "openslo/v1",
            "kind": "AlertCondition",
            "metadata": {"name": "burning"},
            "spec": {
                "severity": "ticket",
                "condition": {"kind": "burnrate", "op": "gte", "threshold": 3, "lookbackWindow": "1d"},
            },
        }
        parts = yaml.write([sli, source, policy, condition])

        slo = stored(only(f"{parts}\n---\n{referring}"))

        assert (slo.bad_query, slo.total_query) == ("errors_total", "requests_total")
        assert slo.prometheus_url == "http://prometheus.example:9090"
        assert slo.burn_rate_rules == [{"severity": "medium", "shortWindow": "2h", "longWindow": "24h", "burnRate": 3}]

    def test_makes_an_slo_of_each_objective(self):
        names = [
            candidate.name
            for candidate in documents.read(yaml.read(changed(objectives=[{"target": 0.99}, {"target": 0.999}])))
        ]

        assert names == ["checkout-availability-1", "checkout-availability-2"]

    def test_only_warns_of_what_is_superfluous(self):
        candidate = only(
            changed(
                timeWindow=[{"duration": "7d", "isRolling": True, "calendar": {"timeZone": "Europe/Berlin"}}],
                objectives=[{"target": 0.99, "op": "gt"}],
                alertPolicies=["fast"],
            )
        )

        assert not candidate.problem
        assert len(candidate.warnings) == 3

    @pytest.mark.parametrize(
        ("spec", "path"),
        [
            ({"service": None}, "spec.service"),
            ({"indicatorRef": "requests"}, "spec.indicator"),
            ({"indicator": None, "indicatorRef": "nothing"}, "spec.indicatorRef"),
            ({"indicator": {"metadata": {"name": "x"}, "spec": {}}}, "spec.indicator.spec"),
            ({"timeWindow": [{"duration": "4 weeks"}]}, "spec.timeWindow[0].duration"),
            ({"timeWindow": [{"duration": "1d"}, {"duration": "2d"}]}, "spec.timeWindow"),
            ({"budgetingMethod": "Errors"}, "spec.budgetingMethod"),
            ({"budgetingMethod": "Timeslices"}, "spec.objectives[0].timeSliceWindow"),
            ({"objectives": []}, "spec.objectives"),
            ({"objectives": [{"target": 99.9}]}, "spec.objectives[0].target"),
            ({"objectives": [{"target": 1}]}, "spec.objectives[0].target"),
            ({"objectives": [{"target": 0.9, "targetPercent": 90}]}, "spec.objectives[0].target"),
            ({"objectives": [{"target": 0.9, "compositeWeight": 1}]}, "spec.objectives[0].compositeWeight"),
            ({"objectives": [{"target": 0.9, "goal": 1}]}, "spec.objectives[0].goal"),
            ({"owner": "me"}, "spec.owner"),
            ({"timeWindow": [{"duration": "90m"}]}, "spec.timeWindow[0].duration"),
        ],
    )
    def test_names_the_place_of_what_it_refuses(self, spec, path):
        assert only(changed(**spec)).problem.startswith(f"{path}:")

    def test_refuses_a_second_objective_of_a_threshold(self):
        text = THRESHOLD.replace("  alertPolicies", "    - {op: lt, value: 60, target: 0.9}\n  alertPolicies")

        problems = {candidate.problem for candidate in documents.read(yaml.read(text))}

        assert problems == {"spec.objectives: a thresholdMetric has exactly one objective"}

    def test_lets_a_window_roll_that_has_no_calendar(self):
        candidate = only(changed(timeWindow=[{"duration": "1w", "isRolling": False}]))

        assert (stored(candidate).window, stored(candidate).is_calendar) == ("7d", False)
        assert candidate.warnings == ["spec.timeWindow[0].isRolling: there is no calendar, so the window rolls"]

    @pytest.mark.parametrize("version", ["openslo/v1alpha", "openslo.com/v2alpha"])
    def test_refuses_other_versions(self, version):
        assert "openslo/v1" in only(RATIO.replace("openslo/v1", version)).problem

    def test_takes_names_that_other_tools_take(self):
        candidate = only(RATIO.replace("name: checkout-availability", "name: Checkout_Availability"))

        assert stored(candidate).name == "checkout-availability"
        assert "called checkout-availability" in candidate.warnings[0]

    def test_keeps_what_it_cannot_ask(self):
        candidate = only(LOGS)

        slo = stored(candidate)
        assert (slo.source, slo.data_source, slo.total_query) == ("unsupported", "acme-logs", "_category=batch")
        assert slo.good_query == "_category=batch\n  | where ms < 400"
        assert [warning.partition(":")[0] for warning in candidate.warnings] == [
            "metadata.name",
            "spec.timeWindow[0].calendar",
            "spec.indicator.spec.ratioMetric.metricSource.type",
            "spec.alertPolicies[0]",
        ]
        assert "acme-logs is not supported" in candidate.warnings[2]

    def test_learns_from_the_data_source_whom_it_cannot_ask(self):
        source = {"apiVersion": "openslo/v1", "kind": "DataSource", "metadata": {"name": "main"}}
        source["spec"] = {"type": "Datadog", "connectionDetails": {}}
        metric = {"metricSource": {"metricSourceRef": "main", "spec": {"query": "sum:requests{*}"}}}
        slo = yaml.write(source) + "---\n" + changed(indicator={"spec": {"thresholdMetric": metric}})
        slo = slo.replace("target: 0.9995", "target: 0.9995\n      op: lt\n      value: 5")

        assert stored(only(slo)).data_source == "Datadog"

    @pytest.mark.parametrize("kind", ["AmazonPrometheus", "VictoriaMetrics", "thanos"])
    def test_checks_the_queries_of_everything_that_reads_promql(self, kind):
        good = only(RATIO.replace("Prometheus", kind))
        broken = only(RATIO.replace("Prometheus", kind).replace("sum(", "sum(("))

        assert stored(good).source == "prometheus"
        with pytest.raises(Invalid):
            definitions.read(broken.body)

    def test_refuses_an_indicator_that_asks_two_languages(self):
        assert "same data source" in only(RATIO.replace("Prometheus", "acme-logs", 1)).problem

    def test_goes_on_after_a_broken_document(self):
        candidates = documents.read(yaml.read(f"kind: Pod\n---\n{RATIO}"))

        assert [bool(candidate.problem) for candidate in candidates] == [True, False]


class TestExport:
    @pytest.mark.parametrize("text", [RATIO, THRESHOLD, LOGS])
    def test_says_what_was_imported(self, text):
        slo = stored(only(text))

        exported = documents.export(slo)

        again = only(exported)
        assert again.imported == slo.imported
        assert definitions.body_of(stored(again)) == definitions.body_of(slo)
        assert documents.export(stored(again)) == exported

    def test_gives_a_plain_document_back_as_it_was(self):
        content = yaml.read(documents.export(stored(only(RATIO))))[0].content

        original = yaml.read(RATIO)[0].content
        original["spec"]["timeWindow"][0]["duration"] = "28d"
        assert content == original

    def test_gives_an_unsupported_document_back_but_for_its_name(self):
        content = yaml.read(documents.export(stored(only(LOGS))))[0].content

        assert content == yaml.read(LOGS.replace("Batch_Speed", "batch-speed"))[0].content

    def test_gives_sources_back_that_ask_by_more_than_a_query(self):
        metric = {"metricSource": {"type": "CloudWatch", "spec": {"namespace": "web", "metric": ["5xx", "all"]}}}
        indicator = {"spec": {"ratioMetric": {"counter": True, "bad": metric, "total": metric}}}
        slo = stored(only(changed(indicator=indicator)))

        exported = yaml.read(documents.export(slo))[0].content

        assert exported["spec"]["indicator"]["spec"] == indicator["spec"]
        assert (slo.bad_query, slo.total_query) == ("", "")

    def test_writes_the_queries_that_somebody_changed(self):
        slo = stored(only(LOGS))
        slo.total_query, slo.data_source = "_category=all", "other-logs"

        again = stored(only(documents.export(slo)))

        assert (again.total_query, again.good_query, again.data_source) == (
            "_category=all",
            slo.good_query,
            "other-logs",
        )

    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"type": "error_rate", "target": 0.5, "enabled": False},
            {"type": "latency", "target": 250, "indicator": {"latencyPercentile": "p99.9"}},
            {
                "type": "latency",
                "target": 250,
                "indicator": {
                    "source": "prometheus",
                    "query": "histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket[5m])))",
                },
            },
            {"indicator": {"source": "unsupported", "dataSource": "acme-logs", "query": "a | b", "rawType": "failure"}},
            {"indicator": {"source": "unsupported", "dataSource": "acme"}, "type": "latency", "target": 250},
            {"type": "throughput", "window": "24h", "namespace": "web", "labels": {"team": "a,b"}},
            {
                "indicator": {
                    "source": "prometheus",
                    "query": "avg(ok)",
                    "prometheus": "http://prometheus.example:9090",
                    "matchLabels": {"namespace": "default", "cluster": "east"},
                }
            },
            {
                "indicator": {"source": "watcher", "resource": {"kind": "Deployment", "name": "checkout"}},
                "budgeting": {"method": "RatioTimeslices", "timeSliceWindow": "10m", "noData": "bad"},
                "calendar": {"unit": "week", "count": 2, "timeZone": "America/New_York"},
            },
            {
                "alerting": {
                    "burnRateThresholds": [
                        {"severity": "warning", "shortWindow": "10m", "longWindow": "1h", "burnRate": 10},
                        {"severity": "high", "shortWindow": "30m", "longWindow": "6h", "burnRate": 6.5},
                    ],
                    "notificationChannels": ["slack:#docks"],
                    "pageOnBudgetExhausted": True,
                    "minimumEvents": 0,
                }
            },
        ],
    )
    def test_loses_nothing_that_the_api_can_say(self, members):
        body = {"name": "checkout", "service": "checkout", "type": "availability", "target": 99.9} | members
        columns = definitions.check(definitions.read(body))
        columns.pop("cluster")
        slo = SLO(**columns)

        again = stored(only(documents.export(slo)))

        assert definitions.body_of(again) == definitions.body_of(slo)
