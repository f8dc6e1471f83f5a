from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from aiops.console.actors import actor_of
from aiops.errors import DomainError
from aiops.notifications import configuration, services
from aiops.notifications.forms import ChannelForm, PolicyForm
from aiops.notifications.models import Channel, Notification, Policy


class _Configuration(ModelAdmin):  # type: ignore[misc]
    """Saving and deleting go through the services, so that the audit log has them too."""

    def delete_model(self, request: HttpRequest, obj: Channel | Policy) -> None:
        self._remove(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._remove(request, list(queryset))

    def _remove(self, request: HttpRequest, rows: list[Any]) -> None:
        for row in rows:
            try:
                configuration.remove(row=row, actor=actor_of(request), at=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{error.message}. {error.details}", messages.ERROR)


@admin.register(Channel)
class ChannelAdmin(_Configuration):
    form = ChannelForm
    list_display = ("name", "type", "enabled", "updated_at")
    list_filter = ("type", "enabled")
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Channel, form: ChannelForm, change: bool) -> None:
        configuration.save_channel(
            channel=obj, secrets=form.typed_secrets(), actor=actor_of(request), at=timezone.now()
        )


@admin.register(Policy)
class PolicyAdmin(_Configuration):
    form = PolicyForm
    list_display = ("name", "enabled", "max_per_hour", "deduplication_seconds", "updated_at")
    list_filter = ("enabled",)
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Policy, form: PolicyForm, change: bool) -> None:
        configuration.save_policy(policy=obj, actor=actor_of(request), at=timezone.now())


@admin.register(Notification)
class NotificationAdmin(ModelAdmin):  # type: ignore[misc]
    """The delivery log: read only, but a dead letter can be sent again."""

    list_display = ("created_at", "event", "subject_name", "channel_name", "target", "state", "attempts", "last_error")
    list_filter = ("state", "event", "channel_type")
    search_fields = ("subject_name", "incident_name", "channel_name")
    show_full_result_count = False
    actions = ("send_again",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        return False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.change_notification")

    @admin.action(description="Send the selected failed messages again", permissions=["retry"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        for notification in queryset:
            try:
                services.retry(notification=notification, actor=actor_of(request), at=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{notification}: {error.message}", messages.ERROR)
