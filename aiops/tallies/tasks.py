from celery import shared_task

from aiops.tallies import services


@shared_task
def fold() -> None:
    """Keep the lines few, so that reading them stays cheap."""
    services.fold()
