"""The incidents app in the console: reads freely, changes through the same services as the API."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from aiops.audit.actor import Actor
from aiops.console.actors import actor_of
from aiops.console.watched import Watched, WatchedInline
from aiops.errors import DomainError, Invalid
from aiops.notifications.models import Channel
from incidents import escalation
from incidents.models import (
    AIInsight,
    Anomaly,
    Decision,
    EscalationPolicy,
    EscalationRun,
    FleetCorrelation,
    Incident,
    PostMortem,
    SuppressedSignal,
    TimelineEvent,
)
from incidents.services import escalation_policies, lifecycle, postmortems

M = TypeVar("M", bound=Model)
HOUR = timedelta(hours=1)


class TimelineInline(WatchedInline):
    model = TimelineEvent
    fields = ("at", "type", "source", "message", "severity")
    ordering = ("at", "pk")


class AnomalyInline(WatchedInline):
    model = Anomaly
    fields = ("signal_type", "description", "severity", "count", "first_seen_at", "last_seen_at", "cleared_at")
    ordering = ("first_seen_at", "pk")


class DecisionInline(WatchedInline):
    model = Decision
    fields = ("at", "stage", "rule", "verdict", "reason")
    ordering = ("at", "pk")


@admin.register(Incident)
class IncidentAdmin(Watched):
    list_display = ("name", "severity", "state", "resource", "namespace", "cluster_name", "risk_score", "detected_at")
    list_filter = ("state", "severity", "cluster_name", "signal_type")
    search_fields = ("name", "description", "resource_name")
    date_hierarchy = "detected_at"
    inlines = (TimelineInline, AnomalyInline, DecisionInline)
    actions = ("acknowledge", "snooze", "resolve")

    @admin.action(description="Acknowledge", permissions=["operate"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        self.each(request, queryset, _acknowledge, "acknowledged")

    @admin.action(description="Snooze for an hour", permissions=["operate"])
    def snooze(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        self.each(request, queryset, _snooze, "snoozed for an hour")

    @admin.action(description="Resolve", permissions=["operate"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        self.each(request, queryset, _resolve, "resolved")


def _acknowledge(incident: Incident, actor: Actor, at: datetime) -> None:
    lifecycle.acknowledge(incident=incident, actor=actor, at=at)


def _snooze(incident: Incident, actor: Actor, at: datetime) -> None:
    lifecycle.snooze(incident=incident, duration=HOUR, reason="Snoozed in the console", actor=actor, at=at)


def _resolve(incident: Incident, actor: Actor, at: datetime) -> None:
    lifecycle.resolve(incident=incident, actor=actor, at=at)


@admin.register(Anomaly)
class AnomalyAdmin(Watched):
    list_display = (
        "signal_type",
        "resource_kind",
        "resource_name",
        "namespace",
        "origin",
        "count",
        "last_seen_at",
        "cleared_at",
    )
    list_filter = ("origin", "signal_type", "severity")
    search_fields = ("resource_name", "object_name", "description")
    list_select_related = ("incident",)


@admin.register(SuppressedSignal)
class SuppressedSignalAdmin(Watched):
    list_display = ("at", "signal_type", "resource_kind", "resource_name", "namespace", "cluster_name", "why")
    list_filter = ("why", "origin", "signal_type")
    search_fields = ("resource_name",)


@admin.register(AIInsight)
class AIInsightAdmin(Watched):
    list_display = ("name", "incident", "attempt", "provider", "model", "category", "confidence", "generated_at")
    list_filter = ("provider", "category")
    search_fields = ("name", "analysis")
    list_select_related = ("incident",)


@admin.register(Decision)
class DecisionAdmin(Watched):
    list_display = ("at", "incident", "stage", "rule", "verdict", "reason")
    list_filter = ("stage", "verdict")
    list_select_related = ("incident",)


@admin.register(TimelineEvent)
class TimelineEventAdmin(Watched):
    list_display = ("at", "incident", "type", "source", "message")
    list_filter = ("type",)
    list_select_related = ("incident",)


@admin.register(PostMortem)
class PostMortemAdmin(Watched):
    list_display = ("name", "incident", "title", "severity", "state", "requires_human_action", "created_at")
    list_filter = ("state", "severity", "requires_human_action")
    search_fields = ("name", "title", "summary")
    list_select_related = ("incident",)
    actions = ("review", "close", "acknowledge_human_action")

    @admin.action(description="Begin the review", permissions=["operate"])
    def review(self, request: HttpRequest, queryset: QuerySet[PostMortem]) -> None:
        self.each(request, queryset, partial(_postmortem, postmortems.review), "in review")

    @admin.action(description="Close", permissions=["operate"])
    def close(self, request: HttpRequest, queryset: QuerySet[PostMortem]) -> None:
        self.each(request, queryset, partial(_postmortem, postmortems.close), "closed")

    @admin.action(description="Confirm the human action", permissions=["operate"])
    def acknowledge_human_action(self, request: HttpRequest, queryset: QuerySet[PostMortem]) -> None:
        self.each(request, queryset, partial(_postmortem, postmortems.acknowledge_human_action), "confirmed")


def _postmortem(do: Callable[..., Any], row: PostMortem, actor: Actor, at: datetime) -> None:
    do(postmortem=row, actor=actor, at=at)


@admin.register(EscalationRun)
class EscalationRunAdmin(Watched):
    list_display = ("incident", "policy", "level", "started_at", "due_at", "stopped_at", "stopped_by")
    list_select_related = ("incident", "policy")


class EscalationPolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = EscalationPolicy
        fields = ("name", "enabled", "is_default", "starts_on", "severities", "namespaces", "levels")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        channels = set(Channel.objects.values_list("name", flat=True))
        try:
            escalation.check_policy(
                severities=cleaned.get("severities"),
                namespaces=cleaned.get("namespaces"),
                levels=cleaned.get("levels"),
                channels=channels,
            )
        except Invalid as error:
            for path, reasons in error.fields.items():
                member = path.partition("[")[0]
                self.add_error(member, [f"{path}: {reason}" for reason in reasons])
        return cleaned


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(ModelAdmin):  # type: ignore[misc]
    """The one thing people write here; every change is audited."""

    list_display = ("name", "enabled", "is_default", "starts_on", "severities", "namespaces")
    form = EscalationPolicyForm
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: EscalationPolicy, form: Any, change: bool) -> None:
        escalation_policies.save(policy=obj, actor=actor_of(request), at=timezone.now())

    def delete_model(self, request: HttpRequest, obj: EscalationPolicy) -> None:
        try:
            escalation_policies.remove(policy=obj, actor=actor_of(request), at=timezone.now())
        except DomainError as error:
            self.message_user(request, f"{error.message}: {error.details}", messages.ERROR)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[EscalationPolicy]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(FleetCorrelation)
class FleetCorrelationAdmin(Watched):
    list_display = ("correlation_id", "subject", "kind", "clusters", "elevated", "cascade", "opened_at", "closed_at")
    list_filter = ("kind", "elevated", "cascade")
    raw_id_fields = ("members",)
