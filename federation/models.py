from typing import Any, ClassVar

from django.db import models

from aiops.models import Resource


class Tier(models.TextChoices):
    CRITICAL = "critical"
    STANDARD = "standard"
    NON_CRITICAL = "non-critical"


class Automation(models.TextChoices):
    """How far the platform may go by itself in a cluster (domain/remediation.md §3.5). Each level includes the ones before.

    off: signals become incidents, nothing more. observe: and they are analysed. suggest: and a runbook is proposed, which a
    person may start. approve: and a plan is made, which waits for a person. auto: and it runs where policy allows.
    """

    OFF = "off"
    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE = "approve"
    AUTO = "auto"


class Phase(models.TextChoices):
    PENDING = "Pending"
    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"
    ERROR = "Error"


AUTOMATION_RANK = {level: rank for rank, level in enumerate(Automation.values)}


class ClusterQuerySet(models.QuerySet["Cluster"]):
    def due(self, at: Any) -> "ClusterQuerySet":
        """Clusters whose next look is due, the longest waiting first."""
        return self.filter(enabled=True, next_poll_at__lte=at).order_by("next_poll_at", "pk")


class Cluster(Resource):
    """A Kubernetes cluster that we watch. The root that every signal, incident and plan points to."""

    KIND: ClassVar[str] = "ClusterRegistration"

    display_name = models.CharField(max_length=253, blank=True)
    region = models.CharField(max_length=253, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    environment = models.CharField(max_length=32, blank=True)
    tier = models.CharField(max_length=32, default=Tier.STANDARD)
    automation = models.CharField(max_length=16, choices=Automation, default=Automation.SUGGEST)
    max_concurrent_remediations = models.PositiveSmallIntegerField(default=3)
    health_check_interval_seconds = models.PositiveIntegerField(default=30)
    prometheus_url = models.URLField(max_length=1024, blank=True)
    enabled = models.BooleanField(default=True)

    kubeconfig = models.BinaryField(editable=False)  # encrypted (aiops/encryption.py), never shown again
    kubeconfig_digest = models.CharField(max_length=64, editable=False)  # a client is rebuilt when it changes
    server = models.CharField(max_length=1024, editable=False)

    phase = models.CharField(max_length=16, choices=Phase, default=Phase.PENDING)
    kubernetes_version = models.CharField(max_length=64, blank=True)
    node_count = models.PositiveIntegerField(null=True)
    nodes_ready = models.PositiveIntegerField(null=True)
    namespace_count = models.PositiveIntegerField(null=True)
    pod_count = models.PositiveIntegerField(null=True)
    pod_capacity = models.PositiveIntegerField(null=True)
    last_heartbeat_at = models.DateTimeField(null=True)  # the last look that succeeded
    last_polled_at = models.DateTimeField(null=True)  # the last look, whatever came of it
    next_poll_at = models.DateTimeField()
    poll_failures = models.PositiveIntegerField(default=0)  # in a row; decides the back-off
    poll_error = models.CharField(max_length=1024, blank=True)  # for people; redacted
    coverage_gaps = models.JSONField(default=list)  # kinds that we may not or cannot list: unknown, not healthy
    # what stateful detectors remember from one look to the next (incidents/detectors/history.py)
    restart_history = models.JSONField(default=dict)
    unsettled_workloads = models.JSONField(default=dict)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["name"], name="cluster_name_is_unique")]
        indexes = [models.Index(fields=["enabled", "next_poll_at"], name="cluster_due")]
