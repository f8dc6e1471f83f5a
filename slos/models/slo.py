from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from aiops.models import Resource
from aiops.states import change
from federation.models import Cluster


class SLOType(models.TextChoices):
    AVAILABILITY = "availability"
    LATENCY = "latency"
    ERROR_RATE = "error_rate"
    THROUGHPUT = "throughput"


class IndicatorSource(models.TextChoices):
    PROMETHEUS = "prometheus"
    WATCHER = "watcher"  # readiness of a workload, as the cluster says it
    ISSUES = "issues"  # downtime, as our incidents say it
    UNSUPPORTED = "unsupported"  # a `data_source` that cannot be asked: the SLO is kept, and never measured


class BudgetingMethod(models.TextChoices):
    """The words of OpenSLO (domain/slo-math.md §2)."""

    OCCURRENCES = "Occurrences"
    TIMESLICES = "Timeslices"
    RATIO_TIMESLICES = "RatioTimeslices"


class NoData(models.TextChoices):
    """What a slice without any event counts as."""

    IGNORE = "ignore"
    GOOD = "good"
    BAD = "bad"


class CalendarUnit(models.TextChoices):
    """The unit of a calendar window; empty for a rolling one."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Status(models.TextChoices):
    """SLO-1 of the contract."""

    HEALTHY = "healthy"
    WARNING = "warning"
    BREACHED = "breached"


class SLOQuerySet(models.QuerySet["SLO"]):
    def due(self, at: datetime) -> "SLOQuerySet":
        """Enabled ones that are to be evaluated and that nobody evaluates now, the longest waiting first."""
        free = Q(lease_until__isnull=True) | Q(lease_until__lte=at)
        return self.filter(free, enabled=True, due_at__lte=at).order_by("due_at", "pk")


class SLO(Resource):
    """An objective for a service, how it is measured, and what the last evaluation found.

    `version` counts changes of the definition only: an evaluation every minute would make every If-Match fail.
    """

    KIND: ClassVar[str] = "SLO"

    service = models.CharField(max_length=253)
    type = models.CharField(max_length=16, choices=SLOType)
    target = models.DecimalField(max_digits=16, decimal_places=6)  # percent, or milliseconds for latency
    target_unit = models.CharField(max_length=8, default="%")
    description = models.TextField(blank=True)  # shown as null when empty
    enabled = models.BooleanField(default=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.SET_NULL, null=True, blank=True, related_name="slos")

    window = models.CharField(max_length=16, default="30d")  # `<n>d` or `<n>h`; of a calendar window the nominal length
    calendar_unit = models.CharField(max_length=8, choices=CalendarUnit, blank=True)
    calendar_count = models.PositiveSmallIntegerField(default=1)  # units per period
    calendar_start = models.CharField(
        max_length=19, blank=True
    )  # `YYYY-MM-DD hh:mm:ss` in the zone; anchors the periods
    time_zone = models.CharField(max_length=64, default="UTC")  # IANA

    source = models.CharField(max_length=16, choices=IndicatorSource, default=IndicatorSource.ISSUES)
    data_source = models.CharField(max_length=253, blank=True)  # what the queries are for, where that is unsupported
    query = models.TextField(blank=True)  # a ratio, percentage or latency that is ready
    good_query = models.TextField(blank=True)
    bad_query = models.TextField(blank=True)  # instead of `good_query`
    total_query = models.TextField(blank=True)
    raw_type = models.CharField(max_length=8, blank=True)  # `success` or `failure`: what the ratio of `query` is of
    latency_percentile = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    threshold_op = models.CharField(
        max_length=4, blank=True
    )  # `lt`, `lte`, `gt`, `gte`: a value of `query` is good when …
    threshold_value = models.FloatField(null=True, blank=True)
    prometheus_url = models.URLField(max_length=1024, blank=True)  # empty: that of the cluster (X9.30)
    match_labels = models.JSONField(default=dict, blank=True)  # what every selector of the queries asks for besides
    resource_kind = models.CharField(
        max_length=63, blank=True
    )  # what a watcher looks at; empty: a workload named as the service
    resource_name = models.CharField(max_length=253, blank=True)

    budgeting_method = models.CharField(max_length=16, choices=BudgetingMethod, default=BudgetingMethod.OCCURRENCES)
    slice_seconds = models.PositiveIntegerField(null=True, blank=True)  # whole minutes that divide an hour
    slice_target = models.DecimalField(max_digits=9, decimal_places=8, null=True, blank=True)  # ratio in (0, 1]
    no_data = models.CharField(max_length=8, choices=NoData, default=NoData.IGNORE)

    # {severity, shortWindow, longWindow, burnRate} as the contract shows them; empty: the four default rules
    burn_rate_rules = models.JSONField(default=list, blank=True)
    notification_channels = models.JSONField(default=list, blank=True)
    page_on_budget_exhausted = models.BooleanField(default=False)
    minimum_events = models.PositiveIntegerField(
        null=True, blank=True
    )  # in the long window, before a page; null: by rule
    # what an imported document says beyond the fields above, so that its export loses nothing
    imported = models.JSONField(default=dict, blank=True)

    # --- what the last evaluation found; written by services.evaluation only
    status = models.CharField(max_length=8, choices=Status, default=Status.WARNING)
    status_reason = models.CharField(max_length=1024, blank=True)  # why it cannot be measured
    invalid = models.BooleanField(default=False)  # it is measured, but the numbers contradict each other
    current = models.FloatField(null=True, blank=True)  # in the unit of the target, over the window
    sli = models.FloatField(null=True, blank=True)  # ratio of good events or time over the window, without maintenance
    sli_with_maintenance = models.FloatField(null=True, blank=True)  # the same, planned maintenance included
    target_met = models.BooleanField(null=True, blank=True)
    good = models.FloatField(null=True, blank=True)  # events, seconds or slices in the window, without maintenance
    total = models.FloatField(null=True, blank=True)
    coverage = models.FloatField(null=True, blank=True)  # share of the window, as far as it was measured, that has data
    window_start = models.DateTimeField(null=True, blank=True)
    window_end = models.DateTimeField(null=True, blank=True)
    budget_total = models.FloatField(default=0)  # minutes
    budget_consumed = models.FloatField(null=True, blank=True)  # minutes, adjustments included, may exceed the total
    budget_consumed_with_maintenance = models.FloatField(null=True, blank=True)
    burn_rates = models.JSONField(default=dict, blank=True)  # {"5m": 0.4, "1h": …}; null where there is no data
    forecast = models.JSONField(default=dict, blank=True)  # {exhaustionDate, earliest, latest, daysRemaining, trend}
    warnings = models.JSONField(
        default=list, blank=True
    )  # texts: thresholds that can never fire, budgets below 5 events
    evaluated_at = models.DateTimeField(null=True, blank=True)  # the last evaluation that had an answer
    status_since = models.DateTimeField(null=True, blank=True)

    # --- bookkeeping of the evaluation
    due_at = models.DateTimeField(null=True, blank=True)  # set to now with every change; null: never
    lease_until = models.DateTimeField(null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True)  # who holds the lease; writes name it
    measured_since = models.DateTimeField(null=True, blank=True)  # the first slice that had data
    measured_until = models.DateTimeField(null=True, blank=True)  # slices up to here were asked for
    data_until = models.DateTimeField(null=True, blank=True)  # the last slice that had data
    failures = models.PositiveIntegerField(default=0)  # evaluations in a row without an answer

    objects = SLOQuerySet.as_manager()

    class Meta:
        verbose_name = "SLO"
        ordering = ["name", "namespace"]
        constraints = [models.UniqueConstraint(fields=["namespace", "name"], name="slo_name_is_unique_in_namespace")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(enabled=True), name="slo_due"),
            models.Index(fields=["namespace", "service"], name="slo_by_service"),
            models.Index(fields=["status", "name"], name="slo_by_status"),
        ]

    @property
    def window_length(self) -> timedelta:
        """The nominal length; of a calendar window the real one depends on the period (slos.windows)."""
        count, unit = int(self.window[:-1]), self.window[-1]
        return timedelta(days=count) if unit == "d" else timedelta(hours=count)

    @property
    def is_calendar(self) -> bool:
        return bool(self.calendar_unit)

    @property
    def budget_remaining(self) -> float | None:
        """Minutes; negative when overspent. The contract clamps, we do not."""
        return None if self.budget_consumed is None else self.budget_total - self.budget_consumed

    def change(self, **changes: Any) -> None:
        """Change the definition. Raises `LostRace`."""
        change(self, **changes)


class MeasurementSource(models.Model):
    """A source of measurements: how it fared, so that one that does not answer is left alone for a while."""

    key = models.CharField(max_length=64, primary_key=True)  # digest of the address, or of the cluster that is asked
    address = models.CharField(max_length=1024)
    failures = models.PositiveIntegerField(default=0)  # in a row
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=1024, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["address", "key"]

    def __str__(self) -> str:
        return self.address
