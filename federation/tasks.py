"""Doors from the queue to the services. Every message is only a nudge: a check is due until somebody has made it."""

import time
from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from federation.services import connectivity, folder, health, secret

BUDGET = 25.0  # seconds of one round; what is left is due at the next one


@shared_task(ignore_result=True)
def check_due_clusters() -> None:
    """Check every cluster that is due, many at a time, and say so when nearly all of them are silent."""
    began = time.monotonic()
    while health.check_due(at=timezone.now()) and time.monotonic() - began < BUDGET:
        continue
    connectivity.tell(at=timezone.now())


@shared_task(ignore_result=True)
def forget_old_samples() -> None:
    health.forget_old_samples(at=timezone.now())


@shared_task(ignore_result=True)
def read_kubeconfigs() -> None:
    """Register new kubeconfigs of the folder and of Secrets, and rotate changed ones."""
    if settings.AIOPS_KUBECONFIG_DIR:
        folder.sync(folder=Path(settings.AIOPS_KUBECONFIG_DIR), at=timezone.now())
    if settings.AIOPS_KUBECONFIG_SECRET:
        secret.sync(at=timezone.now())
