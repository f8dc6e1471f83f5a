from analytics.families import WORKLOADS
from analytics.models import ReportKind
from analytics.reports.document import Chart, ChartKind, Column, Figure, Report, Row, Series, Table, Unit
from analytics.services.figures import capacity
from analytics.services.questions import Question
from analytics.services.reading import Reader
from analytics.services.reports.base import SHOWN, TOP, filters, percent
from federation.models import Cluster

# symptoms of too little room
SIGNALS = frozenset(
    {
        "cpu_high",
        "memory_high",
        "oom_kill",
        "disk_pressure",
        "pid_pressure",
        "pod_capacity_high",
        "pvc_pending",
        "hpa_maxed",
    }
)
BOTTLENECK = 3  # incidents of one resource in the span


def build(question: Question) -> Report:
    clusters, forecasts, pressure = _clusters(question), _forecasts(question), _pressure(question)
    urgencies = forecasts.column("urgency")
    return Report(
        kind=ReportKind.CAPACITY,
        title="Capacity",
        since=question.since,
        until=question.until,
        generated_at=question.at,
        filters=filters(question),
        figures=[
            Figure("clusters", "Clusters", len(clusters.rows)),
            Figure("urgent", "Full within a week", urgencies.count(capacity.URGENT)),
            Figure("plan", "Full within a month", urgencies.count(capacity.PLAN)),
            Figure("resources", "Resources under pressure", pressure.total),
            Figure("bottlenecks", "Bottlenecks", sum(1 for row in pressure.rows if row[-1])),
        ],
        tables=[clusters, forecasts, pressure],
        charts=[_soonest(forecasts), _chart(pressure), _pods(clusters)],
        notes=[
            "Forecasts come from usage samples: a robust trend after the weekly pattern was taken out.",
            f"Under pressure: incidents with {', '.join(sorted(SIGNALS))}.",
            f"A bottleneck had {BOTTLENECK} such incidents or more in the period.",
        ],
    )


def _clusters(question: Question) -> Table:
    found = question.narrow(Cluster.objects.filter(enabled=True), cluster="name").order_by("name", "pk")
    names = ("name", "phase", "node_count", "nodes_ready", "pod_count", "pod_capacity")
    rows: list[Row] = []
    for name, phase, nodes, ready, pods, room in found.values_list(*names)[:SHOWN]:
        used = None if pods is None or not room else percent(pods, room)
        rows.append((name, phase, nodes, ready, pods, room, used))
    columns = [
        Column("cluster", "Cluster"),
        Column("phase", "Phase"),
        Column("nodes", "Nodes", Unit.COUNT),
        Column("nodesReady", "Ready", Unit.COUNT),
        Column("pods", "Pods", Unit.COUNT),
        Column("podCapacity", "Room for pods", Unit.COUNT),
        Column("podsUsed", "Used", Unit.PERCENT),
    ]
    return Table("clusters", "Clusters now", columns, rows)


def _forecasts(question: Question) -> Table:
    rows: list[Row] = []
    for item in capacity.forecasts(question)[:SHOWN]:
        about, used, ahead = item["Resource"], item["UsagePercentage"], item["Forecast"]
        resource = f"{about['Kind']}/{about['Name']}"
        rows.append(
            (
                resource,
                about["Namespace"],
                item["Urgency"],
                used["CPU"],
                used["Memory"],
                item["Trend"]["Direction"],
                ahead["CPUExhaustionDate"],
                ahead["MemoryExhaustionDate"],
                item["Recommendation"],
            )
        )
    columns = [
        Column("resource", "Resource"),
        Column("namespace", "Namespace"),
        Column("urgency", "Urgency"),
        Column("cpu", "CPU used", Unit.PERCENT),
        Column("memory", "Memory used", Unit.PERCENT),
        Column("direction", "Trend"),
        Column("cpuFullAt", "CPU full", Unit.TIME),
        Column("memoryFullAt", "Memory full", Unit.TIME),
        Column("recommendation", "Recommendation"),
    ]
    return Table("forecasts", "What runs full, and when", columns, rows)


def _pressure(question: Question) -> Table:
    reader = Reader(WORKLOADS, question.span, question.where)
    found: dict[tuple[str, str, str, str], dict[str, int]] = {}
    by = ("cluster", "namespace", "kind", "name", "signal")
    for (cluster, namespace, kind, name, signal), sums in reader.sums(
        "total", by=by, among={"signal": SIGNALS}
    ).items():
        found.setdefault((cluster, namespace, kind, name), {})[signal] = sums["total"]
    ranked = sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    rows: list[Row] = []
    for (cluster, namespace, kind, name), signals in ranked[:TOP]:
        total = sum(signals.values())
        symptoms = ", ".join(sorted(signals, key=lambda signal: (-signals[signal], signal)))
        rows.append((f"{kind}/{name}", namespace, cluster or None, symptoms, total, total >= BOTTLENECK))
    columns = [
        Column("resource", "Resource"),
        Column("namespace", "Namespace"),
        Column("cluster", "Cluster"),
        Column("symptoms", "Symptoms"),
        Column("incidents", "Incidents", Unit.COUNT),
        Column("bottleneck", "Bottleneck"),
    ]
    return Table("pressure", "Resources under pressure", columns, rows, total=len(found))


def _soonest(forecasts: Table) -> Chart:
    """Memory runs full more suddenly than CPU, so it is what the chart shows."""
    used = [
        (float(str(value)), str(name))
        for name, value in zip(forecasts.column("resource"), forecasts.column("memory"), strict=True)
        if value is not None
    ]
    used.sort(key=lambda one: (-one[0], one[1]))
    labels, values = [name for _, name in used[:10]], [value for value, _ in used[:10]]
    return Chart("Memory used, of the limit", ChartKind.RANKING, labels, [Series("used", values)], Unit.PERCENT)


def _chart(pressure: Table) -> Chart:
    values = [float(str(count)) for count in pressure.column("incidents")[:10]]
    labels = [str(name) for name in pressure.column("resource")[:10]]
    return Chart("Incidents for lack of room", ChartKind.RANKING, labels, [Series("incidents", values)])


def _pods(clusters: Table) -> Chart:
    values = [None if used is None else float(str(used)) for used in clusters.column("podsUsed")[:10]]
    labels = [str(name) for name in clusters.column("cluster")[:10]]
    return Chart("Room for pods that is used", ChartKind.RANKING, labels, [Series("used", values)], Unit.PERCENT)
