from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from aiops import money
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
        "cost_shown",
        "duration_seconds",
    )
    list_filter = ("outcome", "purpose", "model")
    search_fields = ("subject",)
    show_full_result_count = False

    @admin.display(description="cost", ordering="cost")
    def cost_shown(self, call: LLMCall) -> str:
        return f"{money.shown(call.cost):.4f} {settings.AIOPS_CURRENCY}" if call.price else "unknown"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LLMCall | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LLMCall | None = None) -> bool:
        return False
