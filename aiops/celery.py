"""The Celery application. Its settings, queues and schedules are the `CELERY_*` settings; tasks are named, never imported."""

import os
import sys
from pathlib import Path

from celery import Celery
from celery.signals import task_postrun, task_prerun
from django.db import close_old_connections

from aiops import broker

broker.install()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiops.settings")
# Celery would run Django's checks without looking at what they find. They load all of the API, which no worker serves.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("aiops")
app.config_from_object("django.conf:settings", namespace="CELERY")
if not (Path(sys.argv[0]).name == "celery" and "beat" in sys.argv):
    app.autodiscover_tasks()  # beat sends them by name and would only keep in memory what they need


@task_prerun.connect
@task_postrun.connect
def keep_connections(**_: object) -> None:
    """Keep connections from task to task, but not one that broke or outlived its time (`CELERY_DB_REUSE_MAX`)."""
    close_old_connections()
