from datetime import date

from analytics.models import ReportKind
from analytics.periods import DAY, HOUR
from analytics.reports.document import Chart, ChartKind, Column, Figure, Report, Row, Series, Table, Unit
from analytics.services.questions import Question
from analytics.services.reports.base import SHOWN, days, filters
from slos import figures
from slos.models import SLO, BurnAlert, DailyHistory, SLOType, Status

DRAWN = 5  # SLOs in one chart
LONGEST = 400 * DAY * HOUR  # seconds of a chart


def build(question: Question) -> Report:
    rows = question.narrow(SLO.objects.filter(enabled=True), cluster="cluster__name", namespace="namespace")
    slos = list(rows.order_by("name", "namespace")[:SHOWN])
    budgets = _budgets(slos, question, total=rows.count())
    return Report(
        kind=ReportKind.SLO,
        title="Service-level objectives",
        since=question.since,
        until=question.until,
        generated_at=question.at,
        filters={name: value for name, value in filters(question).items() if name != "severity"},
        figures=_figures(slos),
        tables=[budgets, _alerts(question)],
        charts=_charts(slos, budgets, question),
        notes=[
            "Status and budget are those of now, over the window of each objective; the charts show the period.",
            "An objective that cannot be measured has no value: it is neither met nor broken.",
        ],
    )


def _figures(slos: list[SLO]) -> list[Figure]:
    count = {status: sum(1 for slo in slos if slo.status == status) for status in Status.values}
    return [
        Figure("total", "Objectives", len(slos)),
        Figure("healthy", "Healthy", count[Status.HEALTHY]),
        Figure("warning", "Warning", count[Status.WARNING]),
        Figure("breached", "Breached", count[Status.BREACHED]),
        Figure("unmeasured", "Without data", sum(1 for slo in slos if slo.current is None)),
    ]


def _budgets(slos: list[SLO], question: Question, *, total: int) -> Table:
    rows: list[Row] = []
    for slo in slos:
        budget = figures.figures_of(slo, question.at)
        left = None if budget.remaining_percent is None else round(budget.remaining_percent, 1)
        target = f"{slo.target.normalize():f} {slo.target_unit}"
        current = None if slo.current is None else f"{slo.current:g} {slo.target_unit}"
        rows.append(
            (slo.name, slo.namespace, slo.service, target, current, slo.status, left, budget.total, budget.consumed)
        )
    columns = [
        Column("name", "Objective"),
        Column("namespace", "Namespace"),
        Column("service", "Service"),
        Column("target", "Target"),
        Column("current", "Current"),
        Column("status", "Status"),
        Column("budgetLeft", "Budget left", Unit.PERCENT),
        Column("budgetMinutes", "Budget (min)", Unit.NUMBER),
        Column("consumedMinutes", "Consumed (min)", Unit.NUMBER),
    ]
    return Table("objectives", "Objectives", columns, rows, total=total)


def _alerts(question: Question) -> Table:
    alerts = question.rows(
        BurnAlert.objects.all(),
        "fired_at",
        cluster="slo__cluster__name",
        namespace="slo__namespace",
        severity="severity",
    )
    names = ("slo__name", "slo__namespace", "window", "severity", "burn_rate", "fired_at", "cleared_at")
    rows: list[Row] = list(alerts.order_by("-fired_at", "pk").values_list(*names)[:SHOWN])
    columns = [
        Column("slo", "Objective"),
        Column("namespace", "Namespace"),
        Column("window", "Rule"),
        Column("severity", "Severity"),
        Column("burnRate", "Burn rate", Unit.NUMBER),
        Column("firedAt", "Fired", Unit.TIME),
        Column("clearedAt", "Cleared", Unit.TIME),
    ]
    total = len(rows) if len(rows) < SHOWN else alerts.order_by().count()
    return Table("alerts", "Burn-rate alerts", columns, rows, total=total)


def _charts(slos: list[SLO], budgets: Table, question: Question) -> list[Chart]:
    left = {
        slo.pk: float(str(value))
        for slo, value in zip(slos, budgets.column("budgetLeft"), strict=True)
        if value is not None
    }
    measured = sorted((slo for slo in slos if slo.pk in left), key=lambda slo: (left[slo.pk], slo.name))
    charts = [
        Chart(
            "Error budget left, the least first",
            ChartKind.RANKING,
            [slo.name for slo in measured[:10]],
            [Series("left", [left[slo.pk] for slo in measured[:10]])],
            Unit.PERCENT,
        )
    ]
    worst = [slo for slo in measured if slo.type == SLOType.AVAILABILITY][:DRAWN]
    if worst and question.span.length <= LONGEST:
        along = days(question)
        series = [Series(slo.name, _per_day(slo, along)) for slo in worst]
        labels = [f"{day:%m-%d}" for day in along]
        charts.append(Chart("Availability per day", ChartKind.LINES, labels, series, Unit.PERCENT))
    return charts


def _per_day(slo: SLO, along: list[date]) -> list[float | None]:
    """Percent of each day; None where nothing was measured."""
    rows = DailyHistory.objects.filter(slo=slo, day__gte=along[0], day__lte=along[-1])
    found = {
        row.day: figures.value_of(
            slo,
            good=row.good - row.excluded_good,
            total=row.total - row.excluded_total,
            value_sum=row.value_sum,
            value_count=row.value_count,
        )
        for row in rows
    }
    return [found.get(day) for day in along]
