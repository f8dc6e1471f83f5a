"""Doors from the queue to the services. Every message is only a nudge: the sweeps find what was lost."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from aiops.nudges import nudge, nudge_rows, work_off
from aiops.statements import Slot, Statement
from federation.models import Cluster, memory_of
from incidents.models import Incident
from incidents.services import analysis, detection, escalation, fleet, reachability, suppression

BATCH = 200  # rows per sweep, the longest waiting first
ANALYSES = 1_000  # per sweep: what a storm left behind, ten in a message
ANALYZE = "incidents.tasks.analyze_incidents"
INCIDENT = Statement(
    lambda: Incident.objects.select_related("cluster").defer(*memory_of("cluster")).filter(pk=Slot("incident"))
)


@shared_task(ignore_result=True)
def poll_due_clusters() -> None:
    """One message per cluster, so that a cluster that hangs holds up nobody else."""
    for pk in Cluster.objects.due(timezone.now()).values_list("pk", flat=True)[:BATCH]:
        nudge("incidents.tasks.poll_cluster", cluster_id=pk, expires=settings.AIOPS_POLL_INTERVAL)


@shared_task(ignore_result=True)
def poll_cluster(*, cluster_id: int) -> None:
    """Look at the cluster if it is due and nobody else does so already."""
    at = timezone.now()
    cluster = Cluster.objects.due(at).filter(pk=cluster_id).first()
    if cluster is not None and detection.claim(cluster=cluster, at=at):
        detection.poll(cluster=cluster, at=at)


@shared_task(ignore_result=True)
def analyze_incidents(*, ids: list[int]) -> None:
    """Analyse those incidents that are due; what was resolved or taken meanwhile is left alone."""
    work_off(ANALYZE, ids, _analyze)


def _analyze(pk: int) -> None:
    incident = INCIDENT.first(incident=pk)
    if incident is not None:
        analysis.analyze(incident=incident, at=timezone.now())


@shared_task(ignore_result=True)
def sweep() -> None:
    """Find incidents that wait for their analysis, whatever became of the message about them."""
    nudge_rows(ANALYZE, *analysis.due(at=timezone.now(), limit=ANALYSES), expires=settings.AIOPS_SWEEP_INTERVAL)


@shared_task(ignore_result=True)
def correlate_fleet() -> None:
    """Find what several clusters suffer from together, and which ones cannot be reached."""
    fleet.correlate(at=timezone.now())
    reachability.watch(at=timezone.now())


@shared_task(ignore_result=True)
def sweep_escalations() -> None:
    """Start the escalations that are wanted and take those that are due one level on."""
    escalation.advance_due(at=timezone.now())


@shared_task(ignore_result=True)
def forget_suppressed() -> None:
    suppression.forget(at=timezone.now())
