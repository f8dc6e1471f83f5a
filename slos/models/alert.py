from django.db import models
from django.db.models import Q

from slos.models.slo import SLO

EXHAUSTED = "budget-exhausted"  # the `window` of the alert about a budget that is gone


class BurnAlert(models.Model):
    """A burn-rate rule that fires, or did: `window` is `<short>/<long>`, or `budget-exhausted`."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="alerts")
    window = models.CharField(max_length=64)
    severity = models.CharField(max_length=16)
    threshold = models.FloatField()
    burn_rate = models.FloatField()  # of the long window, at the last evaluation
    fired_at = models.DateTimeField()
    calm = models.PositiveSmallIntegerField(default=0)  # evaluations in a row that did not confirm it
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["fired_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["slo", "window"], condition=Q(cleared_at__isnull=True), name="slo_alert_one_open_per_window"
            )
        ]

    def __str__(self) -> str:
        return self.window
