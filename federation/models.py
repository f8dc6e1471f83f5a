from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, ExpressionWrapper, F, Q, Value, When
from django.db.models.functions import Greatest

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


class Health(models.TextChoices):
    """What our own checks say; `Phase` is what the contract makes of it (federation/health.py)."""

    PENDING = "Pending"
    CONNECTED = "Connected"
    DEGRADED = "Degraded"
    UNREACHABLE = "Unreachable"


class ClusterCondition(models.TextChoices):
    """How a cluster is (CLU-1)."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"


CHECK_FAILURES = 3  # in a row, until a cluster counts as unreachable
STALE_AFTER = 3  # health-check intervals without a heartbeat
SOONEST = 5  # seconds between two looks for checks that are due, as the schedule has it
ENVIRONMENTS = ("prod", "staging", "dev")
AUTOMATION_RANK = {level: rank for rank, level in enumerate(Automation.values)}

# columns that only a look reads and that grow with the cluster: who just wants to know of a cluster leaves them out. A worker
# of a storm in a cluster of 200 workloads took a third of its time to decode them
MEMORY = ("restart_history", "unsettled_workloads")


def memory_of(path: str) -> list[str]:
    """`MEMORY` for the `defer` of a table that points to its cluster by `path`."""
    return [f"{path}__{column}" for column in MEMORY]


class ClusterQuerySet(models.QuerySet["Cluster"]):
    def due(self, at: Any) -> "ClusterQuerySet":
        """Clusters whose next look is due, the longest waiting first.

        One whose checks keep failing is not looked at: a look that hangs holds a worker far longer than a check does.
        """
        return self.filter(enabled=True, next_poll_at__lte=at, check_failures__lt=CHECK_FAILURES).order_by(
            "next_poll_at", "pk"
        )

    def due_for_check(self, at: datetime) -> "ClusterQuerySet":
        """Clusters whose health check is due, the longest waiting first; a new one is due at once."""
        return self.filter(Q(next_check_at=None) | Q(next_check_at__lte=at), enabled=True).order_by(
            F("next_check_at").asc(nulls_first=True), "pk"
        )

    def with_status(self, at: datetime) -> "ClusterQuerySet":
        """Each with `is_connected` and `status` as of `at`, computed by the database so that lists can filter by it."""
        # SQLite multiplies durations with plain integers only; and nobody is checked more often than we look who is due
        least = max(SOONEST, round(settings.AIOPS_SWEEP_INTERVAL))
        interval = Greatest(F("health_check_interval_seconds"), Value(least), output_field=models.IntegerField())
        silence = ExpressionWrapper(
            interval * Value(timedelta(seconds=STALE_AFTER)), output_field=models.DurationField()
        )
        fresh_until = ExpressionWrapper(F("last_heartbeat_at") + silence, output_field=models.DateTimeField())
        is_well = ~Q(health=Health.DEGRADED) & (Q(node_count=None) | Q(nodes_ready=F("node_count")))
        return self.annotate(fresh_until=fresh_until).annotate(
            is_connected=Case(
                When(phase=Phase.CONNECTED, fresh_until__gte=at, then=Value(True)),
                default=Value(False),
                output_field=models.BooleanField(),
            ),
            status=Case(
                When(Q(is_connected=True) & is_well, then=Value(ClusterCondition.HEALTHY)),
                When(is_connected=True, then=Value(ClusterCondition.DEGRADED)),
                default=Value(ClusterCondition.UNREACHABLE),
                output_field=models.CharField(),
            ),
        )


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
    last_heartbeat_at = models.DateTimeField(null=True)  # the last look or health check that succeeded
    last_polled_at = models.DateTimeField(null=True)  # the last look, whatever came of it
    next_poll_at = models.DateTimeField()
    poll_failures = models.PositiveIntegerField(default=0)  # in a row; decides the back-off
    poll_error = models.CharField(max_length=1024, blank=True)  # for people; redacted
    coverage_gaps = models.JSONField(default=list)  # kinds that we may not or cannot list: unknown, not healthy
    last_look_at = models.DateTimeField(null=True)  # the last poll that succeeded
    health = models.CharField(max_length=16, choices=Health, default=Health.PENDING)
    health_since = models.DateTimeField(null=True)
    last_check_at = models.DateTimeField(null=True)  # the last health check, whatever came of it
    next_check_at = models.DateTimeField(null=True)  # null: due at once
    check_failures = models.PositiveIntegerField(default=0)  # in a row
    successes = models.PositiveSmallIntegerField(default=0)  # of checks and looks in a row, counted to two
    check_error = models.CharField(max_length=1024, blank=True)  # for people; redacted
    check_error_class = models.CharField(max_length=16, blank=True)  # dns, connect, tls, auth, forbidden, timeout, …
    latency_ms = models.PositiveIntegerField(null=True)  # of the API server, at the last check that it answered
    cpu_capacity_millis = models.BigIntegerField(null=True)  # allocatable on all nodes; null: unknown, not zero
    cpu_used_millis = models.BigIntegerField(null=True)  # by the metrics API
    memory_capacity_bytes = models.BigIntegerField(null=True)
    memory_used_bytes = models.BigIntegerField(null=True)
    capabilities = models.JSONField(default=list)  # what was found there, such as metrics-server
    certificate_expires_at = models.DateTimeField(null=True)  # of the API server
    credentials_expire_at = models.DateTimeField(null=True)  # our client certificate or token
    expiry_warned_at = models.DateTimeField(null=True)
    sampled_at = models.DateTimeField(null=True)  # the newest row of the history
    watched_until = models.DateTimeField(null=True)  # an observer sees every change until then; polls only reconcile
    # what stateful detectors remember from one look to the next (incidents/detectors/history.py): see MEMORY
    restart_history = models.JSONField(default=dict)
    unsettled_workloads = models.JSONField(default=dict)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["name"], name="cluster_name_is_unique")]
        indexes = [
            models.Index(fields=["enabled", "next_poll_at"], name="cluster_due"),
            models.Index(fields=["enabled", "next_check_at"], name="cluster_check_due"),
        ]

    @property
    def shown_name(self) -> str:
        return self.display_name or self.name


class HealthSample(models.Model):
    """One remembered health check: every failure, every change, and otherwise one in five minutes."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="health_samples")
    at = models.DateTimeField()
    last_look_at = models.DateTimeField(null=True)  # the last poll that succeeded
    health = models.CharField(max_length=16, choices=Health)
    latency_ms = models.PositiveIntegerField(null=True)
    error_class = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["cluster", "-at"], name="health_sample_of_cluster"),
            models.Index(fields=["at"], name="health_sample_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.cluster} {self.at:%H:%M:%S} {self.health}"


class MaintenanceWindow(Resource):
    """Planned work: signals of what it covers open no incidents, or nobody is told of them, until it is over.

    An empty list covers everything. `starts_at` and `ends_at` are the first occurrence; `rrule` (RFC 5545, in `timezone`)
    repeats it (federation/maintenance.py).
    """

    KIND: ClassVar[str] = "MaintenanceWindow"

    class Suppress(models.TextChoices):
        NOTIFICATIONS = "notifications"  # incidents open, but messages wait for the end of the window
        INCIDENTS = "incidents"  # signals join open incidents but open none

    description = models.CharField(max_length=1024, blank=True)
    enabled = models.BooleanField(default=True)
    suppress = models.CharField(max_length=16, choices=Suppress, default=Suppress.INCIDENTS)
    clusters = models.JSONField(default=list, blank=True)  # names
    environments = models.JSONField(default=list, blank=True)
    tiers = models.JSONField(default=list, blank=True)
    namespaces = models.JSONField(default=list, blank=True)
    match_labels = models.JSONField(default=dict, blank=True)  # of the signal or of its cluster; all of them
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    rrule = models.CharField(max_length=256, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["name"], name="maintenance_window_name_is_unique")]
