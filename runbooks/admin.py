"""Runbooks, plans, approvals and the rules about them in the console. Reads freely, changes through the services."""

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
from runbooks import approval_checks, definitions, documents
from runbooks.models import (
    ApprovalDecision,
    ApprovalPolicy,
    ApprovalRequest,
    AutomationSwitch,
    PlanStep,
    RemediationPlan,
    Runbook,
    RunbookVersion,
)
from runbooks.services import approvals, execution, governance, library

TEMPLATE = """\
apiVersion: v1
kind: Runbook
metadata:
  name: my-runbook
spec:
  category: custom
  description: What it is for
  severity: [critical, high]
  matchConditions:
    resourceTypes: [Deployment]
  steps:
    - name: restart
      description: Restart the Deployment
      action: RestartDeployment
"""
IN_CONSOLE = "Decided in the console"


# --- runbooks --------------------------------------------------------------------------------------------------------------


class RunbookForm(forms.ModelForm):  # type: ignore[type-arg]
    """A runbook is written as the YAML document that import and export use."""

    document = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 40, "class": "font-mono"}), max_length=1_000_000
    )

    class Meta:
        model = Runbook
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "document" in self.fields:
            self.fields["document"].initial = documents.export(self.instance) if self.instance.pk else TEMPLATE

    def clean_document(self) -> str:
        text: str = self.cleaned_data["document"]
        try:
            self.values = self._read(text)
        except Invalid as refusal:
            raise forms.ValidationError(_lines(refusal)) from refusal
        return text

    def _read(self, text: str) -> definitions.Values:
        found = yaml.read(text)
        if len(found) != 1:
            raise Invalid("Write exactly one document")
        is_known = bool(self.instance.pk)
        values = definitions.read(documents.body_of(found[0]), merge=is_known)
        if is_known and (values.get("name"), values.get("namespace", self.instance.namespace)) != (
            self.instance.name,
            self.instance.namespace,
        ):
            raise Invalid("A runbook keeps its name and namespace")
        return values


def _lines(refusal: Invalid) -> list[str]:
    named = [f"{path}: {reason}" for path, reasons in refusal.fields.items() for reason in reasons]
    return named or [f"{refusal.message}. {refusal.details}".strip()]


class VersionInline(WatchedInline):
    model = RunbookVersion
    fields = ("revision", "updated_by", "updated_at", "diff")


@admin.register(Runbook)
class RunbookAdmin(ModelAdmin):  # type: ignore[misc]
    form = RunbookForm
    list_display = (
        "name",
        "namespace",
        "category",
        "revision",
        "automated",
        "approval_required",
        "times_used",
        "last_used_at",
    )
    list_filter = ("category", "automated", "approval_required", "auto_generated")
    search_fields = ("name", "description")
    fields = ("document",)
    inlines = (VersionInline,)

    def get_fields(self, request: HttpRequest, obj: Runbook | None = None) -> tuple[str, ...]:
        if self.has_change_permission(request, obj):
            return ("document",)
        return ("name", "namespace", "category", "description", "severity", "steps", "match_conditions", "trigger")

    def save_model(self, request: HttpRequest, obj: Runbook, form: RunbookForm, change: bool) -> None:
        actor, at = actor_of(request), timezone.now()
        try:
            if change:
                library.update(runbook=obj, values=form.values, actor=actor, at=at)
            else:
                created = library.create(values=form.values, actor=actor, at=at)
                obj.pk, obj.name = created.pk, created.name
        except DomainError as refusal:
            messages.set_level(request, messages.ERROR)  # instead of "was changed successfully"
            messages.error(request, f"{refusal.message}. {refusal.details}".strip())

    def delete_model(self, request: HttpRequest, obj: Runbook) -> None:
        self.delete_queryset(request, Runbook.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Runbook]) -> None:
        actor, at = actor_of(request), timezone.now()
        messages.set_level(request, messages.ERROR)  # Django would claim that all of them were deleted
        for row in queryset:
            try:
                library.delete(runbook=row, actor=actor, at=at)
            except DomainError as refusal:
                messages.error(request, f"{refusal.message}. {refusal.details}".strip())


# --- plans -----------------------------------------------------------------------------------------------------------------


class StepInline(WatchedInline):
    model = PlanStep
    fields = ("index", "name", "action", "state", "started_at", "completed_at", "output")


@admin.register(RemediationPlan)
class RemediationPlanAdmin(Watched):
    list_display = ("name", "incident", "runbook_name", "state", "attempt", "created_at", "completed_at", "result")
    list_filter = ("state", "cluster", "rollback_performed")
    list_select_related = ("incident", "cluster")
    search_fields = ("name", "incident__name", "runbook_name", "target_name")
    date_hierarchy = "created_at"
    inlines = (StepInline,)
    exclude = ("lease_holder", "leased_until", "target_key")
    actions = ("cancel",)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[RemediationPlan]) -> None:
        self.each(request, queryset, _cancel, "plans are being cancelled")


def _cancel(plan: RemediationPlan, actor: Actor, at: datetime) -> None:
    execution.cancel(plan=plan, by=actor.name, reason=IN_CONSOLE, actor=actor, at=at)


# --- approvals -------------------------------------------------------------------------------------------------------------


class DecisionInline(WatchedInline):
    model = ApprovalDecision
    fields = ("approver", "decision", "reason", "at")


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(Watched):
    list_display = (
        "name",
        "shown_state",
        "incident",
        "action",
        "severity",
        "required_role",
        "created_at",
        "expires_at",
    )
    list_filter = ("state", "severity", "required_role")
    list_select_related = ("incident",)
    search_fields = ("name", "incident__name", "runbook_name", "action")
    date_hierarchy = "created_at"
    inlines = (DecisionInline,)
    actions = ("approve", "reject")

    @admin.display(description="State", ordering="state")
    def shown_state(self, row: ApprovalRequest) -> str:
        """APR-4: a pending request past its time has expired."""
        is_late = row.state == "Pending" and row.expires_at <= timezone.now()
        return "Expired" if is_late else row.state

    @admin.action(description="Approve", permissions=["operate"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ApprovalRequest]) -> None:
        self.each(request, queryset, _approve, "approved")

    @admin.action(description="Reject", permissions=["operate"])
    def reject(self, request: HttpRequest, queryset: QuerySet[ApprovalRequest]) -> None:
        self.each(request, queryset, _reject, "rejected")


def _approve(approval: ApprovalRequest, actor: Actor, at: datetime) -> None:
    approvals.approve(approval=approval, approver=actor.name, comment=IN_CONSOLE, actor=actor, at=at)


def _reject(approval: ApprovalRequest, actor: Actor, at: datetime) -> None:
    approvals.reject(approval=approval, approver=actor.name, reason=IN_CONSOLE, actor=actor, at=at)


# --- what people lay down about automation ---------------------------------------------------------------------------------


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    default_mode = forms.ChoiceField(choices=[(mode, mode) for mode in governance.DEFAULT_MODES], initial="manual")

    class Meta:
        model = ApprovalPolicy
        fields = governance.POLICY_MEMBERS

    def clean_rules(self) -> Any:
        rules = self.cleaned_data["rules"]
        found = approval_checks.complaints(rules)
        if found:
            raise forms.ValidationError(found)
        return rules


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(ModelAdmin):  # type: ignore[misc]
    form = PolicyForm
    list_display = ("name", "enabled", "priority", "default_mode", "forbid_self_approval", "updated_at")
    list_filter = ("enabled",)
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: ApprovalPolicy, form: Any, change: bool) -> None:
        governance.save_policy(policy=obj, actor=actor_of(request), at=timezone.now())

    def delete_model(self, request: HttpRequest, obj: ApprovalPolicy) -> None:
        governance.delete_policy(policy=obj, actor=actor_of(request), at=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApprovalPolicy]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(AutomationSwitch)
class AutomationSwitchAdmin(ModelAdmin):  # type: ignore[misc]
    """The kill switch. A row stays once it exists: what it said and who changed it is part of the story."""

    list_display = ("__str__", "reason", "changed_by", "changed_at")
    list_select_related = ("cluster",)
    fields = ("cluster", "stopped", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: AutomationSwitch | None = None) -> tuple[str, ...]:
        return ("cluster",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: AutomationSwitch | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: AutomationSwitch, form: Any, change: bool) -> None:
        row = governance.switch(
            cluster=obj.cluster, stopped=obj.stopped, reason=obj.reason, actor=actor_of(request), at=timezone.now()
        )
        obj.pk, obj.changed_at = row.pk, row.changed_at
