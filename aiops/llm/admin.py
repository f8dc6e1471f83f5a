from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from aiops.llm.models import LLMCall


@admin.register(LLMCall)
class LLMCallAdmin(ModelAdmin):  # type: ignore[misc]
    """What was asked and answered, with secrets taken out; nobody edits it."""

    list_display = (
        "at",
        "purpose",
        "subject",
        "model",
        "outcome",
        "prompt_tokens",
        "completion_tokens",
        "duration_seconds",
    )
    list_filter = ("outcome", "purpose", "model")
    search_fields = ("subject",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LLMCall | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LLMCall | None = None) -> bool:
        return False
