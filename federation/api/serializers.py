"""Clusters and what the fleet looks like (api.md 10, extensions X6)."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api.fields import (
    BooleanField,
    DurationField,
    EnumField,
    IntegerField,
    ListField,
    MapField,
    NameField,
    NullableText,
    TextField,
    TimeField,
)
from aiops.api.formats import format_duration
from aiops.api.serializers import Body, Document, ListMetadata, ObjectSerializer, Rendered, Shape
from federation import health, tiers
from federation.api.figures import Load, percent
from federation.models import Automation, Cluster, ClusterCondition, Health, Phase, Tier
from incidents.models import FleetCorrelation
from incidents.states import Severity

Method = serializers.SerializerMethodField
GIBI = 1024**3


class Environment(models.TextChoices):
    """Also in the long words, which are stored as the short ones."""

    PROD = "prod"
    STAGING = "staging"
    DEV = "dev"
    PRODUCTION = "production"
    DEVELOPMENT = "development"


class ClusterPhase(models.TextChoices):
    """`federation.models.Phase` under the name that it has in OpenAPI."""

    PENDING = "Pending"
    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"
    ERROR = "Error"


class Nodes(Shape):
    total = IntegerField()
    ready = IntegerField()


class IncidentCounts(Shape):
    active = IntegerField()
    total24h = IntegerField()


class Resources(Shape):
    cpuUsagePercent = IntegerField(allow_null=True)
    memoryUsagePercent = IntegerField(allow_null=True)
    podCount = IntegerField()
    podCapacity = IntegerField()


class OfCluster(Shape):
    """Context: `loads`, by key of the cluster."""

    def load(self, row: Cluster) -> Load:
        found: Load = self.context["loads"].get(row.pk) or Load()
        return found


class ClusterItem(OfCluster):
    name = TextField()
    region = TextField()
    provider = NullableText()
    version = NullableText(source="kubernetes_version")
    status = EnumField(ClusterCondition)
    nodes = Method()
    incidents = Method()
    resources = Method()
    lastHeartbeat = TimeField(source="last_heartbeat_at", allow_null=True)
    connectedAt = TimeField(source="created_at")
    namespace = TextField()
    displayName = TextField(source="shown_name")
    environment = TextField()
    tier = TextField()
    connected = BooleanField(source="is_connected")
    namespaceCount = Method()
    activeRemediations = Method()
    labels = MapField()
    creationTimestamp = TimeField(source="created_at")

    @extend_schema_field(Nodes)
    def get_nodes(self, row: Cluster) -> Rendered:
        total = row.node_count or 0
        return {"total": total, "ready": min(row.nodes_ready or 0, total)}

    @extend_schema_field(IncidentCounts)
    def get_incidents(self, row: Cluster) -> Rendered:
        load = self.load(row)
        return {"active": load.active, "total24h": load.total24h}

    @extend_schema_field(Resources)
    def get_resources(self, row: Cluster) -> Rendered:
        return {
            "cpuUsagePercent": percent(row.cpu_used_millis, row.cpu_capacity_millis),
            "memoryUsagePercent": percent(row.memory_used_bytes, row.memory_capacity_bytes),
            "podCount": row.pod_count or 0,
            "podCapacity": row.pod_capacity or 0,
        }

    def get_namespaceCount(self, row: Cluster) -> int:
        return row.namespace_count or 0

    def get_activeRemediations(self, row: Cluster) -> int:
        return self.load(row).remediations


class ClusterSpec(Shape):
    displayName = TextField(source="shown_name")
    kubeconfigSecret = Method()
    tier = TextField()
    region = TextField()
    provider = NullableText()
    environment = TextField()
    healthCheckInterval = Method()
    capabilities = ListField(child=TextField())
    maxConcurrentRemediations = IntegerField()
    labels = MapField()
    automation = EnumField(Automation)
    prometheusURL = NullableText(source="prometheus_url")
    enabled = BooleanField()

    def get_kubeconfigSecret(self, row: Cluster) -> str:
        return f"{row.name}-kubeconfig"

    def get_healthCheckInterval(self, row: Cluster) -> str:
        return format_duration(timedelta(seconds=row.health_check_interval_seconds))


class ResourceUsage(Shape):
    """Cores and memory as quantities; a member that is not known is null."""

    cpuCapacity = TextField(allow_null=True)
    cpuUsed = TextField(allow_null=True)
    memoryCapacity = TextField(allow_null=True)
    memoryUsed = TextField(allow_null=True)


class HealthShape(Shape):
    """What our checks say. `stale`: the figures are older than three check intervals. `watched`: an observer follows every change
    there. `warnings`: what people should see to."""

    state = EnumField(Health, source="health")
    since = TimeField(source="health_since", allow_null=True)
    stale = Method()
    failures = Method()
    latency = Method()
    error = Method()
    errorClass = NullableText(source="check_error_class")
    certificateExpiresAt = TimeField(allow_null=True)
    credentialsExpireAt = TimeField(allow_null=True)
    coverageGaps = ListField(child=TextField())
    watched = Method()
    warnings = Method()

    def get_watched(self, row: Cluster) -> bool:
        return row.watched_until is not None and row.watched_until >= self.context["now"]

    def get_warnings(self, row: Cluster) -> list[str]:
        return list(health.warnings(row, self.context["now"]))

    def get_stale(self, row: Any) -> bool:
        return row.fresh_until is None or row.fresh_until < self.context["now"]

    def get_failures(self, row: Cluster) -> int:
        return max(row.check_failures, row.poll_failures)

    def get_latency(self, row: Cluster) -> str | None:
        return None if row.latency_ms is None else f"{row.latency_ms}ms"

    def get_error(self, row: Cluster) -> str | None:
        return row.check_error or row.poll_error or None


class HealthItem(Shape):
    """One remembered health check."""

    timestamp = TimeField(source="at")
    state = EnumField(Health, source="health")
    latency = Method()
    errorClass = NullableText(source="error_class")

    get_latency = HealthShape.get_latency


class PolicyShape(Shape):
    """What is allowed there in the end: the cluster's own settings, bounded by its tier. `why` says it in sentences."""

    automation = Method()
    maxConcurrentRemediations = Method()
    approvalsHighCritical = Method()
    approvalsNodeActions = Method()
    approvalsOthers = Method()
    why = Method()

    @extend_schema_field(EnumField(Automation))
    def get_automation(self, row: Cluster) -> str:
        return tiers.automation(row.automation, row.tier)

    def get_maxConcurrentRemediations(self, row: Cluster) -> int:
        return tiers.concurrent(row.max_concurrent_remediations, row.tier)

    def get_approvalsHighCritical(self, row: Cluster) -> int:
        return self._approvals(row, severity="critical")

    def get_approvalsNodeActions(self, row: Cluster) -> int:
        return self._approvals(row, on_node=True)

    def get_approvalsOthers(self, row: Cluster) -> int:
        return self._approvals(row)

    def get_why(self, row: Cluster) -> list[str]:
        own = f"Cluster {row.name}: automation {row.automation}, {row.max_concurrent_remediations} at work at a time"
        return [own, *tiers.sentences(row.tier)]

    def _approvals(self, row: Cluster, *, severity: str = "low", on_node: bool = False) -> int:
        by_level = 0 if self.get_automation(row) == Automation.AUTO else 1
        return max(by_level, tiers.consent(row.tier, severity=severity, on_node=on_node).approvers)


class ClusterStatus(OfCluster):
    phase = Method()
    connected = BooleanField(source="is_connected")
    lastHealthCheck = Method()
    kubernetesVersion = Method()
    nodeCount = Method()
    namespaceCount = Method()
    activeIssues = Method()
    activeRemediations = Method()
    resourceUsage = Method()
    health = HealthShape(source="*")
    effectivePolicy = PolicyShape(source="*")

    @extend_schema_field(EnumField(ClusterPhase))
    def get_phase(self, row: Any) -> str:
        """One that has been silent for too long is not connected, whatever its last result was."""
        stale = row.phase == Phase.CONNECTED and not row.is_connected
        return str(Phase.DISCONNECTED if stale else row.phase)

    def get_lastHealthCheck(self, row: Cluster) -> datetime | None:
        return max((at for at in (row.last_check_at, row.last_polled_at) if at), default=None)

    def get_kubernetesVersion(self, row: Cluster) -> str | None:
        return f"v{row.kubernetes_version}" if row.kubernetes_version else None

    def get_nodeCount(self, row: Cluster) -> int:
        return row.node_count or 0

    def get_namespaceCount(self, row: Cluster) -> int:
        return row.namespace_count or 0

    def get_activeIssues(self, row: Cluster) -> int:
        return self.load(row).active

    def get_activeRemediations(self, row: Cluster) -> int:
        return self.load(row).remediations

    @extend_schema_field(ResourceUsage(allow_null=True))
    def get_resourceUsage(self, row: Cluster) -> Rendered | None:
        if row.cpu_capacity_millis is None and row.memory_capacity_bytes is None:
            return None
        return {
            "cpuCapacity": _scaled(row.cpu_capacity_millis, 1000),
            "cpuUsed": _scaled(row.cpu_used_millis, 1000),
            "memoryCapacity": _scaled(row.memory_capacity_bytes, GIBI, "Gi"),
            "memoryUsed": _scaled(row.memory_used_bytes, GIBI, "Gi"),
        }


def _scaled(value: int | None, unit: int, suffix: str = "") -> str | None:
    """With at most one decimal: `64`, `41.5`, `256Gi`."""
    return None if value is None else f"{value / unit:.1f}".removesuffix(".0") + suffix


class ClusterDocument(ObjectSerializer):
    KIND = Cluster.KIND

    spec = ClusterSpec(source="*")
    status = ClusterStatus(source="*")


# --- bodies ----------------------------------------------------------------------------------------------------------


class ClusterUpdateBody(Body):
    displayName = TextField(max_length=253, required=False, default="")
    region = TextField(max_length=253, required=False, default="")
    provider = TextField(max_length=64, required=False, default="")
    tier = EnumField(Tier, required=False, default=Tier.STANDARD.value)
    environment = EnumField(Environment, required=False, default=Environment.DEV.value)
    labels = MapField(required=False, default=dict)
    healthCheckInterval = DurationField(
        above=timedelta(0), maximum=timedelta(days=1), required=False, default=timedelta(seconds=30)
    )
    maxConcurrentRemediations = IntegerField(min_value=0, max_value=1000, required=False, default=3)
    automation = EnumField(Automation, required=False, default=Automation.SUGGEST.value)
    prometheusURL = TextField(max_length=1024, required=False, default="", source="prometheus_url")
    enabled = BooleanField(required=False, default=True)
    insecureSkipTLSVerify = BooleanField(required=False, default=False, source="allow_insecure")
    kubeconfig = serializers.CharField(required=False, write_only=True, trim_whitespace=False, max_length=1024 * 1024)


class ClusterBody(ClusterUpdateBody):
    name = NameField()
    namespace = TextField(max_length=253, required=False, default="")
    kubeconfig = serializers.CharField(write_only=True, trim_whitespace=False, max_length=1024 * 1024)


# --- reports ---------------------------------------------------------------------------------------------------------


class GeneratedMetadata(Shape):
    generatedAt = TimeField()


class ClusterCounts(Shape):
    total = IntegerField()
    healthy = IntegerField()
    degraded = IntegerField()
    unreachable = IntegerField()


class NodeCounts(Shape):
    total = IntegerField()
    ready = IntegerField()
    notReady = IntegerField()


class SeverityCounts(Shape):
    critical = IntegerField()
    high = IntegerField()
    medium = IntegerField()
    low = IntegerField()


class ActiveIncidents(Shape):
    activeTotal = IntegerField()
    bySeverity = SeverityCounts()
    byCluster = serializers.DictField(child=serializers.IntegerField())


class FleetResources(Shape):
    avgCpuUsagePercent = IntegerField(allow_null=True)
    avgMemoryUsagePercent = IntegerField(allow_null=True)
    totalPods = IntegerField()
    totalPodCapacity = IntegerField()


class SLOCounts(Shape):
    total = IntegerField()
    healthy = IntegerField()
    warning = IntegerField()
    breached = IntegerField()


class FederationSync(Shape):
    primaryCluster = TextField(allow_null=True)
    syncStatus = serializers.ChoiceField(choices=["healthy", "degraded", "failed"], allow_null=True)
    lastSyncAt = TimeField(allow_null=True)
    syncLatency = TextField(allow_null=True)


class GlobalFigures(Shape):
    overall = EnumField(ClusterCondition)
    clusters = ClusterCounts()
    nodes = NodeCounts()
    incidents = ActiveIncidents()
    resources = FleetResources()
    slos = SLOCounts()
    federation = FederationSync()


class GlobalStatus(Document):
    KIND = "GlobalStatus"

    metadata = GeneratedMetadata()
    status = GlobalFigures()


class FederationSpec(Shape):
    totalClusters = IntegerField()
    connectedClusters = IntegerField()
    disconnectedClusters = IntegerField()
    totalActiveIssues = IntegerField()


class FederationStatus(Document):
    KIND = "FederationStatus"

    metadata = GeneratedMetadata()
    spec = FederationSpec()


class FederationClusterItem(OfCluster):
    name = TextField()
    namespace = TextField()
    displayName = TextField(source="shown_name")
    tier = TextField()
    region = TextField()
    environment = TextField()
    connected = BooleanField(source="is_connected")
    version = Method()
    nodeCount = Method()
    namespaceCount = Method()
    activeIssues = Method()
    activeRemediations = Method()
    labels = MapField()
    lastHealthCheck = Method()
    creationTimestamp = TimeField(source="created_at")

    get_version = ClusterStatus.get_kubernetesVersion
    get_nodeCount = ClusterStatus.get_nodeCount
    get_namespaceCount = ClusterStatus.get_namespaceCount
    get_lastHealthCheck = ClusterStatus.get_lastHealthCheck

    def get_activeIssues(self, row: Cluster) -> int:
        return self.load(row).active

    def get_activeRemediations(self, row: Cluster) -> int:
        return self.load(row).remediations


class FederationClusters(Document):
    KIND = "ClusterRegistrationList"

    metadata = ListMetadata()
    items = FederationClusterItem(many=True)


class CorrelationItem(Shape):
    correlationId = TextField()
    issue = TextField(source="first.name")
    namespace = TextField(source="first.namespace")
    severity = EnumField(Severity, source="first.severity")
    signalType = TextField()
    correlatedClusters = Method()
    elevated = BooleanField()
    cascade = BooleanField()
    kind = EnumField(FleetCorrelation.Kind)
    subject = TextField()
    detectedAt = TimeField(source="first.detected_at")
    closedAt = TimeField(allow_null=True)

    def get_correlatedClusters(self, row: FleetCorrelation) -> str:
        return ",".join(row.clusters)


class FederationCorrelations(Document):
    KIND = "FederationCorrelations"

    metadata = ListMetadata()
    items = CorrelationItem(many=True)
