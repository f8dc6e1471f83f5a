from django.db import models
from django.db.models import Q

from incidents.models.incident import Incident


class FleetCorrelation(models.Model):
    """Incidents in several clusters that have one cause, as far as we can tell. `key` says what they share."""

    class Kind(models.TextChoices):
        SIGNATURE = "same_signature"  # the same signal of the same workload in three clusters or more
        CASCADE = "promotion_cascade"  # seen in staging before production
        IMAGE = "common_change"  # containers of the same image in two clusters or more
        DEPENDENCY = "common_dependency"  # the same registry, host or name server is not reached
        NODE_IMAGE = "same_node_image"  # nodes of the same operating system, kernel and kubelet
        INFRASTRUCTURE = "infrastructure"  # nodes of the same region

    correlation_id = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32, choices=Kind)
    key = models.CharField(max_length=64)  # digest of what is shared
    subject = models.CharField(max_length=512)  # what is shared, for people
    signal_type = models.CharField(max_length=63)
    first = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="+")  # the member detected first
    members = models.ManyToManyField(Incident, related_name="fleet_correlations")
    clusters = models.JSONField(default=list)  # names, sorted
    elevated = models.BooleanField(default=False)  # members were raised to critical because of the spread
    cascade = models.BooleanField(default=False)  # seen in staging before production
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)  # every member is resolved

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(closed_at__isnull=True), name="fleet_correlation_one_open_per_key"
            )
        ]

    def __str__(self) -> str:
        return self.correlation_id
