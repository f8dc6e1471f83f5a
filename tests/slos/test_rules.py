"""The generated rules against Debian's promtool, and their verdicts against those of our own evaluation on the same series."""

import shutil
import subprocess
from datetime import timedelta
from typing import Any

import pytest

from aiops import documents as yaml
from slos import rules
from slos.models import BurnAlert
from slos.services import evaluation
from tests.conftest import NOON, needs
from tests.slos import prometheus
from tests.slos.factories import EVENTS, make_slo

MINUTES = 8 * 60
WATCHED = 40  # the last minutes, in which both are asked every minute
RULES = [
    {"severity": "critical", "shortWindow": "5m", "longWindow": "1h", "burnRate": 14.4},
    {"severity": "high", "shortWindow": "30m", "longWindow": "6h", "burnRate": 6},
    {"severity": "medium", "shortWindow": "30m", "longWindow": "2h", "burnRate": 3},
]
FAST, SLOW, TICKET = "5m/1h", "30m/6h", "30m/2h"


def during(first, last, errors, *, requests=60.0):
    """Errors in minutes counted back from the end; none before and after."""
    return lambda ago: (errors if first >= ago > last else 0.0, requests)


# minutes ago -> (error ratio, requests per minute), None without samples; and the rules that fire at the end.
# The SLO allows 1 % of errors.
SCENARIOS = {
    "clean": (lambda ago: (0.0, 60.0), set()),
    "slow-leak": (lambda ago: (0.02, 60.0), set()),
    "ticket-only": (lambda ago: (0.04, 60.0), {TICKET}),
    "slow-burn": (lambda ago: (0.08, 60.0), {SLOW, TICKET}),
    "fast-burn": (during(70, 0, 0.2), {FAST, TICKET}),
    "just-over": (during(65, 15, 1.0), {SLOW, TICKET}),
    "long-over": (during(MINUTES, 200, 1.0), set()),
    "outage": (during(90, 0, 1.0), {FAST, SLOW, TICKET}),
    "spike": (during(36, 26, 1.0), {TICKET}),
    "short-spike": (during(30, 27, 1.0), set()),
    "recovery": (during(100, 34, 0.4), set()),
    "flapping": (lambda ago: (0.5 if ago % 16 < 8 else 0.0, 60.0), {FAST, SLOW, TICKET}),
    # half of the hour, and of the two hours, must have been seen
    "after-a-gap": (lambda ago: None if 200 > ago >= 45 else (0.5 if ago < 45 else 0.0, 60.0), {FAST, SLOW}),
    # neither scrapes that stop nor requests that stop end an alert
    "vanished": (lambda ago: None if ago < 20 else (0.5, 60.0), {FAST, SLOW, TICKET}),
    "silent": (lambda ago: (0.5, 60.0 if ago >= 25 else 0.0), {FAST, SLOW, TICKET}),
    # 6 requests an hour are too few for the fast page, 36 in six hours suffice for the slow one
    "few-requests": (lambda ago: (0.5, 0.1), {SLOW, TICKET}),
    "no-requests": (lambda ago: (0.5, 0.0), set()),
}


def promtool(*arguments, cwd):
    needs(shutil.which("promtool") is not None, "promtool")
    return subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=600, check=False)


def series(scenario):
    """What the two counters stand at after each minute, None without a sample."""
    good = bad = 0.0
    written: dict[str, list[float | None]] = {"200": [good], "500": [bad]}
    for ago in range(MINUTES - 1, -1, -1):
        now = SCENARIOS[scenario][0](ago)
        errors, requests = now or (0.0, 0.0)
        good, bad = good + (1 - errors) * requests, bad + errors * requests
        written["200"].append(good if now else None)
        written["500"].append(bad if now else None)
    return {f'http_requests_total{{job="{scenario}",code="{code}"}}': values for code, values in written.items()}


def slo_of(scenario, url="http://127.0.0.1:9090", **indicator):
    events = EVENTS | {
        "goodEventsQuery": f'http_requests_total{{job="{scenario}",code!~"5.."}}',
        "totalEventsQuery": f'http_requests_total{{job="{scenario}"}}',
        "prometheus": url,
    }
    return make_slo(name=scenario, target=99, indicator=events | indicator, alerting={"burnRateThresholds": RULES})


SHAPES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "good-and-total": {"indicator": EVENTS},
    "bad-and-total": {
        "indicator": {
            "source": "prometheus",
            "badEventsQuery": 'sum(rate(errors_total{path="/a\\"b"}[{{.window}}]))',
            "totalEventsQuery": "sum(rate(requests_total[{{.window}}]))",
        }
    },
    "ratio": {"indicator": {"source": "prometheus", "query": "sum(rate(ok[5m])) / sum(rate(all[5m])) * 100"}},
    "failure-ratio": {"indicator": {"source": "prometheus", "query": "avg(failing)", "rawType": "failure"}},
    "threshold": {"indicator": {"source": "prometheus", "query": "max(age)", "threshold": {"op": "lt", "value": 30}}},
    "error-rate": {"type": "error_rate", "target": 0.5, "indicator": EVENTS},
    "latency": {
        "type": "latency",
        "target": 300,
        "indicator": {
            "source": "prometheus",
            "query": "histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket[5m])))",
        },
    },
    "latency-buckets": {
        "type": "latency",
        "target": 300,
        "indicator": {
            "source": "prometheus",
            "goodEventsQuery": 'http_seconds_bucket{le="0.3"}',
            "totalEventsQuery": "http_seconds_count",
            "latencyPercentile": "p95",
        },
    },
    "time-slices": {
        "indicator": EVENTS,
        "budgeting": {"method": "Timeslices", "timeSliceWindow": "5m", "timeSliceTarget": 0.95, "noData": "bad"},
        "calendar": {"unit": "month", "timeZone": "Europe/Berlin"},
    },
    "ratio-time-slices": {
        "indicator": EVENTS,
        "budgeting": {"method": "RatioTimeslices", "timeSliceWindow": "1m"},
        "service": "checkout {{ $labels.secret }}",
    },
}


@pytest.mark.django_db
class TestRuleFile:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_is_accepted_by_promtool(self, tmp_path, shape):
        (tmp_path / "rules.yml").write_text(rules.rule_file(make_slo(name=shape, **SHAPES[shape])))

        found = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml", cwd=tmp_path)

        assert found.returncode == 0, found.stdout + found.stderr

    def test_has_the_objective_alone_where_prometheus_measures_nothing(self):
        groups = yaml.read(rules.rule_file(make_slo()))[0].content["groups"]

        assert [rule["record"] for group in groups for rule in group["rules"]] == [
            "slo:objective:ratio",
            "slo:error_budget:ratio",
            "slo:time_period:days",
        ]

    def test_writes_budgets_exactly(self):
        text = rules.rule_file(make_slo(indicator=EVENTS))

        assert "> (14.4 * 0.001)" in text

    def test_asks_for_enough_events_before_it_pages(self):
        [alerts] = [
            [rule for rule in group["rules"] if "alert" in rule]
            for group in yaml.read(rules.rule_file(make_slo(indicator=EVENTS)))[0].content["groups"]
            if group["name"].endswith("-burn")
        ]

        guarded = {rule["labels"]["window"]: "(sum(increase(" in rule["expr"] for rule in alerts}
        assert guarded == {"5m/1h": True, "30m/6h": True, "2h/24h": False, "6h/72h": False}


@pytest.mark.django_db(transaction=True)
class TestVerdicts:
    def test_are_those_of_our_own_evaluation_minute_by_minute(self, tmp_path, settings):
        settings.AIOPS_SLO_DELAY = 0
        begin = int((NOON - timedelta(minutes=MINUTES)).timestamp())
        lines = [
            line
            for scenario in SCENARIOS
            for name, values in series(scenario).items()
            for line in prometheus.samples(
                name, [(begin + 60 * i, value) for i, value in enumerate(values) if value is not None]
            )
        ]
        (tmp_path / "server").mkdir()

        with prometheus.serving(tmp_path / "server", lines) as server:
            slos = [slo_of(scenario, server.url) for scenario in SCENARIOS]
            ours = {}
            for ago in range(WATCHED, -1, -1):
                evaluation.evaluate(slos=slos, at=NOON - timedelta(minutes=ago))
                ours[MINUTES - ago] = self._ours()

        assert ours[MINUTES] == {(name, window) for name, (_, windows) in SCENARIOS.items() for window in windows}
        # short alerts were there as well, and went
        ended = {("spike", FAST), ("just-over", FAST), ("recovery", FAST), ("recovery", SLOW), ("recovery", TICKET)}
        assert ended - set().union(*ours.values()) == set()
        self._assert_promtool_agrees(tmp_path, slos, ours)

    @staticmethod
    def _ours():
        open_ones = BurnAlert.objects.filter(cleared_at__isnull=True, burn_rate__isnull=False)  # burning, not silence
        return set(open_ones.values_list("slo__name", "window"))

    @staticmethod
    def _assert_promtool_agrees(path, slos, ours):
        files = []
        for slo in slos:
            files.append(f"{slo.name}.yml")
            (path / files[-1]).write_text(rules.rule_file(slo))
        query = 'count by (slo, window) (ALERTS{alertname="SLOBudgetBurn",alertstate="firing",slo%s"after-a-gap"})'
        checks = [
            {
                "expr": query % ("=" if is_gap else "!="),
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": f'{{slo="{name}",window="{window}"}}', "value": 1}
                    for name, window in firing
                    if (name == "after-a-gap") == is_gap
                ],
            }
            for minute, firing in ours.items()
            for is_gap in (False, True)
            # that half of the hour was seen, ours sees to the width of a slice of five minutes
            if not (is_gap and 15 <= MINUTES - minute < 20)
        ]
        written = [
            {"series": name, "values": " ".join("_" if value is None else f"{value:.6f}" for value in values)}
            for scenario in SCENARIOS
            for name, values in series(scenario).items()
        ]
        test = {
            "rule_files": files,
            "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": written, "promql_expr_test": checks}],
        }
        (path / "test.yml").write_text(yaml.write(test))

        found = promtool("test", "rules", "test.yml", cwd=path)

        assert found.returncode == 0, found.stdout + found.stderr
