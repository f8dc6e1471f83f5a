"""What /metrics says of incidents: a few aggregates, read when Prometheus asks."""

from collections.abc import Iterable

from django.db.models import Avg, Count, F, Q

from aiops.health.metrics import Gauge
from incidents.models import FleetCorrelation, Incident, PostMortem
from incidents.states import ACTIVE, IncidentState

PREFIX = "chatcli_operator"


def measure() -> Iterable[Gauge]:
    incidents = Incident.objects.order_by()
    counts = incidents.values_list("severity", "state").annotate(Count("pk"))
    active = incidents.filter(state__in=ACTIVE).values_list("namespace").annotate(Count("pk"))
    took = (
        incidents.filter(state=IncidentState.RESOLVED, chaos_experiment="")
        .values_list("severity")
        .annotate(span=Avg(F("resolved_at") - F("detected_at")))
    )
    shared = list(
        FleetCorrelation.objects.order_by()
        .values_list("kind")
        .annotate(rows=Count("pk"), cascades=Count("pk", filter=Q(cascade=True)))
    )
    reports = PostMortem.objects.order_by().values_list("author").annotate(Count("pk"))
    return [
        Gauge(
            f"{PREFIX}_issues_total",
            "Incidents by severity and state",
            ("severity", "state"),
            [((severity, state), count) for severity, state, count in counts],
        ),
        Gauge(
            f"{PREFIX}_active_issues",
            "Incidents that are neither resolved nor failed",
            ("namespace",),
            [((namespace,), count) for namespace, count in active],
        ),
        Gauge(
            f"{PREFIX}_issue_resolution_duration_seconds",
            "Mean time from detection to resolution, without chaos experiments",
            ("severity",),
            [((severity,), span.total_seconds()) for severity, span in took if span is not None],
        ),
        Gauge(
            f"{PREFIX}_postmortems_total",
            "Postmortems by author",
            ("source",),
            [((author,), count) for author, count in reports],
        ),
        Gauge(
            f"{PREFIX}_federation_cross_cluster_issues_total",
            "Correlations across clusters by what is shared",
            ("kind",),
            [((kind,), count) for kind, count, _ in shared],
        ),
        Gauge(
            f"{PREFIX}_federation_cascade_detected_total",
            "Correlations that were seen in staging before production",
            (),
            [((), sum(count for _, _, count in shared))],
        ),
    ]
