from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from aiops import documents as yaml
from aiops.api.exceptions import BadRequest
from aiops.api.operations import Accepts, Sent, command, creation, deletion, operation, replacement, sub_document
from aiops.api.pagination import Page
from aiops.api.serializers import API_VERSION, Rendered, list_document, list_of
from aiops.api.views import Lists, Reads, ResourceViewSet
from aiops.apikeys.roles import Role
from aiops.errors import Invalid
from federation.models import Cluster
from incidents.models import Incident
from runbooks import documents
from runbooks.actions import Target
from runbooks.api.filters import ApprovalFilter, RemediationFilter, RunbookFilter
from runbooks.api.serializers.approvals import (
    ApprovalDocument,
    ApprovalItem,
    ApprovalRequestDocument,
    ApproveBody,
    RejectBody,
)
from runbooks.api.serializers.remediations import CancelBody, CompleteStepBody, PlanDocument, PlanItem
from runbooks.api.serializers.runbooks import (
    DryRunBody,
    RunbookDocument,
    RunbookDryRunDocument,
    RunbookImportDocument,
    RunbookItem,
    RunbookVersionItem,
)
from runbooks.definitions import RunbookBody, RunbookUpdateBody
from runbooks.models import ApprovalRequest, RemediationPlan, Runbook
from runbooks.services import approvals, dry_run, execution, library

YAML = "application/yaml"


class RunbookViewSet(Lists, Reads, ResourceViewSet):
    queryset = Runbook.objects.all()
    document = RunbookDocument
    item = RunbookItem
    filterset_class = RunbookFilter
    columns = (
        "name",
        "namespace",
        "category",
        "description",
        "revision",
        "automated",
        "approval_required",
        "severity",
        "steps",
        "execution_seconds",
        "plans_completed",
        "plans_failed",
        "last_used_at",
        "created_at",
        "times_used",
        "auto_generated",
        "trigger",
        "max_attempts",
    )

    @creation(body=RunbookBody)
    def create(self, sent: Sent) -> Runbook:
        self.require_scope(namespace=sent["namespace"])
        return library.create(values=sent, actor=self.actor, at=self.now)

    @replacement(body=RunbookUpdateBody)
    def update(self, runbook: Runbook, sent: Sent) -> Runbook:
        return library.update(runbook=runbook, values=sent, actor=self.actor, at=self.now)

    @deletion()
    def destroy(self, runbook: Runbook) -> None:
        library.delete(runbook=runbook, actor=self.actor, at=self.now)

    @command(path="dry-run", body=DryRunBody, answer=RunbookDryRunDocument, calls_outside=True)
    def dry_run(self, runbook: Runbook, sent: Sent) -> Rendered:
        """What the runbook would do to the object, step by step; nothing changes."""
        if sent.get("incident"):
            found = dry_run.on_incident(runbook=runbook, incident=self._incident(sent["incident"]), at=self.now)
        else:
            target = Target(**sent["resource"])
            cluster = self._cluster(sent["cluster"], target.namespace)
            found = dry_run.dry_run(runbook=runbook, cluster=cluster, target=target, at=self.now)
        steps = [
            {
                "name": step.name,
                "action": step.action,
                "action_type": step.action_type,
                "verdict": step.verdict,
                "reason": step.reason,
                "diff": step.diff,
            }
            for step in found.steps
        ]
        return RunbookDryRunDocument.render(
            {
                "metadata": {"name": runbook.name, "namespace": runbook.namespace},
                "status": {"steps": steps, "blast_radius": found.blast_radius},
            }
        )

    def _incident(self, name: str) -> Incident:
        rows = self.scope.narrow(Incident.objects.select_related("cluster"), cluster="cluster_name")
        incident = rows.filter(name=name).first()
        if incident is None:
            raise Invalid("Unknown incident", fields={"incident": ["There is no incident of this name."]})
        return incident

    def _cluster(self, name: str, namespace: str) -> Cluster:
        covered = self.scope.covers(namespace=namespace or None, cluster=name)
        cluster = Cluster.objects.filter(name=name).first() if covered else None
        if cluster is None:
            raise Invalid("Unknown cluster", fields={"cluster": ["There is no cluster of this name."]})
        return cluster

    @sub_document(answer=list_of("RunbookVersionList", RunbookVersionItem), is_list=True)
    def versions(self, runbook: Runbook) -> Rendered:
        page = Page.of(self.request.GET)
        rows = runbook.versions.order_by("-pk")  # times of changes at once need not follow their order
        total = rows.count()
        columns = rows.values("revision", "updated_by", "updated_at", "diff")
        items = RunbookVersionItem.render_all(page.of_rows(columns, total))
        return list_document("RunbookVersionList", items, total=total, page=page.number, page_size=page.size)

    @sub_document(media_type=YAML)
    def export(self, runbook: Runbook) -> HttpResponse:
        """The runbook as a YAML document; importing it changes nothing."""
        return HttpResponse(documents.export(runbook), content_type=YAML)

    @action(detail=False, methods=["post"], url_path="import", url_name="load")
    @operation(
        role=Role.ADMIN,
        accepts=Accepts.RAW,
        body_media_type=YAML,
        answer=RunbookImportDocument,
        status=201,
        also=(200,),
    )
    def load(self, request: Request) -> Response:
        """Create or update a runbook per YAML document; a bad document is rejected alone."""
        found = self._documents()
        result = library.load(
            found=found, actor=self.actor, at=self.now, covers=lambda namespace: self.scope.covers(namespace=namespace)
        )
        document = {"apiVersion": API_VERSION, "kind": RunbookImportDocument.KIND}
        lists = {name: getattr(result, name) for name in ("created", "updated", "unchanged", "rejected")}
        return Response({**document, "status": lists}, status=201 if result.created else 200)

    def _documents(self) -> list[yaml.Document]:
        try:
            text = self.request.raw.decode()
        except UnicodeDecodeError as error:
            raise BadRequest("The body is not UTF-8") from error
        found = yaml.read(text)
        if not found:
            raise BadRequest("The body holds no document")
        return found


class RemediationViewSet(Lists, Reads, ResourceViewSet):
    queryset = RemediationPlan.objects.select_related("incident").prefetch_related("steps")
    document = PlanDocument
    item = PlanItem
    filterset_class = RemediationFilter
    tallied = ("runbooks.RemediationPlan", "runbooks.PlanStep", "incidents.Incident")
    ordering = ("-created_at", "name")
    scope_cluster = "incident__cluster_name"

    @command(body=CancelBody)
    def cancel(self, plan: RemediationPlan, sent: Sent) -> RemediationPlan:
        """Stop before the next step and roll back what was done, when the runbook says so."""
        execution.cancel(plan=plan, by=sent["cancelled_by"], reason=sent["reason"], actor=self.actor, at=self.now)
        return self._again(plan)

    # the name of a step may be any text, slashes included
    @action(detail=True, methods=["post"], url_path=r"steps/(?P<step>[\s\S]+)/complete", url_name="complete_step")
    @operation(role=Role.OPERATOR, body=CompleteStepBody, refusals=(404, 409), names_object=True)
    def complete_step(self, request: Request, name: str, step: str) -> Response:
        """A manual step is done; the plan goes on."""
        sent = self.read_body(CompleteStepBody)

        def complete(plan: RemediationPlan) -> RemediationPlan:
            execution.complete_step(
                plan=plan, step_name=step, by=sent["completed_by"], note=sent["note"], actor=self.actor, at=self.now
            )
            return self._again(plan)

        return self.answer(self.attempt(complete))

    def _again(self, plan: RemediationPlan) -> RemediationPlan:
        """The plan as it is after the service, with what the document shows."""
        found: RemediationPlan = self.get_queryset().get(pk=plan.pk)
        return found


class ApprovalViewSet(Lists, Reads, ResourceViewSet):
    queryset = ApprovalRequest.objects.select_related("incident", "plan").prefetch_related("decisions")
    document = ApprovalRequestDocument
    item = ApprovalItem
    list_kind = "ApprovalList"
    filterset_class = ApprovalFilter
    tallied = ("runbooks.ApprovalRequest", "incidents.Incident")
    ordering = ("-created_at", "name")
    scope_cluster = "incident__cluster_name"
    columns = (
        "name",
        "namespace",
        "state",
        "incident__name",
        "action",
        "risk_score",
        "required_role",
        "runbook_name",
        "created_at",
        "expires_at",
        "decided_at",
        "decided_by",
        "requester",
        "decision_reason",
        "labels",
    )

    def render_items(self, rows: Iterable[Any]) -> list[Rendered]:
        return ApprovalItem.render_all(rows, now=self.now)

    def render_document(self, row: ApprovalRequest) -> Rendered:
        return ApprovalRequestDocument.render(row, now=self.now)

    @command(body=ApproveBody, answer=ApprovalDocument, refusals=(404, 409, 410))
    def approve(self, approval: ApprovalRequest, sent: Sent) -> Response:
        approvals.approve(
            approval=approval, approver=sent["approved_by"], comment=sent["comment"], actor=self.actor, at=self.now
        )
        return self._decided(approval)

    @command(body=RejectBody, answer=ApprovalDocument)
    def reject(self, approval: ApprovalRequest, sent: Sent) -> Response:
        approvals.reject(
            approval=approval, approver=sent["rejected_by"], reason=sent["reason"], actor=self.actor, at=self.now
        )
        return self._decided(approval)

    def _decided(self, approval: ApprovalRequest) -> Response:
        row = self.get_queryset().get(pk=approval.pk)
        return Response(ApprovalDocument.render(row, now=self.now), headers=self.etag(row))
