from celery import shared_task
from django.conf import settings
from django.utils import timezone

from aiops.apikeys.models import IdempotencyRecord


@shared_task
def forget_idempotency_keys() -> None:
    """Answers are kept for 24 hours (CON-4)."""
    IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - settings.IDEMPOTENCY_RETENTION).delete()
