from celery import shared_task
from django.utils import timezone

from aiops.audit import exports, retention, services
from aiops.audit.models import AuditExport


@shared_task
def write_export(*, job_id: str) -> None:
    """Write the file of one export. One that is gone or taken meanwhile is no error."""
    job = AuditExport.objects.filter(job_id=job_id).first()
    if job is not None:
        exports.write(job=job, at=timezone.now())


@shared_task
def sweep_exports() -> None:
    exports.sweep(at=timezone.now())


@shared_task
def verify_audit() -> None:
    """Walk along all chains, so that reports can say whether the log holds."""
    services.judge(at=timezone.now())


@shared_task
def forget() -> None:
    """Remove records that need not be kept any longer."""
    retention.forget(at=timezone.now())
