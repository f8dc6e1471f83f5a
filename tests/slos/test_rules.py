"""The generated rules against Debian's promtool, and their verdicts against those of our own evaluation on the same series."""

import shutil
import subprocess
from datetime import timedelta
from itertools import accumulate
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
RULES = [
    {"severity": "critical", "shortWindow": "5m", "longWindow": "1h", "burnRate": 14.4},
    {"severity": "high", "shortWindow": "30m", "longWindow": "6h", "burnRate": 6},
    {"severity": "medium", "shortWindow": "30m", "longWindow": "2h", "burnRate": 3},
]
FAST, SLOW, TICKET = "5m/1h", "30m/6h", "30m/2h"

# error ratio per minute, requests per minute, and the rules that fire at the end. The SLO allows 1 % of errors.
SCENARIOS = {
    "clean": (lambda minute: 0.0, 60.0, set()),
    "slow-leak": (lambda minute: 0.02, 60.0, set()),
    "ticket-only": (lambda minute: 0.04, 60.0, {TICKET}),
    "slow-burn": (lambda minute: 0.08, 60.0, {SLOW, TICKET}),
    "fast-burn": (lambda minute: 0.2 if minute > MINUTES - 70 else 0.0, 60.0, {FAST, TICKET}),
    "just-over": (lambda minute: 1.0 if MINUTES - 65 < minute <= MINUTES - 15 else 0.0, 60.0, {SLOW, TICKET}),
    "long-over": (lambda minute: 1.0 if minute <= MINUTES - 200 else 0.0, 60.0, set()),
    "outage": (lambda minute: 1.0 if minute > MINUTES - 90 else 0.0, 60.0, {FAST, SLOW, TICKET}),
    # 6 requests an hour are too few for the fast page, 36 in six hours suffice for the slow one
    "few-requests": (lambda minute: 0.5, 0.1, {SLOW, TICKET}),
    "no-requests": (lambda minute: 0.5, 0.0, set()),
}


def promtool(*arguments, cwd):
    needs(shutil.which("promtool") is not None, "promtool")
    return subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def counters(scenario):
    """What the two counters stand at after each minute: (good, bad)."""
    errors, per_minute, _ = SCENARIOS[scenario]
    bad = [errors(minute) * per_minute for minute in range(1, MINUTES + 1)]
    return (
        list(accumulate([per_minute - one for one in bad], initial=0.0)),
        list(accumulate(bad, initial=0.0)),
    )


def series(scenario):
    good, bad = counters(scenario)
    return {
        f'http_requests_total{{job="{scenario}",code="200"}}': good,
        f'http_requests_total{{job="{scenario}",code="500"}}': bad,
    }


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
            group["rules"]
            for group in yaml.read(rules.rule_file(make_slo(indicator=EVENTS)))[0].content["groups"]
            if group["name"].endswith("-alerts")
        ]

        guarded = {rule["labels"]["window"]: ">=" in rule["expr"] for rule in alerts}
        assert guarded == {"5m/1h": True, "30m/6h": True, "2h/24h": False, "6h/72h": False}


@pytest.mark.django_db(transaction=True)
class TestVerdicts:
    def test_are_those_of_our_own_evaluation(self, tmp_path):
        begin = int((NOON - timedelta(minutes=MINUTES)).timestamp())
        lines = [
            line
            for scenario in SCENARIOS
            for name, values in series(scenario).items()
            for line in prometheus.samples(name, [(begin + 60 * i, value) for i, value in enumerate(values)])
        ]
        (tmp_path / "server").mkdir()

        with prometheus.serving(tmp_path / "server", lines) as server:
            slos = [slo_of(scenario, server.url) for scenario in SCENARIOS]
            evaluation.evaluate(slos=slos, at=NOON)

        ours = self._ours()
        assert ours == {name: windows for name, (_, _, windows) in SCENARIOS.items() if windows}
        self._assert_promtool_agrees(tmp_path, slos, ours)

    @staticmethod
    def _ours():
        found: dict[str, set[str]] = {}
        for name, window in BurnAlert.objects.filter(cleared_at__isnull=True).values_list("slo__name", "window"):
            found.setdefault(name, set()).add(window)
        return found

    @staticmethod
    def _assert_promtool_agrees(path, slos, expected):
        files = []
        for slo in slos:
            files.append(f"{slo.name}.yml")
            (path / files[-1]).write_text(rules.rule_file(slo))
        query = 'count by (slo, window) (ALERTS{alertname="SLOBudgetBurn",alertstate="firing"})'
        samples = [
            {"labels": f'{{slo="{name}",window="{window}"}}', "value": 1}
            for name, windows in expected.items()
            for window in windows
        ]
        written = [
            {"series": name, "values": " ".join(f"{value:.6f}" for value in values)}
            for scenario in SCENARIOS
            for name, values in series(scenario).items()
        ]
        test = {
            "rule_files": files,
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": written,
                    "promql_expr_test": [{"expr": query, "eval_time": f"{MINUTES}m", "exp_samples": samples}],
                }
            ],
        }
        (path / "test.yml").write_text(yaml.write(test))

        found = promtool("test", "rules", "test.yml", cwd=path)

        assert found.returncode == 0, found.stdout + found.stderr
