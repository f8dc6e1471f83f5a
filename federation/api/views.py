from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.exceptions import BadRequest
from aiops.api.filters import FALSE, TRUE
from aiops.api.operations import Sent, command, creation, deletion, operation, replacement, sub_document
from aiops.api.ordering import CodePoint
from aiops.api.pagination import Page
from aiops.api.serializers import Rendered, list_document, list_of
from aiops.api.views import ApiView, Lists, Reads, ResourceViewSet
from federation import services
from federation.api import figures
from federation.api.filters import ClusterFilter, TierFilter
from federation.api.serializers import (
    ClusterBody,
    ClusterDocument,
    ClusterItem,
    ClusterUpdateBody,
    CorrelationItem,
    FederationClusterItem,
    FederationClusters,
    FederationCorrelations,
    FederationStatus,
    GlobalStatus,
    HealthItem,
)
from federation.models import Cluster, ClusterCondition, HealthSample
from federation.services import health
from incidents.models import FleetCorrelation
from runbooks.services import governance

CORRELATIONS = 1_000  # shown; the list has no pages


def attributes_of(sent: Sent) -> dict[str, Any]:
    """The members of a body as columns."""
    found = {key: value for key, value in sent.items() if key in services.ATTRIBUTES}
    interval: timedelta | None = sent.get("health_check_interval")
    if interval is not None:
        found["health_check_interval_seconds"] = max(1, round(interval.total_seconds()))
    return found


class ClusterViewSet(Lists, Reads, ResourceViewSet):
    queryset = Cluster.objects.all()
    document = ClusterDocument
    item = ClusterItem
    list_kind = "ClusterList"
    filterset_class = ClusterFilter
    ordering = (CodePoint("name"), "pk")
    page_size = 100
    scope_cluster = "name"

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().with_status(self.now)  # type: ignore[attr-defined, no-any-return]

    def render_items(self, rows: Iterable[Any]) -> list[Rendered]:
        rows = list(rows)
        return ClusterItem.render_all(rows, loads=self._loads(rows))

    def render_document(self, row: Cluster) -> Rendered:
        if not hasattr(row, "is_connected"):  # as a service returns it
            row = self.get_queryset().get(pk=row.pk)
        return ClusterDocument.render(row, loads=self._loads([row]), now=self.now)

    def _loads(self, rows: list[Any]) -> dict[int, figures.Load]:
        return figures.loads([row.pk for row in rows], scope=self.scope, at=self.now)

    @creation(body=ClusterBody)
    def create(self, sent: Sent) -> Cluster:
        """Register a cluster. The kubeconfig is checked, encrypted, and never shown again."""
        self.require_scope(cluster=sent["name"], namespace=sent["namespace"] or settings.AIOPS_NAMESPACE)
        return services.create(
            name=sent["name"],
            namespace=sent["namespace"],
            kubeconfig=sent["kubeconfig"],
            allow_insecure=sent["allow_insecure"],
            actor=self.actor,
            at=self.now,
            **attributes_of(sent),
        )

    @replacement(body=ClusterUpdateBody)
    def update(self, cluster: Cluster, sent: Sent) -> Cluster:
        services.update(
            cluster=cluster,
            kubeconfig=sent.get("kubeconfig"),
            allow_insecure=sent.get("allow_insecure", False),
            actor=self.actor,
            at=self.now,
            **attributes_of(sent),
        )
        return self._again(cluster)

    @deletion(query=(("force", {"type": "boolean", "description": "Also while plans are at work there"}),))
    def destroy(self, cluster: Cluster) -> None:
        """Forget it and its credentials. Its incidents stay. 409 while plans are at work there, unless `force` is true."""
        force = (self.param("force") or "false").lower()
        if force not in TRUE | FALSE:
            raise BadRequest("The query is not valid", {"force": ["Must be true or false."]})
        governance.remove_cluster(cluster=cluster, force=force in TRUE, actor=self.actor, at=self.now)

    @sub_document(answer=list_of("ClusterHealthList", HealthItem), is_list=True)
    def health_history(self, cluster: Cluster) -> Rendered:
        """Its health checks of the last 30 days, newest first: every failure, every change, otherwise one in five minutes."""
        page = Page.of(self.request.GET, size=self.page_size, maximum=self.page_size_max)
        rows = HealthSample.objects.filter(cluster=cluster)
        items = HealthItem.render_all(rows[page.offset : page.offset + page.size])
        return list_document("ClusterHealthList", items, total=rows.count(), page=page.number, page_size=page.size)

    @command(calls_outside=True)
    def check(self, cluster: Cluster, sent: Sent) -> Cluster:
        """Run the health check now; what it finds is in `status`."""
        return self._again(health.check(cluster=cluster, at=self.now, actor=self.actor))

    def _again(self, cluster: Cluster) -> Cluster:
        """With its status as it is now."""
        found: Cluster = self.get_queryset().get(pk=cluster.pk)
        return found

    @action(detail=False, methods=["get"], url_path="global-status", url_name="global_status")
    @operation(answer=GlobalStatus)
    def global_status(self, request: Request) -> Response:
        """How the fleet is: clusters, nodes, incidents, resources and SLOs in sums."""
        return Response(GlobalStatus.render(self._report()))

    def _report(self) -> Rendered:
        fleet = figures.fleet(self.scope.narrow(Cluster.objects.all(), cluster="name"), at=self.now)  # type: ignore[arg-type]
        latency = fleet.latency_ms
        status = {
            "overall": fleet.overall,
            "clusters": {"total": fleet.total, **fleet.clusters},
            "nodes": {
                "total": fleet.nodes_total,
                "ready": fleet.nodes_ready,
                "not_ready": fleet.nodes_total - fleet.nodes_ready,
            },
            "incidents": figures.incidents(self.scope),
            "resources": {
                "avg_cpu_usage_percent": fleet.cpu_percent,
                "avg_memory_usage_percent": fleet.memory_percent,
                "total_pods": fleet.pods,
                "total_pod_capacity": fleet.pod_capacity,
            },
            "slos": figures.slos(self.scope),
            "federation": {
                "primary_cluster": fleet.primary,
                "sync_status": fleet.sync_status,
                "last_sync_at": fleet.last_sync_at,
                "sync_latency": None if latency is None else f"{latency}ms",
            },
        }
        return {"metadata": {"generated_at": self.now}, "status": status}


class FederationView(ApiView):
    @operation(answer=FederationStatus)
    def get(self, request: Request) -> Response:
        rows = self.scope.narrow(Cluster.objects.all(), cluster="name")
        fleet = figures.fleet(rows, at=self.now)  # type: ignore[arg-type]
        lost = fleet.clusters[ClusterCondition.UNREACHABLE]
        spec = {
            "total_clusters": fleet.total,
            "connected_clusters": fleet.total - lost,
            "disconnected_clusters": lost,
            "total_active_issues": figures.incidents(self.scope)["active_total"],
        }
        return Response(FederationStatus.render({"metadata": {"generated_at": self.now}, "spec": spec}))


class FederationClustersView(ApiView):
    @operation(answer=FederationClusters, filters=TierFilter)
    def get(self, request: Request) -> Response:
        """Every cluster, on one page."""
        rows = self.scope.narrow(Cluster.objects.all(), cluster="name")
        found = list(TierFilter.apply(request.GET, rows).with_status(self.now).order_by(CodePoint("name")))  # type: ignore[attr-defined]
        loads = figures.loads([row.pk for row in found], scope=self.scope, at=self.now)
        items = FederationClusterItem.render_all(found, loads=loads)
        return Response(whole(FederationClusters.KIND, items))


class FederationCorrelationsView(ApiView):
    @operation(answer=FederationCorrelations)
    def get(self, request: Request) -> Response:
        """What several clusters suffer from together; the newest first."""
        rows = FleetCorrelation.objects.select_related("first")
        visible = self.scope.narrow(rows, namespace="first__namespace", cluster="first__cluster_name")
        found = visible.order_by("-first__detected_at", "correlation_id")[:CORRELATIONS]
        items = CorrelationItem.render_all(found)
        if self.scope.clusters is not None:  # no names of clusters that the key may not see
            for item in items:
                names = item["correlatedClusters"].split(",")
                item["correlatedClusters"] = ",".join(name for name in names if name in self.scope.clusters)
        return Response(whole(FederationCorrelations.KIND, items))


def whole(kind: str, items: list[Rendered]) -> Rendered:
    """A list on one page."""
    return list_document(kind, items, total=len(items), page=1, page_size=len(items))
