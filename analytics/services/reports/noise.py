"""How much of what is said is worth saying (analytics.md §8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, ExtractHour, ExtractIsoWeekDay

from aiops.notifications.models import Notification
from analytics.families import INCIDENTS, PLAN_FAMILY, WORKLOADS
from analytics.metrics import ratio
from analytics.models import ReportKind
from analytics.periods import moment_of
from analytics.reports.document import Chart, ChartKind, Column, Figure, Report, Row, Series, Table, Unit
from analytics.services.questions import Question
from analytics.services.reading import Reader
from analytics.services.reports.base import SHOWN, TOP, filters, percent
from incidents.models import Anomaly, Incident, SuppressedSignal
from runbooks.models import ApprovalRequest

State = Notification.State
REAL = timedelta(hours=24)  # a suppressed signal that opened or joined an incident so soon was no noise
FLAPPING = 3  # incidents of one workload and signal in the span
NIGHT = Q(hour__lt=7) | Q(hour__gte=22)
WEEKEND = Q(weekday__gte=6)
MAIL = "email"  # type of the channels whose targets are people


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
        tables=[
            signals,
            _ignored(workloads),
            _suppressed(question),
            _flapping(workloads),
            _interruptions(question),
            _people(question),
        ],
        charts=[_chart(signals)],
        notes=[
            "Acted on: acknowledged, resolved by a person, or repaired by a completed plan.",
            "Automation lift: success of finished plans less the share of incidents that healed by themselves.",
            f"Night is 22:00 to 07:00 {settings.AIOPS_TIME_ZONE}. With a filter only messages about incidents count.",
            "Suppressed: it neither opened nor joined an incident; each signal counts once a day (UTC).",
            "A person is a mail address that messages were sent to, or a name that acknowledged or decided.",
        ],
    )


def _figures(question: Question, incidents: Reader) -> list[Figure]:
    sums = incidents.total("total", "anomalies", "acted_on", "self_healed", "resolved")
    plans = Reader(PLAN_FAMILY, question.span, question.where).total("total", "completed", "failed", "rolled_back")
    finished = plans["completed"] + plans["failed"] + plans["rolled_back"]
    success, covered = percent(plans["completed"], finished), ratio(finished, plans["total"])
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
        Figure(
            "selfHealed",
            "Healed by themselves",
            healed,
            Unit.PERCENT,
            sums["resolved"],
            ratio(sums["resolved"], sums["total"]),
        ),
        Figure("remediationSuccess", "Plans that succeeded", success, Unit.PERCENT, finished, covered),
        Figure("automationLift", "Automation lift (points)", lift, Unit.NUMBER, finished, covered),
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


def _ignored(reader: Reader) -> Table:
    """Where a rule could go: nobody and nothing ever acted on what it said."""
    found = reader.sums("total", "acted_on", "anomalies", "last", by=("signal", "namespace"))
    never = [(key, sums) for key, sums in found.items() if sums["total"] and not sums["acted_on"]]
    never.sort(key=lambda item: (-item[1]["total"], item[0]))
    rows: list[Row] = [
        (signal or "unknown", namespace, sums["anomalies"], sums["total"], moment_of(sums["last"]))
        for (signal, namespace), sums in never[:TOP]
    ]
    columns = [
        Column("signalType", "Signal"),
        Column("namespace", "Namespace"),
        Column("signals", "Signals", Unit.COUNT),
        Column("incidents", "Incidents", Unit.COUNT),
        Column("last", "Last", Unit.TIME),
    ]
    return Table("neverActedOn", "Rules that nobody ever acted on", columns, rows, total=len(never))


def _suppressed(question: Question) -> Table:
    """What maintenance and the origins themselves kept quiet, and how much of that was real after all."""
    kept = question.rows(
        SuppressedSignal.objects.all(), "at", cluster="cluster_name", namespace="namespace", severity="severity"
    )
    later = Anomaly.objects.filter(
        fingerprint=OuterRef("fingerprint"),
        detected_at__gt=OuterRef("at"),
        detected_at__lte=OuterRef("at") + REAL,
    )
    counted = (
        kept.order_by()
        .annotate(real=Exists(later))
        .values_list("signal_type", "origin")
        .annotate(
            maintenance=Count("pk", filter=Q(why=SuppressedSignal.Why.MAINTENANCE)),
            information=Count("pk", filter=Q(why=SuppressedSignal.Why.INFORMATION)),
            incidents=Count("pk", filter=Q(real=True)),
        )
        .order_by((F("maintenance") + F("information")).desc(), "signal_type", "origin")
    )
    columns = [
        Column("signalType", "Signal"),
        Column("origin", "Origin"),
        Column("maintenance", "Under maintenance", Unit.COUNT),
        Column("information", "Mere information", Unit.COUNT),
        Column("incidents", "of these in an incident within a day", Unit.COUNT),
    ]
    return Table("suppressed", "Suppressed signals", columns, list(counted[:TOP]))


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


# --- whom it interrupts ----------------------------------------------------------------------------------------------------


def _messages(question: Question) -> QuerySet[Notification]:
    """With a filter, or for a key with a scope: those about the incidents within it."""
    sent = question.rows(Notification.objects.all(), "created_at")
    where = question.where
    if where.namespaces is None and where.clusters is None and where.severities is None:
        return sent
    about = question.narrow(Incident.objects.all(), cluster="cluster_name", namespace="namespace", severity="severity")
    return sent.filter(incident_name__in=about.order_by().values("name"))


def _clock(rows: QuerySet[Any], time: Any) -> Any:
    """With the hour and weekday at which people saw it."""
    zone = settings.AIOPS_TIME_ZONE
    return rows.annotate(hour=ExtractHour(time, tzinfo=zone), weekday=ExtractIsoWeekDay(time, tzinfo=zone)).order_by()


def _interruptions(question: Question) -> Table:
    """Which channel was used how often, and when."""
    counted = (
        _clock(_messages(question), Coalesce("sent_at", "created_at"))
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
    return Table("interruptions", "Messages by channel", columns, list(counted[:TOP]))


@dataclass(slots=True)
class Toil:
    """What reached one person, and what the person did; `night` and `weekend` may both hold of one interruption."""

    messages: int = 0
    escalations: int = 0  # of the messages
    acknowledged: int = 0
    decided: int = 0
    night: int = 0
    weekend: int = 0
    outside: int = 0  # at night, at the weekend or both

    @property
    def total(self) -> int:
        return self.messages + self.acknowledged + self.decided

    def add(self, night: int, weekend: int, outside: int) -> None:
        self.night += night
        self.weekend += weekend
        self.outside += outside


OUTSIDE: Mapping[str, Count] = {
    "at_night": Count("pk", filter=NIGHT),
    "at_weekend": Count("pk", filter=WEEKEND),
    "outside": Count("pk", filter=NIGHT | WEEKEND),
}


def _people(question: Question) -> Table:
    """Mail is counted for each address; other channels say nothing about who reads them."""
    found: dict[str, Toil] = {}
    mail = _messages(question).filter(state=State.SENT, channel_type=MAIL).exclude(target="")
    counted = (
        _clock(mail, Coalesce("sent_at", "created_at"))
        .values_list("target")
        .annotate(n=Count("pk"), escalations=Count("pk", filter=Q(event__startswith="escalation")), **OUTSIDE)
    )
    for target, number, escalations, *outside in counted:
        for address in {one.strip() for one in target.split(",")}:
            toil = found.setdefault(address, Toil())
            toil.messages += number
            toil.escalations += escalations
            toil.add(*outside)
    for person, number, *outside in _by_person(_acknowledged(question), "acknowledged_by", "acknowledged_at"):
        found.setdefault(person, Toil()).acknowledged += number
        found[person].add(*outside)
    for person, number, *outside in _by_person(_decided(question), "decided_by", "decided_at"):
        found.setdefault(person, Toil()).decided += number
        found[person].add(*outside)
    return _people_table(found)


def _by_person(rows: QuerySet[Any], person: str, time: str) -> Any:
    return _clock(rows.exclude(**{person: ""}), time).values_list(person).annotate(n=Count("pk"), **OUTSIDE)


def _acknowledged(question: Question) -> QuerySet[Incident]:
    return question.rows(
        Incident.objects.all(), "acknowledged_at", cluster="cluster_name", namespace="namespace", severity="severity"
    )


def _decided(question: Question) -> QuerySet[ApprovalRequest]:
    return question.rows(
        ApprovalRequest.objects.filter(auto_approved=False, decided_at__isnull=False),
        "created_at",
        cluster="incident__cluster_name",
        namespace="namespace",
        severity="incident__severity",
    )


def _people_table(found: Mapping[str, Toil]) -> Table:
    ranked = sorted(found.items(), key=lambda item: (-item[1].outside, -item[1].total, item[0]))
    rows: list[Row] = [
        (
            person,
            toil.messages,
            toil.escalations,
            toil.acknowledged,
            toil.decided,
            toil.night,
            toil.weekend,
            percent(toil.outside, toil.total),
        )
        for person, toil in ranked[:SHOWN]
    ]
    columns = [
        Column("person", "Person"),
        Column("messages", "Messages", Unit.COUNT),
        Column("escalations", "of these escalations", Unit.COUNT),
        Column("acknowledged", "Acknowledged", Unit.COUNT),
        Column("decided", "Decided", Unit.COUNT),
        Column("night", "At night", Unit.COUNT),
        Column("weekend", "At the weekend", Unit.COUNT),
        Column("outside", "Out of hours", Unit.PERCENT),
    ]
    return Table(
        "people", "Whom it interrupts, those at night and at the weekend first", columns, rows, total=len(found)
    )


def _chart(signals: Table) -> Chart:
    ignored: list[Any] = signals.column("ignored")
    labels = [str(name) for name in signals.column("signalType")]
    return Chart("Incidents nobody acted on", ChartKind.RANKING, labels[:10], [Series("incidents", ignored[:10])])
