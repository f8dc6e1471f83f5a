"""Doors from the queue to the services. Every message is only a nudge: the sweeps find what was lost."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from aiops.nudges import nudge
from federation.models import Cluster
from incidents.models import Incident
from incidents.services import analysis, detection, escalation, fleet

BATCH = 200  # rows per sweep, the longest waiting first


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
def analyze_incident(*, incident_id: int) -> None:
    """Analyse the incident if it is due; one that was resolved or taken meanwhile is left alone."""
    incident = Incident.objects.select_related("cluster").filter(pk=incident_id).first()
    if incident is not None:
        analysis.analyze(incident=incident, at=timezone.now())


@shared_task(ignore_result=True)
def sweep() -> None:
    """Find incidents that wait for their analysis, whatever became of the message about them."""
    for pk in analysis.due(at=timezone.now(), limit=BATCH):
        nudge("incidents.tasks.analyze_incident", incident_id=pk, expires=settings.AIOPS_SWEEP_INTERVAL)


@shared_task(ignore_result=True)
def correlate_fleet() -> None:
    """Find what several clusters suffer from together."""
    fleet.correlate(at=timezone.now())


@shared_task(ignore_result=True)
def sweep_escalations() -> None:
    """Start the escalations that are wanted and take those that are due one level on."""
    escalation.advance_due(at=timezone.now())
