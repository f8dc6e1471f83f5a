from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from aiops.console.actors import actor_of
from aiops.errors import DomainError, Invalid
from analytics.models import (
    ApprovalRollup,
    AuditRollup,
    IncidentRollup,
    LLMRollup,
    OutdatedHour,
    PlanRollup,
    PostMortemRollup,
    ReportSchedule,
    Rollup,
    Usage,
    WorkloadRollup,
)
from analytics.periods import HOUR, moment_of
from analytics.services import schedules

# members of the API beside the fields of the form
PLACES = {"timeZone": "time_zone"}


class ReportScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = ReportSchedule
        fields = ("name", "report", "period", "cron", "time_zone", "channels", "cluster", "report_namespace", "enabled")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        candidate = ReportSchedule(**{name: value for name, value in values.items() if value is not None})
        try:
            schedules.check(candidate, at=timezone.now())
        except Invalid as error:
            for member, reasons in error.fields.items():
                field = PLACES.get(member, member)
                if field not in self.errors:
                    self.add_error(field, reasons)
        return values


@admin.register(ReportSchedule)
class ReportScheduleAdmin(ModelAdmin):  # type: ignore[misc]
    form = ReportScheduleForm
    list_display = ("name", "report", "period", "cron", "time_zone", "enabled", "due_at", "last_run_at", "last_error")
    list_filter = ("report", "enabled")
    search_fields = ("name",)
    actions = ("send_now",)

    def save_model(self, request: HttpRequest, obj: ReportSchedule, form: Any, change: bool) -> None:
        schedules.save(schedule=obj, actor=actor_of(request), at=timezone.now())

    def delete_model(self, request: HttpRequest, obj: ReportSchedule) -> None:
        self._remove(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ReportSchedule]) -> None:
        self._remove(request, list(queryset))

    def _remove(self, request: HttpRequest, rows: list[ReportSchedule]) -> None:
        for row in rows:
            try:
                schedules.remove(schedule=row, actor=actor_of(request), at=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)

    @admin.action(description="Send the selected reports now", permissions=["change"])
    def send_now(self, request: HttpRequest, queryset: QuerySet[ReportSchedule]) -> None:
        for row in queryset:
            try:
                schedules.send_now(schedule=row, actor=actor_of(request), at=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{row} is on its way.", messages.SUCCESS)


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """What the platform counted; nobody edits it."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class BucketAdmin(ReadOnlyAdmin):
    @admin.display(description="begins", ordering="start")
    def begins(self, row: Rollup | Usage) -> datetime:
        return moment_of(row.start * HOUR)


KEYS = ("begins", "grain", "cluster", "namespace", "severity")


class RollupAdmin(BucketAdmin):
    list_filter = ("grain", "severity")
    search_fields: tuple[str, ...] = ("cluster", "namespace")
    ordering = ("grain", "-start", "pk")  # as the index has them
    list_display: tuple[str, ...] = (*KEYS, "total")
    exclude = ("detect_histogram", "resolve_histogram")


@admin.register(IncidentRollup)
class IncidentRollupAdmin(RollupAdmin):
    list_display = (*KEYS, "total", "resolved", "auto_resolved", "chaos", "downtime_sum", "llm_cost")


@admin.register(WorkloadRollup)
class WorkloadRollupAdmin(RollupAdmin):
    list_display = (*KEYS, "kind", "name", "signal", "total", "acted_on")
    search_fields = ("cluster", "namespace", "name")


@admin.register(PlanRollup)
class PlanRollupAdmin(RollupAdmin):
    list_display = (*KEYS, "action", "runbook", "total", "completed", "failed", "rolled_back")
    search_fields = ("cluster", "namespace", "action", "runbook")


@admin.register(ApprovalRollup)
class ApprovalRollupAdmin(RollupAdmin):
    list_display = (*KEYS, "total", "approved", "auto_approved", "rejected", "expired")


@admin.register(PostMortemRollup)
class PostMortemRollupAdmin(RollupAdmin):
    list_display = (*KEYS, "total", "requiring_action")


@admin.register(AuditRollup)
class AuditRollupAdmin(RollupAdmin):
    list_display = (*KEYS, "event_type", "total")


@admin.register(LLMRollup)
class LLMRollupAdmin(RollupAdmin):
    list_display = (*KEYS, "provider", "model", "purpose", "total", "prompt_tokens", "completion_tokens", "cost")


@admin.register(OutdatedHour)
class OutdatedHourAdmin(ReadOnlyAdmin):
    list_display = ("family", "begins")
    list_filter = ("family",)
    ordering = ("-pk",)

    @admin.display(description="begins", ordering="hour")
    def begins(self, row: OutdatedHour) -> datetime:
        return moment_of(row.hour * HOUR)


@admin.register(Usage)
class UsageAdmin(BucketAdmin):
    list_display = (
        "begins", "grain", "cluster", "namespace", "kind", "name", "samples", "cpu_max", "cpu_limit", "memory_max",
        "memory_limit",
    )  # fmt: skip
    list_filter = ("grain", "kind")
    search_fields = ("cluster", "namespace", "name")
    ordering = ("grain", "-start", "pk")
