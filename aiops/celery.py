"""The Celery application and the schedules every installation has. Tasks are named, never imported."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiops.settings")

app = Celery("aiops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# separate queues, so that a burst of one kind does not starve another
app.conf.task_routes = {
    "federation.tasks.*": {"queue": "poll"},
    "incidents.tasks.*": {"queue": "default"},
    "runbooks.tasks.*": {"queue": "remediation"},
    "aiops.notifications.tasks.*": {"queue": "notify"},
}
QUEUES = ("default", "poll", "remediation", "notify")

SWEEP = float(settings.AIOPS_SWEEP_INTERVAL)
app.conf.beat_schedule = {
    "poll-due-clusters": {
        "task": "incidents.tasks.poll_due_clusters", "schedule": min(SWEEP, float(settings.AIOPS_POLL_INTERVAL)),
        "options": {"expires": SWEEP},
    },
    "sweep-incidents": {"task": "incidents.tasks.sweep", "schedule": SWEEP, "options": {"expires": SWEEP}},
    "sweep-escalations": {"task": "incidents.tasks.sweep_escalations", "schedule": SWEEP, "options": {"expires": SWEEP}},
    "sweep-plans": {"task": "runbooks.tasks.sweep", "schedule": SWEEP, "options": {"expires": SWEEP}},
    "sweep-notifications": {
        "task": "aiops.notifications.tasks.sweep", "schedule": SWEEP, "options": {"expires": SWEEP},
    },
    "forget-idempotency-keys": {"task": "aiops.apikeys.tasks.forget_idempotency_keys", "schedule": 3600.0},
}
