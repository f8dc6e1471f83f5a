from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from aiops.console.actors import actor_of
from aiops.errors import DomainError, Invalid
from analytics.models import ReportSchedule
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
