from django.db import models
from django.db.models import Q

from slos.models.slo import SLO

# the `window` of the alerts that are not about a burn rate
EXHAUSTED = "budget-exhausted"
NO_DATA = "no-data"


class BurnAlert(models.Model):
    """A burn-rate rule that fires, or did: `window` is `<short>/<long>`; or `budget-exhausted`; or `no-data`."""

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="alerts")
    window = models.CharField(max_length=64)
    severity = models.CharField(max_length=16)
    threshold = models.FloatField()  # of the burn rate; of `no-data` minutes
    burn_rate = models.FloatField(null=True)  # of the long window, at the last evaluation; null: `no-data` has none
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
