from celery import shared_task
from django.utils import timezone

from aiops.nudges import nudge
from analytics.models import ReportSchedule
from analytics.services import rollups, sampling, schedules
from federation.models import Cluster

SAMPLE_INTERVAL = 300.0  # seconds, as the schedule in the settings says
MOST_CLUSTERS = 1_000


@shared_task
def refresh_rollups() -> None:
    """Make the roll-ups again of what changed. Reports are right without it, but slower the more has changed."""
    rollups.refresh()


@shared_task
def sample_usage() -> None:
    """One message per cluster, so that a cluster that hangs holds up nobody else."""
    for pk in Cluster.objects.filter(enabled=True).order_by("pk").values_list("pk", flat=True)[:MOST_CLUSTERS]:
        nudge("analytics.tasks.sample_cluster", cluster_id=pk, expires=SAMPLE_INTERVAL)
    sampling.prune(at=timezone.now())


@shared_task
def sample_cluster(*, cluster_id: int) -> None:
    cluster = Cluster.objects.filter(pk=cluster_id, enabled=True).first()
    if cluster is not None:
        sampling.sample(cluster=cluster, at=timezone.now())


@shared_task
def sweep_reports() -> None:
    """Find the report schedules that are due."""
    schedules.sweep(at=timezone.now())


@shared_task
def send_report(*, schedule_id: int) -> None:
    """Send one report that is due. A schedule that is gone, or sent meanwhile, is no error."""
    schedule = ReportSchedule.objects.filter(pk=schedule_id).first()
    if schedule is not None:
        schedules.send_due(schedule=schedule, at=timezone.now())
