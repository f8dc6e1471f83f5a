from celery import shared_task
from django.utils import timezone

from aiops.notifications import delivery, services
from aiops.notifications.models import Notification
from aiops.nudges import work_off


@shared_task
def sweep() -> None:
    """Deliver what is due."""
    delivery.sweep(at=timezone.now())


@shared_task
def deliver(*, ids: list[str]) -> None:
    """Deliver the messages with these keys now. One that was deleted or taken by the sweep meanwhile is no error."""
    work_off(services.DELIVER, ids, _deliver)


def _deliver(key: str) -> None:
    notification = Notification.objects.select_related("channel", "attachment").filter(key=key).first()
    if notification is not None:
        delivery.deliver(notification=notification, at=timezone.now())


@shared_task
def forget_attachments() -> None:
    services.forget_attachments(at=timezone.now())


@shared_task
def forget() -> None:
    """Delete messages that need not be kept any longer."""
    services.forget(at=timezone.now())
