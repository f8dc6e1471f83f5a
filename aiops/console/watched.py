"""How the console shows what the platform writes: to read, and to act on through services."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline

from aiops.apikeys.roles import Role
from aiops.audit.actor import Actor
from aiops.console.actors import actor_of, allows
from aiops.errors import DomainError

M = TypeVar("M", bound=Model)


class Watched(ModelAdmin):  # type: ignore[misc]
    """Rows that the pipeline writes: nobody adds, edits or deletes them here."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return allows(request, Role.OPERATOR)

    def each(self, request: HttpRequest, rows: QuerySet[M], do: Callable[[M, Actor, datetime], Any], done: str) -> None:
        """Do it to every selected row; what a service refuses is shown as a message."""
        actor, at, count = actor_of(request), timezone.now(), 0
        for row in rows:
            try:
                do(row, actor, at)
            except DomainError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
            else:
                count += 1
        if count:
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)


class WatchedInline(TabularInline):  # type: ignore[misc]
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
