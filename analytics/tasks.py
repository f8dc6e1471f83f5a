from celery import shared_task
from django.utils import timezone

from analytics.models import ReportSchedule
from analytics.services import rollups, schedules


@shared_task
def refresh_rollups() -> None:
    """Make the roll-ups again of what changed. Reports are right without it, but slower the more has changed."""
    rollups.refresh()


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
