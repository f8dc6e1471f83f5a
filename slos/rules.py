"""The rule file with which Prometheus judges an SLO by itself: error ratios per window, and the burn-rate alerts. Pure.

The expressions follow the evaluation of ours: no events give no verdict, nor do more good than total events; the long window
must have data for half of its time, counted from when Prometheus has these rules; a page needs a minimum of events. An alert
ends at the second evaluation in a row that is calm, and stays as it is while nothing is known. What is not measured from
Prometheus gets the objective alone.
"""

import json
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiops import documents
from slos import burn_rate, objectives, promql, windows
from slos.models import SLO, BudgetingMethod, IndicatorSource, NoData, SLOType

INTERVAL = timedelta(minutes=1)
CALM = (burn_rate.CALM - 1) * INTERVAL  # how long an alert keeps firing that its expression no longer holds
MEASURED = "slo:sli_measured:count"  # 1 where there was something to judge, a slice without events included
ALERT = "SLOBudgetBurn"
OPERATORS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def rule_file(slo: SLO) -> str:
    """YAML that `promtool check rules` accepts. A comment says what is missing when the source is unsupported."""
    groups = [_group(slo, "objective", _objective(slo))]
    if slo.source == IndicatorSource.PROMETHEUS:
        rules = objectives.rules(slo)
        # one group, since its rules run one after the other: alerts see what was recorded just before them
        groups.append(_group(slo, "burn", [*_recordings(slo, rules), *(_alert(slo, rule) for rule in rules)]))
    return _comment(slo) + documents.write({"groups": groups})


def _comment(slo: SLO) -> str:
    if objectives.is_askable(slo):
        return ""
    name = " ".join(slo.data_source.split())
    return f"# No rule measures this SLO: data source {name} is not supported, and its queries are no PromQL.\n"


def error_ratio(slo: SLO, length: timedelta) -> str:
    """The query for the share of what was bad within `length`."""
    if objectives.counts_events(slo):
        return _of_events(slo, length)
    return f"1 - avg_over_time(({_slice(slo)})[{windows.spell(length)}:{windows.spell(_step(slo))}])"


def _step(slo: SLO) -> timedelta:
    return timedelta(seconds=objectives.grid(slo).step)


def _of_events(slo: SLO, length: timedelta) -> str:
    total = _events(slo, slo.total_query, length)
    if slo.bad_query:
        bad = _events(slo, slo.bad_query, length)
        return _share(f"(({bad}) or vector(0)) / ({total})")
    good = _events(slo, slo.good_query, length)
    return _share(f"(({total}) - (({good}) or vector(0))) / ({total})")


def _share(ratio: str) -> str:
    """Nothing without events, or when counters contradict each other by more than their scrapes explain."""
    slack = burn_rate.COUNTERS_APART
    return f"clamp({ratio} >= -{slack} <= {1 + slack}, 0, 1)"


def _events(slo: SLO, query: str, length: timedelta) -> str:
    return promql.events(query, length, objectives.match_labels(slo))


def _slice(slo: SLO) -> str:
    """How good a single slice is: a ratio, or 1 or 0."""
    ratio = _slice_ratio(slo)
    if slo.budgeting_method == BudgetingMethod.TIMESLICES and slo.slice_target is not None:
        ratio = f"({ratio}) >= bool {float(slo.slice_target):g}"
    if slo.no_data == NoData.IGNORE or not objectives.has_slices(slo):
        return ratio
    return f"({ratio}) or vector({1 if slo.no_data == NoData.GOOD else 0})"


def _slice_ratio(slo: SLO) -> str:
    width = timedelta(seconds=objectives.grid(slo).width)
    if slo.total_query:
        total = f"(({_events(slo, slo.total_query, width)}) > 0)"  # without events there is no ratio
        if slo.bad_query:
            bad = _events(slo, slo.bad_query, width)
            return f"clamp(1 - ((({bad}) or vector(0)) / {total}), 0, 1)"
        good = _events(slo, slo.good_query, width)
        return f"clamp((({good}) or vector(0)) / {total}, 0, 1)"
    # not what is no number: a quantile or a ratio of nothing
    value = f"(({promql.value(slo.query, width, objectives.match_labels(slo))}) > -Inf < Inf)"
    if slo.threshold_op:
        return f"{value} {OPERATORS[slo.threshold_op]} bool {_number(slo.threshold_value)}"
    if slo.type == SLOType.LATENCY:
        factor = promql.milliseconds(slo.query)
        scaled = value if factor == 1 else f"({value} * {_number(factor)})"
        return f"{scaled} <= bool {_number(slo.target)}"
    ratio = f"{value} / 100" if promql.is_percent(slo.query) else value
    is_failure = slo.raw_type == "failure" or (slo.type == SLOType.ERROR_RATE and slo.raw_type != "success")
    return f"1 - ({ratio})" if is_failure else ratio


def _number(value: Any) -> str:
    return repr(float(value)).removesuffix(".0")


# --- rules -------------------------------------------------------------------------------------------------------------------


def _plainly(share: Decimal) -> str:
    return f"{share.normalize():f}"


def _labels(slo: SLO) -> dict[str, str]:
    return {"slo": slo.name, "slo_namespace": slo.namespace, "slo_service": slo.service}


def _group(slo: SLO, part: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": f"slo-{slo.namespace}-{slo.name}-{part}", "interval": windows.spell(INTERVAL), "rules": rules}


def _objective(slo: SLO) -> list[dict[str, Any]]:
    budget = objectives.budget_ratio(slo)
    days = windows.parse(slo.window) / timedelta(days=1)
    return [
        {"record": "slo:objective:ratio", "expr": f"vector({_plainly(1 - budget)})", "labels": _labels(slo)},
        {"record": "slo:error_budget:ratio", "expr": f"vector({_plainly(budget)})", "labels": _labels(slo)},
        {"record": "slo:time_period:days", "expr": f"vector({days:g})", "labels": _labels(slo)},
    ]


def record_name(length: timedelta) -> str:
    return f"slo:sli_error:ratio_rate{windows.spell(length)}"


def _recordings(slo: SLO, rules: Iterable[burn_rate.Rule]) -> list[dict[str, Any]]:
    lengths = sorted({length for rule in rules for length in (rule.short, rule.long)} | set(burn_rate.REPORTED))
    found = [
        {"record": record_name(length), "expr": error_ratio(slo, length), "labels": _labels(slo)} for length in lengths
    ]
    if not _is_always_measured(slo):
        found.append({"record": MEASURED, "expr": f"count({_asked(slo)})", "labels": _labels(slo)})
    return found


def _asked(slo: SLO) -> str:
    """What a slice is judged by. It may have a value that is no number, and was measured then nevertheless."""
    width = timedelta(seconds=objectives.grid(slo).width)
    if slo.total_query:
        return _events(slo, slo.total_query, width)
    return promql.value(slo.query, width, objectives.match_labels(slo))


def _is_always_measured(slo: SLO) -> bool:
    return objectives.has_slices(slo) and slo.no_data != NoData.IGNORE


def _alert(slo: SLO, rule: burn_rate.Rule) -> dict[str, Any]:
    budget = objectives.budget_ratio(slo)
    return {
        "alert": ALERT,
        "expr": f"({_burning(slo, rule, budget)}) or ({_held(slo, rule)})",
        "keep_firing_for": windows.spell(CALM),
        "labels": {**_labels(slo), "severity": rule.severity, "window": rule.name},
        "annotations": {
            "summary": f"{_plain(slo.service)} spends the error budget of {slo.name} {rule.factor:g} times too fast",
            "description": f"Over the last {windows.spell(rule.short)} and {windows.spell(rule.long)}."
            f"{{{{ with query {json.dumps(_recorded(slo, rule.long), ensure_ascii=False)} }}}} Share of bad events: "
            "{{ . | first | value | humanizePercentage }}{{ end }}",
        },
    }


def _burning(slo: SLO, rule: burn_rate.Rule, budget: Decimal) -> str:
    threshold = f"({rule.factor!r} * {_plainly(budget)})"
    conditions = [f"{_recorded(slo, length)} > {threshold}" for length in (rule.short, rule.long)]
    if not _is_always_measured(slo):
        fewest = burn_rate.MIN_COVERAGE * (rule.long / INTERVAL)
        conditions.append(f"sum_over_time({_selected(MEASURED, slo)}[{windows.spell(rule.long)}]) >= {fewest:g}")
    return " and ".join(conditions) + _enough_events(slo, rule, budget)


def _held(slo: SLO, rule: burn_rate.Rule) -> str:
    """The alert itself while the short window says nothing: silence neither confirms nor ends it."""
    own = _selected("ALERTS", slo, alertname=ALERT, alertstate="firing", window=rule.name)
    return f"max by ({', '.join(_labels(slo))}) ({own}) unless {_recorded(slo, rule.short)}"


def _recorded(slo: SLO, length: timedelta) -> str:
    return _selected(record_name(length), slo)


def _selected(series: str, slo: SLO, **labels: str) -> str:
    matchers = ",".join(f"{name}={promql.quote(value)}" for name, value in (labels | _labels(slo)).items())
    return f"{series}{{{matchers}}}"


def _enough_events(slo: SLO, rule: burn_rate.Rule, budget: Decimal) -> str:
    """A page about a handful of events cannot tell one failure from an outage."""
    if not (rule.is_page and objectives.counts_events(slo)):
        return ""
    fewest = burn_rate.minimum_events(rule, budget, slo.minimum_events)
    return f" and on() (sum({_events(slo, slo.total_query, rule.long)}) >= {fewest})" if fewest else ""


def _plain(text: str) -> str:
    """Annotations are templates, and a name may hold braces."""
    return text.replace("{", "(").replace("}", ")")
