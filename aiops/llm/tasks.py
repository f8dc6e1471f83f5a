from celery import shared_task
from django.utils import timezone

from aiops.llm import services


@shared_task
def forget() -> None:
    """Delete calls that need not be kept any longer."""
    services.forget(at=timezone.now())
