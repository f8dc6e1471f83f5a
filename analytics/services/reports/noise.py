"""How much of what is said is worth saying (analytics.md §8)."""

from datetime import UTC
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import ExtractHour, ExtractIsoWeekDay

from aiops.notifications.models import Notification
from analytics.families import INCIDENTS, PLAN_FAMILY, WORKLOADS
from analytics.models import ReportKind
from analytics.reports.document import Chart, ChartKind, Column, Figure, Report, Row, Series, Table, Unit
from analytics.services.questions import Question
from analytics.services.reading import Reader
from analytics.services.reports.base import TOP, filters, percent

State = Notification.State
FLAPPING = 3  # incidents of one workload and signal in the span
NIGHT = Q(hour__lt=7) | Q(hour__gte=22)
WEEKEND = Q(weekday__gte=6)


def build(question: Question) -> Report:
    incidents = Reader(INCIDENTS, question.span, question.where)
    workloads = Reader(WORKLOADS, question.span, question.where)
    signals = _signals(workloads)
    return Report(
        kind=ReportKind.NOISE,
        title="Noise and toil",
        since=question.since,
        until=question.until,
        generated_at=question.at,
        filters=filters(question),
        figures=_figures(question, incidents),
        tables=[signals, _flapping(workloads), _interruptions(question)],
        charts=[_chart(signals)],
        notes=[
            "Acted on: acknowledged, resolved by a person, or repaired by a completed plan.",
            "Automation lift: success of finished plans less the share of incidents that healed by themselves.",
            "Interruptions are messages that were sent; night is 22:00 to 07:00 UTC. They are not narrowed by the filters.",
        ],
    )


def _figures(question: Question, incidents: Reader) -> list[Figure]:
    sums = incidents.total("total", "anomalies", "acted_on", "self_healed", "resolved")
    plans = Reader(PLAN_FAMILY, question.span, question.where).total("completed", "failed", "rolled_back")
    finished = plans["completed"] + plans["failed"] + plans["rolled_back"]
    success = percent(plans["completed"], finished)
    healed = percent(sums["self_healed"], sums["resolved"])
    lift = None if success is None or healed is None else round(success - healed, 1)
    per_incident = round(sums["anomalies"] / sums["total"], 2) if sums["total"] else None
    compression = percent(sums["anomalies"] - sums["total"], sums["anomalies"])
    return [
        Figure("signals", "Signals", sums["anomalies"]),
        Figure("incidents", "Incidents", sums["total"]),
        Figure("signalsPerIncident", "Signals per incident", per_incident, Unit.NUMBER, sums["total"]),
        Figure("compression", "Compression", compression, Unit.PERCENT, sums["anomalies"]),
        Figure("actionable", "Acted on", percent(sums["acted_on"], sums["total"]), Unit.PERCENT, sums["total"]),
        Figure("selfHealed", "Healed by themselves", healed, Unit.PERCENT, sums["resolved"]),
        Figure("remediationSuccess", "Plans that succeeded", success, Unit.PERCENT, finished),
        Figure("automationLift", "Automation lift (points)", lift, Unit.NUMBER, finished),
    ]


def _signals(reader: Reader) -> Table:
    found = reader.sums("total", "acted_on", "anomalies", by=("signal",))
    ranked = sorted(found.items(), key=lambda item: (-(item[1]["total"] - item[1]["acted_on"]), item[0]))
    rows: list[Row] = []
    for (signal,), sums in ranked:
        never = sums["total"] - sums["acted_on"]
        share = percent(sums["acted_on"], sums["total"])
        rows.append((signal or "unknown", sums["anomalies"], sums["total"], sums["acted_on"], never, share))
    columns = [
        Column("signalType", "Signal"),
        Column("signals", "Signals", Unit.COUNT),
        Column("incidents", "Incidents", Unit.COUNT),
        Column("actedOn", "Acted on", Unit.COUNT),
        Column("ignored", "Never acted on", Unit.COUNT),
        Column("actionable", "Share acted on", Unit.PERCENT),
    ]
    return Table("signals", "Signals, the most ignored first", columns, rows)


def _flapping(reader: Reader) -> Table:
    found = reader.sums("total", "acted_on", by=("cluster", "namespace", "kind", "name", "signal"))
    often = [(key, sums) for key, sums in found.items() if sums["total"] >= FLAPPING]
    often.sort(key=lambda item: (-item[1]["total"], item[0]))
    rows: list[Row] = [
        (f"{kind}/{name}", namespace, cluster or None, signal, sums["total"], sums["acted_on"])
        for (cluster, namespace, kind, name, signal), sums in often[:TOP]
    ]
    columns = [
        Column("resource", "Resource"),
        Column("namespace", "Namespace"),
        Column("cluster", "Cluster"),
        Column("signalType", "Signal"),
        Column("incidents", "Incidents", Unit.COUNT),
        Column("actedOn", "Acted on", Unit.COUNT),
    ]
    return Table(
        "flapping", f"The same signal of the same workload, {FLAPPING} times or more", columns, rows, total=len(often)
    )


def _interruptions(question: Question) -> Table:
    """Who was told how often, and when."""
    if question.where.namespaces is not None or question.where.clusters is not None:
        sent = Notification.objects.none()  # messages to people say nothing about the scope of a key
    else:
        sent = question.rows(Notification.objects.all(), "created_at")
    counted = (
        sent.annotate(hour=ExtractHour("created_at", tzinfo=UTC), weekday=ExtractIsoWeekDay("created_at", tzinfo=UTC))
        .order_by()
        .values_list("channel_name")
        .annotate(
            sent=Count("pk", filter=Q(state=State.SENT)),
            night=Count("pk", filter=Q(state=State.SENT) & NIGHT),
            weekend=Count("pk", filter=Q(state=State.SENT) & WEEKEND),
            suppressed=Count("pk", filter=Q(state=State.SUPPRESSED)),
            failed=Count("pk", filter=Q(state=State.FAILED)),
        )
        .order_by("-sent", "channel_name")
    )
    columns = [
        Column("channel", "Channel"),
        Column("sent", "Sent", Unit.COUNT),
        Column("night", "At night", Unit.COUNT),
        Column("weekend", "At the weekend", Unit.COUNT),
        Column("suppressed", "Suppressed", Unit.COUNT),
        Column("failed", "Failed", Unit.COUNT),
    ]
    return Table("interruptions", "Interruptions", columns, list(counted[:TOP]))


def _chart(signals: Table) -> Chart:
    ignored: list[Any] = signals.column("ignored")
    labels = [str(name) for name in signals.column("signalType")]
    return Chart("Incidents nobody acted on", ChartKind.RANKING, labels[:10], [Series("incidents", ignored[:10])])
