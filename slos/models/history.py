from django.db import models

from incidents.models import Incident
from slos.models.slo import SLO, Status


class Measurement(models.Model):
    """The slices that end within one hour: 60 pairs (good, total), packed, one per minute (slos.slices).

    A pair is NaN where nothing was measured. Kept for four days; the hours and days stay.
    """

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="measurements")
    hour = models.DateTimeField()
    slices = models.BinaryField()

    class Meta:
        ordering = ["hour", "pk"]
        constraints = [models.UniqueConstraint(fields=["slo", "hour"], name="slo_measurement_once_per_hour")]
        indexes = [models.Index(fields=["hour"], name="slo_measurement_by_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00}"


class Totals(models.Model):
    """Sums over a span of time. `excluded_*` is the part of `good`, `total` that lies in planned maintenance."""

    good = models.FloatField(default=0)  # events, seconds or slices
    total = models.FloatField(default=0)
    excluded_good = models.FloatField(default=0)
    excluded_total = models.FloatField(default=0)
    slices = models.PositiveIntegerField(default=0)  # with data
    value_sum = models.FloatField(default=0)  # of latencies, in milliseconds
    value_count = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class HourlyHistory(Totals):
    """One hour, beginning at `hour` UTC."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="hours")
    hour = models.DateTimeField()

    class Meta:
        ordering = ["-hour", "pk"]
        verbose_name_plural = "hourly history"
        constraints = [models.UniqueConstraint(fields=["slo", "hour"], name="slo_history_once_per_hour")]
        indexes = [models.Index(fields=["hour"], name="slo_history_by_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00}"


class DailyHistory(Totals):
    """One day UTC: the sum of its hours."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()

    class Meta:
        ordering = ["-day", "pk"]
        verbose_name_plural = "daily history"
        constraints = [models.UniqueConstraint(fields=["slo", "day"], name="slo_history_once_per_day")]

    def __str__(self) -> str:
        return f"{self.day}"


class Transition(models.Model):
    """A change of the status of an SLO."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="transitions")
    at = models.DateTimeField()
    was = models.CharField(max_length=8, choices=Status)
    becomes = models.CharField(max_length=8, choices=Status)
    reason = models.CharField(max_length=1024, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.was} → {self.becomes}"


class TargetChange(models.Model):
    """What the objective was until `at`: budgets are computed with the new one, snapshots keep the old."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="target_changes")
    at = models.DateTimeField()
    was = models.DecimalField(max_digits=16, decimal_places=6)
    becomes = models.DecimalField(max_digits=16, decimal_places=6)
    changed_by = models.CharField(max_length=253)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.was} → {self.becomes}"


class Adjustment(models.Model):
    """Minutes of budget that a person added or gave back (X9.5): positive ones are bad time."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="adjustments")
    at = models.DateTimeField()
    minutes = models.FloatField()
    reason = models.CharField(max_length=4096)
    created_by = models.CharField(max_length=253)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["slo", "at"], name="slo_adjustment_of_slo")]

    def __str__(self) -> str:
        return f"{self.minutes:+g} min"


class Exclusion(models.Model):
    """Planned maintenance: what happens meanwhile spends no budget, and is reported beside the official figure.

    It covers one SLO, or every SLO of `namespace` when it names none.
    """

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, null=True, blank=True, related_name="exclusions")
    namespace = models.CharField(max_length=253, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=4096)
    created_by = models.CharField(max_length=253)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-starts_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="slo_exclusion_ends_after_start"
            )
        ]
        indexes = [models.Index(fields=["ends_at"], name="slo_exclusion_by_end")]

    def __str__(self) -> str:
        return self.reason


class Attribution(models.Model):
    """How much of the budget of an SLO an incident burned on one day UTC."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="attributions")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="burned_budgets")
    day = models.DateField()
    bad = models.FloatField()  # events, seconds or slices
    minutes = models.FloatField()  # of the budget of the window
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "-minutes", "pk"]
        constraints = [models.UniqueConstraint(fields=["slo", "incident", "day"], name="slo_attribution_once_per_day")]

    def __str__(self) -> str:
        return f"{self.minutes:.1f} min"
