"""Reports that go out by themselves."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from aiops.models import Resource
from aiops.states import change


class ReportKind(models.TextChoices):
    INCIDENTS = "incidents"
    SLO = "slo"
    COMPLIANCE = "compliance"
    CAPACITY = "capacity"
    NOISE = "noise"


class ReportSchedule(Resource):
    """Which report goes to whom, and when. The row waits with its `due_at`; a sweep sends what is due.

    What was missed is caught up once, however often it was missed.
    """

    KIND: ClassVar[str] = "ReportSchedule"

    report = models.CharField(max_length=16, choices=ReportKind)
    period = models.CharField(max_length=8, default="7d", help_text="What the report covers: 24h, 7d, 30d, 90d.")
    cron = models.CharField(max_length=100, help_text="Five fields of cron, for example: 0 7 * * mon")
    time_zone = models.CharField(max_length=64, default="UTC")
    channels = models.JSONField(default=list, help_text="Names of notification channels.")
    cluster = models.CharField(max_length=253, blank=True, help_text="Empty: all.")
    report_namespace = models.CharField("namespace of the report", max_length=253, blank=True, help_text="Empty: all.")
    enabled = models.BooleanField(default=True)

    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=1024, blank=True, editable=False)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["name"], name="report_schedule_name_is_unique")]
        indexes = [models.Index(fields=["due_at"], condition=Q(enabled=True), name="report_schedule_due")]

    def change(self, **changes: Any) -> None:
        """Raises `LostRace`."""
        change(self, **changes)
