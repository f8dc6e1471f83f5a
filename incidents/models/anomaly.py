from django.db import models
from django.db.models import Q

from federation.models import Cluster
from incidents.models.incident import Incident
from incidents.states import Severity, Source


class Anomaly(models.Model):
    """One abnormal observation: a signal of a detector or an alert from outside, firing until it is cleared."""

    class Cleared(models.TextChoices):
        SOURCE = "source"  # the cluster looks well again, or the sender said so
        RESOLVED = "resolved"  # a person resolved the incident; the same alert may open a new one (INC-13)

    # the index over incident and time serves the key as well, here and in the other tables that belong to an incident
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="anomalies", db_index=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.SET_NULL, null=True, blank=True, related_name="anomalies")
    source = models.CharField(max_length=16, choices=Source)
    origin = models.CharField(max_length=64)  # who said so: k8s-watcher, alertmanager, grafana, generic
    signal_type = models.CharField(max_length=63)
    condition = models.CharField(max_length=63, blank=True)  # the detector's name of it
    fingerprint = models.CharField(max_length=64)  # digest of origin, cluster and identity of the observation
    namespace = models.CharField(max_length=253)
    resource_kind = models.CharField(max_length=63)  # the thing people own: Deployment, Node, …
    resource_name = models.CharField(max_length=253)
    object_kind = models.CharField(max_length=63, blank=True)  # what showed it: usually a Pod
    object_name = models.CharField(max_length=253, blank=True)
    description = models.CharField(max_length=1024)
    reason = models.CharField(max_length=253, blank=True)
    severity = models.CharField(max_length=16, choices=Severity)
    weight = models.PositiveSmallIntegerField()
    labels = models.JSONField(default=dict)
    evidence = models.JSONField(default=dict)
    count = models.PositiveIntegerField(default=1)  # sightings
    misses = models.PositiveSmallIntegerField(default=0)  # looks in a row that did not show it
    first_seen_at = models.DateTimeField()  # event time (X9.12)
    last_seen_at = models.DateTimeField()
    detected_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.CharField(max_length=16, choices=Cleared, blank=True)

    class Meta:
        ordering = ["first_seen_at", "pk"]
        verbose_name_plural = "anomalies"
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(cleared_at__isnull=True), name="anomaly_one_open_per_fingerprint"
            )
        ]
        indexes = [
            models.Index(fields=["fingerprint", "-first_seen_at"], name="anomaly_by_fingerprint"),
            models.Index(fields=["incident", "first_seen_at"], name="anomaly_of_incident"),
            models.Index(fields=["cluster"], condition=Q(cleared_at__isnull=True), name="anomaly_open_of_cluster"),
        ]

    def __str__(self) -> str:
        return f"{self.signal_type} on {self.resource_kind}/{self.resource_name}"
