from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from aiops.apikeys import keyring, services
from aiops.apikeys.models import ApiKey
from aiops.apikeys.roles import Role

CHOSEN = ("role", "description", "owner", "namespaces", "clusters", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]
    """A key is shown once, right after it was made; from then on it can only be revoked."""

    list_display = (
        "prefix",
        "role",
        "description",
        "owner",
        "source",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("role", "source")
    search_fields = ("prefix", "description", "owner")
    actions = ("revoke_keys",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return CHOSEN if obj is None else (*self.list_display, "namespaces", "clusters")

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        row, key = services.create(
            role=Role(obj.role),
            at=timezone.now(),
            description=obj.description,
            owner=obj.owner,
            expires_at=obj.expires_at,
            namespaces=obj.namespaces,
            clusters=obj.clusters,
        )
        obj.pk, obj.prefix = row.pk, row.prefix
        self.message_user(request, f"The key, shown this once: {key}", messages.WARNING)

    @admin.action(description="Revoke the selected keys", permissions=["add"])
    def revoke_keys(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            services.revoke(api_key=row, at=timezone.now())
        keyring.forget()
        self.message_user(request, "The keys stop working within a few seconds.")
