import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from slos import promql
from tests.conftest import needs

FIVE = timedelta(minutes=5)
QUERIES = [
    "manifest_ok",
    'sum(rate(http_requests_total{code!~"5..",path="/a\\"b\\\\c"}[{{.window}}]))',
    'sum by (job) (rate(a{b="c"}[1m] offset 1h)) / ignoring (z) group_left (k) (y @ 1609746000 > bool 3)',
    "sum_over_time((up == 1)[1h:1m])",
    "(sum(rate(bad_total[$W])) or vector(0))",
    "-x + -(y)",
    'count_values without (z) ("v", x)',
    "quantile_over_time(0.9, x[1h30m] @ end())",
    "max_over_time(rate(x[1m])[30m:10s] offset 5m)",
    'label_replace(x, "a", "$1", "b", "(.*)")',
    "histogram_quantile(0.99, sum by (le) (rate(request_seconds_bucket[5m]))) * 1000",
    "a and on (b) c unless d",
    "sum(x) ^ -1.5e3 % 7",
]


class TestComplaintAbout:
    @pytest.mark.parametrize("query", QUERIES)
    def test_is_empty_for_promql(self, query: str) -> None:
        assert promql.complaint_about(query) == ""

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "sum(",
            "rate(x)",
            "x[5m]",
            "1",
            "vector(1)",
            'x{a=~"("}',
            "(" * 5000 + "x" + ")" * 5000,
            "-" * 500 + "x",
            "x" * 9000,
        ],
    )
    def test_says_what_is_wrong(self, query: str) -> None:
        assert promql.complaint_about(query)


class TestEvents:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("manifest_ok", "sum(increase(manifest_ok[5m]))"),
            ("sum(x_total)", "sum (increase(x_total[5m]))"),
            ("sum(rate(x[1h]))", "sum (increase(x[5m]))"),
            ("sum(rate(x[{{.window}}]))", "sum (increase(x[5m]))"),
            ("sum(sum_over_time(up[$W]))", "sum (sum_over_time(up[5m]))"),
            ("sum(rate(x[{{.window}}])) - avg_over_time(y[1h])", "sum (increase(x[5m])) - avg_over_time(y[1h])"),
            ("sum_over_time((up == 1)[1h:1m])", "sum_over_time((up == 1.0)[5m:1m])"),
        ],
    )
    def test_asks_for_numbers_within_the_width(self, query: str, expected: str) -> None:
        assert promql.events(query, FIVE) == expected

    @pytest.mark.parametrize("query", QUERIES)
    def test_is_promql_again(self, query: str) -> None:
        assert promql.complaint_about(promql.events(query, FIVE)) == ""

    def test_is_understood_by_prometheus(self, tmp_path: Path) -> None:
        needs(shutil.which("promtool") is not None, "promtool")
        rules = [f"  - record: a:b\n    expr: '{promql.events(query, FIVE)}'" for query in QUERIES]
        file = tmp_path / "rules.yml"
        file.write_text("groups:\n- name: g\n  rules:\n" + "\n".join(rules) + "\n")

        checked = subprocess.run(
            ["promtool", "check", "rules", "--lint=none", str(file)], capture_output=True, text=True, check=False
        )

        assert checked.returncode == 0, checked.stderr


class TestLabels:
    def test_are_added_to_every_selector(self) -> None:
        assert promql.value('a / sum(rate(b{c="d"}[5m]))', FIVE, {"ns": "x"}) == (
            'a{ns="x"} / sum (rate(b{c="d",ns="x"}[5m]))'
        )
        assert promql.events("b", FIVE, {"ns": "x"}) == 'sum(increase(b{ns="x"}[5m]))'
        assert promql.events("max_over_time(rate(b[{{.window}}])[1h:1m])", FIVE, {"ns": "x"}) == (
            'max_over_time(rate(b{ns="x"}[5m])[1h:1m])'
        )
        assert promql.quantile('b_bucket{le="0.3"}', 0.9, FIVE, {"ns": "x"}) == (
            'histogram_quantile(0.9, sum by (le) (increase(b_bucket{ns="x"}[5m])))'
        )

    def test_leave_what_a_selector_says_itself(self) -> None:
        assert promql.value('a{ns=~"y|z"}', FIVE, {"ns": "x"}) == 'a{ns=~"y|z"}'

    def test_cannot_be_broken_out_of(self) -> None:
        written = promql.value("a", FIVE, {"ns": '"} or b{c="\\'})

        assert written == 'a{ns="\\"} or b{c=\\"\\\\"}'


class TestUnits:
    def test_knows_percentages_by_their_form(self) -> None:
        assert promql.is_percent("(sum(a) / sum(b) * 100)")
        assert not promql.is_percent("sum(a) / sum(b)")

    @pytest.mark.parametrize(
        ("query", "factor"),
        [
            ("histogram_quantile(0.9, rate(a_seconds_bucket[5m]))", 1000),
            ("histogram_quantile(0.9, rate(a_seconds_bucket[5m])) * 1000", 1),
            ("histogram_quantile(0.9, rate(latency_ms_bucket[5m]))", 1),
        ],
    )
    def test_turns_seconds_into_milliseconds(self, query: str, factor: float) -> None:
        assert promql.milliseconds(query) == factor


class TestQuantile:
    def test_takes_the_histogram_of_the_bucket(self) -> None:
        good = 'sum(rate(request_seconds_bucket{le="0.3",job="a"}[5m]))'

        assert promql.quantile(good, 0.99, FIVE) == (
            'histogram_quantile(0.99, sum by (le) (increase(request_seconds_bucket{job="a"}[5m]))) * 1000'
        )

    def test_needs_a_bucket(self) -> None:
        assert promql.quantile("sum(a_total)", 0.99, FIVE) is None

    def test_names_the_bound(self) -> None:
        assert promql.bucket('rate(request_seconds_bucket{job="a",le="0.3"}[5m])', {"ns": "x"}) == promql.Bucket(
            "0.3", 'group by (le) (request_seconds_bucket{job="a",ns="x"})'
        )
