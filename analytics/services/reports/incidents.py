from datetime import date
from typing import Any

from analytics import histograms
from analytics.families import INCIDENTS, PLAN_FAMILY, WORKLOADS
from analytics.metrics import ratio
from analytics.models import ReportKind
from analytics.periods import DAY, date_of, moment_of
from analytics.reports.document import Chart, ChartKind, Column, Figure, Report, Row, Series, Table, Unit
from analytics.services.figures.costs import costs
from analytics.services.questions import Question
from analytics.services.reading import Reader
from analytics.services.reports.base import SHOWN, TOP, days, duration, filters, mean, nearest_rank, percent
from incidents.models import Incident
from incidents.states import Severity

Sums = dict[str, int]
NOTHING: Sums = {"total": 0, "resolve_sum": 0, "resolve_count": 0}
DRAWN = 400  # days; a longer chart would be a smear


def build(question: Question) -> Report:
    reader = Reader(INCIDENTS, question.span, question.where)
    sums = reader.total(*INCIDENTS.measures)
    daily = _daily(reader)
    top, bill = _top(question), costs(question)
    return Report(
        kind=ReportKind.INCIDENTS,
        title="Incidents",
        since=question.since,
        until=question.until,
        generated_at=question.at,
        filters=filters(question),
        figures=[*_figures(reader, sums), *_bill(bill)],
        tables=[_per_day(daily), _by_severity(reader), top, _remediations(question), _costs(bill), _open(question)],
        charts=_charts(question, daily, top),
        notes=[
            "Incidents count in the period in which they were detected.",
            "Times to detect and to resolve leave chaos experiments out; they count from the first signal.",
            "Costs: minutes of an outage and hours of work at the configured rates, and calls of language models.",
            "Median and 95th percentile of the time to resolve are at most 0.8 % off.",
        ],
    )


def _figures(reader: Reader, sums: Sums) -> list[Figure]:
    [resolving] = reader.histograms("resolve_histogram").get((), [histograms.Histogram()])
    times = histograms.as_values(resolving)
    samples, undrilled = sums["resolve_count"], sums["detect_count"]
    covered = ratio(samples, undrilled)
    return [
        Figure("total", "Incidents", sums["total"]),
        Figure("open", "Open", sums["total"] - sums["resolved"]),
        Figure("resolved", "Resolved", sums["resolved"]),
        Figure(
            "autoResolved",
            "Resolved without a person",
            percent(sums["auto_resolved"], sums["total"]),
            Unit.PERCENT,
            sums["total"],
        ),
        duration("mttd", "Mean time to detect", sums["detect_sum"], sums["detect_count"], sums["total"]),
        duration("mtta", "Mean time to acknowledge", sums["acknowledge_sum"], sums["acknowledge_count"], undrilled),
        duration("mttr", "Mean time to resolve", sums["resolve_sum"], samples, undrilled),
        Figure(
            "medianTimeToResolve", "Median time to resolve", nearest_rank(times, 0.5), Unit.SECONDS, samples, covered
        ),
        Figure("p95TimeToResolve", "95th percentile", nearest_rank(times, 0.95), Unit.SECONDS, samples, covered),
        Figure("chaosInduced", "Chaos experiments", sums["chaos"]),
    ]


def _daily(reader: Reader) -> dict[tuple[date, str], Sums]:
    found = reader.sums("total", "resolve_sum", "resolve_count", by=("severity",), per=DAY)
    return {(date_of(hour), severity): sums for (severity, hour), sums in found.items()}


def _per_day(daily: dict[tuple[date, str], Sums]) -> Table:
    rows: list[Row] = []
    for day in sorted({day for day, _ in daily}, reverse=True):
        of_day = {severity: daily.get((day, severity), NOTHING) for severity in Severity.values}
        counts = [sums["total"] for sums in of_day.values()]
        resolved = sum(sums["resolve_count"] for sums in of_day.values())
        mttr = mean(sum(sums["resolve_sum"] for sums in of_day.values()), resolved)
        rows.append((day.isoformat(), sum(counts), *counts, mttr, resolved))
    columns = [
        Column("date", "Day"),
        Column("total", "Incidents", Unit.COUNT),
        *(Column(name, name.capitalize(), Unit.COUNT) for name in Severity.values),
        Column("mttr", "Mean time to resolve", Unit.SECONDS),
        Column("resolved", "Samples", Unit.COUNT),
    ]
    return Table("perDay", "Per day", columns, rows)


def _by_severity(reader: Reader) -> Table:
    measures = ("total", "resolved", "auto_resolved", "detect_sum", "detect_count", "resolve_sum", "resolve_count")
    found = reader.sums(*measures, by=("severity",))
    rows: list[Row] = []
    for name in Severity.values:
        sums = found.get((name,), dict.fromkeys(measures, 0))
        detect = mean(sums["detect_sum"], sums["detect_count"])
        resolve = mean(sums["resolve_sum"], sums["resolve_count"])
        rows.append(
            (name, sums["total"], sums["resolved"], sums["auto_resolved"], detect, resolve, sums["resolve_count"])
        )
    columns = [
        Column("severity", "Severity"),
        Column("total", "Incidents", Unit.COUNT),
        Column("resolved", "Resolved", Unit.COUNT),
        Column("autoResolved", "Without a person", Unit.COUNT),
        Column("mttd", "Mean time to detect", Unit.SECONDS),
        Column("mttr", "Mean time to resolve", Unit.SECONDS),
        Column("samples", "Samples", Unit.COUNT),
    ]
    return Table("bySeverity", "By severity", columns, rows)


def _top(question: Question) -> Table:
    reader = Reader(WORKLOADS, question.span, question.where)
    found = reader.sums("total", "resolve_sum", "resolve_count", "last", by=("kind", "name", "namespace", "cluster"))
    ranked = sorted(found.items(), key=lambda item: (-item[1]["total"], -item[1]["last"], item[0]))
    rows: list[Row] = [
        (f"{kind}/{name}", namespace, cluster or None, sums["total"], _mttr(sums), moment_of(sums["last"]))
        for (kind, name, namespace, cluster), sums in ranked[:TOP]
    ]
    columns = [
        Column("resource", "Resource"),
        Column("namespace", "Namespace"),
        Column("cluster", "Cluster"),
        Column("total", "Incidents", Unit.COUNT),
        Column("mttr", "Mean time to resolve", Unit.SECONDS),
        Column("last", "Last incident", Unit.TIME),
    ]
    return Table("topResources", "Where most incidents were", columns, rows, total=len(found))


def _mttr(sums: Sums) -> float | None:
    return mean(sums["resolve_sum"], sums["resolve_count"])


def _remediations(question: Question) -> Table:
    measures = ("total", "completed", "failed", "rolled_back", "duration_sum", "duration_count")
    found = Reader(PLAN_FAMILY, question.span, question.where).sums(*measures, by=("action",))
    ranked = sorted(found.items(), key=lambda item: (-item[1]["total"], item[0]))
    rows: list[Row] = []
    for (action,), sums in ranked:
        went_wrong = sums["failed"] + sums["rolled_back"]
        rate = percent(sums["completed"], sums["completed"] + went_wrong)
        took = mean(sums["duration_sum"], sums["duration_count"])
        rows.append((action, sums["total"], sums["completed"], went_wrong, rate, took))
    columns = [
        Column("action", "Action"),
        Column("total", "Plans", Unit.COUNT),
        Column("completed", "Completed", Unit.COUNT),
        Column("failed", "Failed or rolled back", Unit.COUNT),
        Column("successRate", "Success", Unit.PERCENT),
        Column("duration", "Mean duration", Unit.SECONDS),
    ]
    return Table("remediations", "Remediations", columns, rows)


def _bill(bill: dict[str, Any]) -> list[Figure]:
    currency, samples, priced = bill["currency"], bill["incidents"], bill["languageModels"]["coverage"]
    return [
        Figure("cost", f"Cost ({currency})", round(bill["total"], 2), Unit.NUMBER, samples),
        Figure("costOfDowntime", f"of this downtime ({currency})", round(bill["downtime"], 2), Unit.NUMBER, samples),
        Figure(
            "costOfWork",
            f"of this work ({currency})",
            round(bill["engineers"], 2),
            Unit.NUMBER,
            bill["engineerSamples"],
            bill["engineerCoverage"],
        ),
        Figure(
            "costOfModels", f"of this language models ({currency})", bill["llm"], Unit.NUMBER, bill["llmCalls"], priced
        ),
    ]


def _costs(bill: dict[str, Any]) -> Table:
    names = ("namespace", "incidents", "downtimeMinutes", "downtime", "engineers", "llm", "total")
    rows: list[Row] = [tuple(one[name] for name in names) for one in bill["byNamespace"]]
    columns = [
        Column("namespace", "Namespace"),
        Column("incidents", "Incidents", Unit.COUNT),
        Column("downtimeMinutes", "Minutes down", Unit.NUMBER),
        Column("downtime", "Downtime", Unit.NUMBER),
        Column("engineers", "Work", Unit.NUMBER),
        Column("llm", "Language models", Unit.NUMBER),
        Column("total", f"Total ({bill['currency']})", Unit.NUMBER),
    ]
    return Table("costs", "Costs by namespace, the dearest first", columns, rows)


def _open(question: Question) -> Table:
    rows = question.rows(
        Incident.objects.open(), "detected_at", cluster="cluster_name", namespace="namespace", severity="severity"
    )
    names = ("name", "severity", "state", "namespace", "resource_kind", "resource_name", "detected_at", "assigned_to")
    shown: list[Row] = [
        (name, severity, state, namespace, f"{kind}/{resource}", detected_at, assigned_to or None)
        for name, severity, state, namespace, kind, resource, detected_at, assigned_to in rows.order_by(
            "detected_at", "name"
        ).values_list(*names)[:SHOWN]
    ]
    columns = [
        Column("name", "Incident"),
        Column("severity", "Severity"),
        Column("state", "State"),
        Column("namespace", "Namespace"),
        Column("resource", "Resource"),
        Column("detectedAt", "Detected", Unit.TIME),
        Column("assignedTo", "Assigned to"),
    ]
    total = len(shown) if len(shown) < SHOWN else rows.order_by().count()
    return Table("open", "Still open, oldest first", columns, shown, total=total)


def _charts(question: Question, daily: dict[tuple[date, str], Sums], top: Table) -> list[Chart]:
    charts: list[Chart] = []
    if question.span.length <= DRAWN * DAY * 3600:
        along = days(question)
        labels = [f"{day:%m-%d}" for day in along]
        stacks = [Series(name, [daily.get((day, name), NOTHING)["total"] for day in along]) for name in Severity.values]
        charts.append(Chart("Incidents per day", ChartKind.BARS, labels, stacks))
        charts.append(
            Chart(
                "Mean time to resolve",
                ChartKind.LINES,
                labels,
                [Series("mean", [_mttr_of(daily, day) for day in along])],
                Unit.SECONDS,
            )
        )
    counts: list[Any] = top.column("total")
    resources = [str(name) for name in top.column("resource")]
    charts.append(
        Chart("Where most incidents were", ChartKind.RANKING, resources[:10], [Series("incidents", counts[:10])])
    )
    return charts


def _mttr_of(daily: dict[tuple[date, str], Sums], day: date) -> float | None:
    of_day = [daily.get((day, name), NOTHING) for name in Severity.values]
    return mean(sum(sums["resolve_sum"] for sums in of_day), sum(sums["resolve_count"] for sums in of_day))
