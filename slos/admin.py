"""SLOs and incident SLAs in the console. Reads freely, changes through the services.

What people write is the body that the API takes, as YAML, so the same validation serves API, import and console.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from aiops import documents as yaml
from aiops.audit.actor import Actor
from aiops.console.actors import actor_of
from aiops.console.watched import Watched, WatchedInline
from aiops.errors import DomainError, Invalid
from aiops.models import Resource
from slos import definitions, sla_definitions
from slos.models import (
    SLO,
    Adjustment,
    Attribution,
    BurnAlert,
    DailyHistory,
    IncidentSLA,
    SLAClock,
    SLAPause,
    TargetChange,
    Transition,
)
from slos.services import clocks, library, sla_library

Values = dict[str, Any]
SLO_TEMPLATE = """\
name: my-slo
namespace: default
service: my-service
type: availability
target: 99.9
window: 30d
indicator:
  source: prometheus
  goodEventsQuery: sum(rate(http_requests_total{code!~"5.."}[{{.window}}]))
  totalEventsQuery: sum(rate(http_requests_total[{{.window}}]))
"""
SLA_TEMPLATE = """\
name: critical
severity: critical
responseTime: 15m
mitigationTime: 1h
resolutionTime: 4h
businessHoursOnly: false
businessHours:
  timezone: Europe/Berlin
  workDays: [Monday, Tuesday, Wednesday, Thursday, Friday]
  shifts:
    - {start: "09:00", end: "18:00"}
  holidays: {country: DE}
"""


class DocumentForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """An object is written as the YAML of its API body. `values` are the checked columns afterwards."""

    document = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 40, "class": "font-mono"}), max_length=1_000_000
    )
    template = ""
    body_of: Callable[[Any], Values]
    read: Callable[..., Values]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "document" in self.fields:
            known = bool(self.instance.pk)
            self.fields["document"].initial = yaml.write(type(self).body_of(self.instance)) if known else self.template

    def clean_document(self) -> str:
        text: str = self.cleaned_data["document"]
        try:
            self.values = self._read(text)
        except Invalid as refusal:
            raise forms.ValidationError(_lines(refusal)) from refusal
        return text

    def _read(self, text: str) -> Values:
        found = yaml.read(text)
        if len(found) != 1 or found[0].problem or not isinstance(found[0].content, dict):
            raise Invalid("Write exactly one object", found[0].problem if found else "")
        is_known = bool(self.instance.pk)
        values = type(self).read(found[0].content, merge=is_known)
        for member in ("name", "namespace"):
            if is_known and values.get(member, getattr(self.instance, member)) != getattr(self.instance, member):
                raise Invalid("An object keeps its name and namespace")
        self.check_whole(values)
        return values

    def check_whole(self, values: Values) -> None:
        """Raises `Invalid` where members do not go together."""


def _lines(refusal: Invalid) -> list[str]:
    named = [f"{path}: {reason}" for path, reasons in refusal.fields.items() for reason in reasons]
    return named or [f"{refusal.message}. {refusal.details}".strip()]


class DocumentAdmin(ModelAdmin):  # type: ignore[misc]
    """Saves and deletes through services; whoever may only look sees the columns."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.has_change_permission(request, obj):
            return ("document",)
        return self.list_display

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor, at = actor_of(request), timezone.now()
        try:
            saved = self.store(obj if change else None, form.values, actor, at)
            obj.pk, obj.name = saved.pk, saved.name
        except DomainError as refusal:
            _refuse(request, refusal)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_queryset(request, type(obj)._default_manager.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        messages.set_level(request, messages.ERROR)  # Django would claim that all of them were deleted
        for row in queryset:
            try:
                self.remove(row, actor_of(request), timezone.now())
            except DomainError as refusal:
                _refuse(request, refusal)

    def store(self, row: Any, values: Values, actor: Actor, at: datetime) -> Resource:
        raise NotImplementedError

    def remove(self, row: Any, actor: Actor, at: datetime) -> None:
        raise NotImplementedError


def _refuse(request: HttpRequest, refusal: DomainError) -> None:
    messages.set_level(request, messages.ERROR)  # instead of "was changed successfully"
    text = "; ".join(_lines(refusal)) if isinstance(refusal, Invalid) else f"{refusal.message}. {refusal.details}"
    messages.error(request, text.strip())


# --- SLOs --------------------------------------------------------------------------------------------------------------------


class SLOForm(DocumentForm):
    template = SLO_TEMPLATE
    body_of = staticmethod(definitions.body_of)
    read = staticmethod(definitions.read)

    class Meta:
        model = SLO
        fields: tuple[str, ...] = ()

    def check_whole(self, values: Values) -> None:
        library.check(self.instance if self.instance.pk else None, values)


class AlertInline(WatchedInline):
    model = BurnAlert
    fields = ("window", "severity", "threshold", "burn_rate", "fired_at", "cleared_at")


class AdjustmentInline(WatchedInline):
    model = Adjustment
    fields = ("at", "minutes", "reason", "created_by")


class AttributionInline(WatchedInline):
    model = Attribution
    fields = ("day", "incident", "minutes")


class TransitionInline(WatchedInline):
    model = Transition
    fields = ("at", "was", "becomes", "reason")


class TargetChangeInline(WatchedInline):
    model = TargetChange
    fields = ("at", "was", "becomes", "changed_by")


@admin.register(SLO)
class SLOAdmin(DocumentAdmin):
    form = SLOForm
    list_display = (
        "name",
        "namespace",
        "service",
        "type",
        "target",
        "current",
        "status",
        "status_reason",
        "window",
        "enabled",
        "evaluated_at",
    )
    list_filter = ("status", "type", "source", "enabled")
    list_select_related = ("cluster",)
    search_fields = ("name", "service", "namespace")
    inlines = (AlertInline, AttributionInline, AdjustmentInline, TransitionInline, TargetChangeInline)

    def store(self, row: SLO | None, values: Values, actor: Actor, at: datetime) -> SLO:
        if row is None:
            return library.create(values=values, actor=actor, at=at)
        return library.update(slo=row, values=values, actor=actor, at=at)

    def remove(self, row: SLO, actor: Actor, at: datetime) -> None:
        library.delete(slo=row, actor=actor, at=at)


@admin.register(DailyHistory)
class DailyHistoryAdmin(Watched):
    list_display = ("slo", "day", "good", "total", "excluded_total")
    list_select_related = ("slo",)
    search_fields = ("slo__name",)
    date_hierarchy = "day"


# --- SLAs --------------------------------------------------------------------------------------------------------------------


class IncidentSLAForm(DocumentForm):
    template = SLA_TEMPLATE
    body_of = staticmethod(sla_definitions.body_of)
    read = staticmethod(sla_definitions.read)

    class Meta:
        model = IncidentSLA
        fields: tuple[str, ...] = ()


@admin.register(IncidentSLA)
class IncidentSLAAdmin(DocumentAdmin):
    form = IncidentSLAForm
    list_display = (
        "name",
        "severity",
        "service",
        "incident_namespace",
        "environment",
        "response_seconds",
        "mitigation_seconds",
        "resolution_seconds",
        "business_hours_only",
        "enabled",
    )
    list_filter = ("severity", "enabled")
    search_fields = ("name", "service")

    def store(self, row: IncidentSLA | None, values: Values, actor: Actor, at: datetime) -> IncidentSLA:
        if row is None:
            return sla_library.create(values=values, actor=actor, at=at)
        return sla_library.update(row=row, values=values, actor=actor, at=at)

    def remove(self, row: IncidentSLA, actor: Actor, at: datetime) -> None:
        sla_library.delete(row=row, actor=actor, at=at)


@admin.register(SLAClock)
class SLAClockAdmin(Watched):
    list_display = ("incident", "kind", "severity", "state", "started_at", "due_at", "ended_at", "sla_name")
    list_filter = ("state", "kind", "severity")
    list_select_related = ("incident",)
    search_fields = ("incident__name", "sla_name")
    actions = ("pause", "resume")

    @admin.action(description="Pause all clocks of the incident", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[SLAClock]) -> None:
        self.each(request, _one_each(queryset), _pause, "incidents are paused")

    @admin.action(description="Let all clocks of the incident run again", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[SLAClock]) -> None:
        self.each(request, _one_each(queryset), _resume, "incidents count again")


def _one_each(rows: QuerySet[SLAClock]) -> QuerySet[SLAClock]:
    """One clock per incident: a pause is the incident's."""
    chosen = {clock.incident_id: clock.pk for clock in rows}
    return SLAClock.objects.filter(pk__in=chosen.values()).select_related("incident")


def _pause(clock: SLAClock, actor: Actor, at: datetime) -> None:
    clocks.pause(incident=clock.incident, reason="Paused in the console", actor=actor, at=at)


def _resume(clock: SLAClock, actor: Actor, at: datetime) -> None:
    clocks.resume(incident=clock.incident, actor=actor, at=at)


@admin.register(SLAPause)
class SLAPauseAdmin(Watched):
    list_display = ("incident", "reason", "started_at", "started_by", "ended_at", "ended_by")
    list_select_related = ("incident",)
    search_fields = ("incident__name",)
