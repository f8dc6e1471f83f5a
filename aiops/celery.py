"""The Celery application. Its settings, queues and schedules are the `CELERY_*` settings; tasks are named, never imported."""

import os

from celery import Celery

from aiops import broker

broker.install()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiops.settings")

app = Celery("aiops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
