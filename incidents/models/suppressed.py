from django.db import models

from incidents.states import Severity


class SuppressedSignal(models.Model):
    """A signal that opened no incident and joined none, once per fingerprint and day (UTC): a look repeats it all the time."""

    class Why(models.TextChoices):
        MAINTENANCE = "maintenance"  # it happened under planned maintenance
        INFORMATION = "information"  # its origin calls it mere information

    day = models.DateField()
    fingerprint = models.CharField(max_length=64)  # as of the anomaly that it would have become
    why = models.CharField(max_length=16, choices=Why)
    cluster_name = models.CharField(max_length=253, blank=True)
    namespace = models.CharField(max_length=253, blank=True)
    resource_kind = models.CharField(max_length=63)
    resource_name = models.CharField(max_length=253)
    origin = models.CharField(max_length=64)
    signal_type = models.CharField(max_length=63)
    severity = models.CharField(max_length=16, choices=Severity, blank=True)  # blank: the origin did not say
    at = models.DateTimeField()  # the first time on that day

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["day", "fingerprint"], name="suppressed_once_a_day")]
        indexes = [models.Index(fields=["at"], name="suppressed_by_time")]

    def __str__(self) -> str:
        return f"{self.signal_type} on {self.resource_kind}/{self.resource_name}"
