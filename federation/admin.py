"""Clusters in the console. Credentials go in and never come out; every change goes through `federation.services`."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from aiops.clients import kubeconfig as kubeconfigs
from aiops.console.actors import actor_of
from aiops.console.watched import Watched
from aiops.errors import Invalid
from federation import maintenance, services
from federation.models import Cluster, HealthSample, MaintenanceWindow
from federation.services import windows
from runbooks.services import governance

ATTRIBUTES = (
    "display_name", "region", "provider", "environment", "tier", "automation", "max_concurrent_remediations",
    "health_check_interval_seconds", "prometheus_url", "enabled", "labels",
)  # fmt: skip


class ClusterForm(forms.ModelForm):  # type: ignore[type-arg]
    prometheus_url = forms.URLField(required=False, max_length=1024, assume_scheme="https", label="Prometheus")
    # not called like the column, which no form may touch
    credentials = forms.CharField(
        label="Kubeconfig",
        required=False,
        max_length=kubeconfigs.MAX_BYTES,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "class": "font-mono", "autocomplete": "off"}),
        help_text="Written once, encrypted, never shown again. Empty: the stored one stays. Embedded certificates only.",
    )

    class Meta:
        model = Cluster
        fields = ("name", *ATTRIBUTES)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        text = cleaned.get("credentials") or ""
        if not text and self.instance.pk is None:
            self.add_error("credentials", "A new cluster needs a kubeconfig.")
        try:
            services.checked(self.instance.name or cleaned.get("name", ""), attributes_of(cleaned))
        except Invalid as refusal:
            self.add_error(None, refusal.details)
        try:
            if text:
                kubeconfigs.load(text)
        except Invalid as refusal:
            self.add_error("credentials", f"{refusal.message}: {refusal.details}")
        return cleaned


def attributes_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    found = {name: cleaned[name] for name in ATTRIBUTES if name in cleaned}
    return found | {"labels": found.get("labels") or {}}


@admin.register(Cluster)
class ClusterAdmin(ModelAdmin):  # type: ignore[misc]
    form = ClusterForm
    list_display = (
        "name",
        "phase",
        "health",
        "automation",
        "tier",
        "environment",
        "region",
        "nodes",
        "last_heartbeat_at",
        "poll_error",
    )
    list_filter = ("phase", "health", "automation", "tier", "environment")
    search_fields = ("name", "display_name", "server")
    show_full_result_count = False
    readonly_fields = (
        "server", "phase", "health", "health_since", "check_error", "latency_ms", "certificate_expires_at",
        "credentials_expire_at", "kubernetes_version", "nodes", "namespace_count", "pod_count",
        "last_heartbeat_at", "last_polled_at", "next_poll_at", "poll_failures", "poll_error", "coverage_gaps",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("name", *ATTRIBUTES)}),
        ("Credentials", {"fields": ("credentials", "server")}),
        ("As it was seen last", {"fields": readonly_fields[1:]}),
    )
    actions = ("look_now", "unregister")
    each = Watched.each

    @admin.display(description="Nodes ready")
    def nodes(self, cluster: Cluster) -> str:
        """Unknown is not zero: a cluster that was never seen has no count."""
        return "–" if cluster.node_count is None else f"{cluster.nodes_ready} of {cluster.node_count}"

    def get_readonly_fields(self, request: HttpRequest, obj: Cluster | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "name") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the action below says it in the audit log

    def save_model(self, request: HttpRequest, obj: Cluster, form: ClusterForm, change: bool) -> None:
        """The form is checked; `register` and `configure` write, so that the console leaves the same traces as a command."""
        attributes = attributes_of(form.cleaned_data)
        actor, at, text = actor_of(request), timezone.now(), form.cleaned_data.get("credentials") or ""
        if text:
            saved = services.register(name=obj.name, kubeconfig=text, actor=actor, at=at, **attributes)
        else:
            saved = services.configure(cluster=Cluster.objects.get(pk=obj.pk), actor=actor, at=at, **attributes)
        obj.pk = saved.pk

    @admin.action(description="Look at it now", permissions=["change"])
    def look_now(self, request: HttpRequest, queryset: QuerySet[Cluster]) -> None:
        queryset.update(next_poll_at=timezone.now())
        self.message_user(request, "The next look is due now.")

    @admin.action(description="Unregister", permissions=["change"])
    def unregister(self, request: HttpRequest, queryset: QuerySet[Cluster]) -> None:
        self.each(
            request,
            queryset,
            lambda row, actor, at: governance.remove_cluster(cluster=row, force=False, actor=actor, at=at),
            "unregistered",
        )


@admin.register(HealthSample)
class HealthSampleAdmin(Watched):
    list_display = ("at", "cluster", "health", "latency_ms", "error_class")
    list_filter = ("health", "error_class")
    list_select_related = ("cluster",)


class MaintenanceWindowForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = MaintenanceWindow
        fields = (
            "name", "description", "enabled", "suppress", "starts_at", "ends_at", "rrule", "timezone", "clusters",
            "environments", "tiers", "namespaces", "match_labels",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            maintenance.check(
                MaintenanceWindow(**{name: cleaned[name] for name in self.Meta.fields if name in cleaned})
            )
        except Invalid as refusal:
            for member, reasons in refusal.fields.items():
                self.add_error(None, f"{member}: {' '.join(reasons)}")
        return cleaned


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(ModelAdmin):  # type: ignore[misc]
    form = MaintenanceWindowForm
    list_display = ("name", "enabled", "suppress", "starts_at", "ends_at", "rrule")
    search_fields = ("name", "description")

    def save_model(self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool) -> None:
        windows.save(window=obj, actor=actor_of(request), at=timezone.now())

    def delete_model(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        windows.remove(window=obj, actor=actor_of(request), at=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[MaintenanceWindow]) -> None:
        for row in queryset:
            self.delete_model(request, row)
