from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch
from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from aiops import documents as yaml
from aiops.api.exceptions import BadRequest
from aiops.api.operations import Accepts, Sent, command, creation, deletion, operation, replacement, sub_document
from aiops.api.serializers import API_VERSION, Rendered
from aiops.api.views import Lists, Reads, ResourceViewSet
from aiops.apikeys.roles import Role
from slos import documents, figures, gate, rules
from slos.api.filters import IncidentSLAFilter, SLOFilter
from slos.api.serializers import (
    AdjustmentBody,
    SLOAdjustmentDocument,
    SLOBudgetDocument,
    SLODocument,
    SLOGateDocument,
    SLOImportDocument,
    SLOItem,
    budget_document,
)
from slos.api.sla_serializers import IncidentSLADocument, IncidentSLAItem
from slos.definitions import SLOBody, SLOUpdateBody
from slos.models import SLO, BurnAlert, IncidentSLA
from slos.services import adjustments, attribution, clocks, library, reports, sla_library
from slos.sla_definitions import IncidentSLABody, IncidentSLAUpdateBody

YAML = "application/yaml"
OPEN_ALERTS = Prefetch("alerts", BurnAlert.objects.filter(cleared_at__isnull=True))
GRANULARITY = {"type": "string", "enum": reports.Granularity.values, "default": str(reports.Granularity.DAILY)}
MINIMUM = {"type": "number", "minimum": 0, "maximum": 100, "default": gate.DEFAULT_MINIMUM}


class SLOViewSet(Lists, Reads, ResourceViewSet):
    queryset = SLO.objects.select_related("cluster").prefetch_related(OPEN_ALERTS)
    document = SLODocument
    item = SLOItem
    filterset_class = SLOFilter
    scope_cluster = "cluster__name"

    def render_items(self, rows: Iterable[Any]) -> list[Rendered]:
        # their alerts and clusters are not shown
        items = rows.select_related(None).prefetch_related(None) if hasattr(rows, "select_related") else rows
        return SLOItem.render_all(items, now=self.now)

    def render_document(self, row: SLO) -> Rendered:
        window = figures.window_of(row, self.now)
        return SLODocument.render(
            row,
            figures=figures.figures_of(row, self.now),
            window=window,
            days=reports.daily_values(row, self.now),
            burned=attribution.of_slo(slo=row, since=window.start),
        )

    # --- changes

    @creation(body=SLOBody)
    def create(self, sent: Sent) -> SLO:
        self.require_scope(namespace=sent["namespace"], cluster=sent["cluster"] or None)
        return self._again(library.create(values=sent, actor=self.actor, at=self.now))

    @replacement(body=SLOUpdateBody)
    def update(self, slo: SLO, sent: Sent) -> SLO:
        return self._again(library.update(slo=slo, values=sent, actor=self.actor, at=self.now, covers=self._covers))

    @deletion()
    def destroy(self, slo: SLO) -> None:
        library.delete(slo=slo, actor=self.actor, at=self.now)

    @command(body=AdjustmentBody, role=Role.ADMIN, answer=SLOAdjustmentDocument, status=201, refusals=(404,))
    def adjustments(self, slo: SLO, sent: Sent) -> Rendered:
        """Add minutes of bad time to what is consumed, or give time back."""
        made = adjustments.adjust(
            slo=slo,
            minutes=sent["minutes"],
            reason=sent["reason"],
            for_time=sent["at"] or self.now,
            actor=self.actor,
            at=self.now,
        )
        return SLOAdjustmentDocument.render(
            {
                "metadata": {
                    "name": slo.name,
                    "namespace": slo.namespace,
                    "created_at": made.created_at,
                    "created_by": made.created_by,
                },
                "spec": {"minutes": made.minutes, "reason": made.reason, "at": made.at},
            }
        )

    @action(detail=False, methods=["post"], url_path="import", url_name="load")
    @operation(
        role=Role.ADMIN,
        accepts=Accepts.RAW,
        body_media_type=YAML,
        answer=SLOImportDocument,
        status=201,
        also=(200,),
    )
    def load(self, request: Request) -> Response:
        """Create or update SLOs from OpenSLO or Sloth documents; a bad one is rejected alone."""
        result = library.load(found=self._documents(), actor=self.actor, at=self.now, covers=self._covers)
        names = ("created", "updated", "unchanged", "rejected", "warnings")
        status = {name: getattr(result, name) for name in names}
        document = {"apiVersion": API_VERSION, "kind": SLOImportDocument.KIND, "status": status}
        return Response(document, status=201 if result.created else 200)

    # --- sub-documents

    @action(detail=True, methods=["get"])
    @operation(answer=SLOBudgetDocument, query=(("granularity", GRANULARITY),), refusals=(404,), names_object=True)
    def budget(self, request: Request, name: str) -> Response:
        granularity = self._granularity()
        return Response(budget_document(self.get_object(), granularity, self.now))

    @action(detail=True, methods=["get"])
    @operation(answer=SLOGateDocument, query=(("minimumBudget", MINIMUM),), refusals=(404,), names_object=True)
    def gate(self, request: Request, name: str) -> Response:
        """May a pipeline deliver? An unknown budget does not pass."""
        minimum = self._minimum()
        slo: SLO = self.get_object()
        verdict = gate.judge(
            enabled=slo.enabled,
            remaining_percent=figures.figures_of(slo, self.now).remaining_percent,
            minimum=minimum,
            evaluated_at=slo.evaluated_at,
            status_reason=slo.status_reason,
            at=self.now,
        )
        found = {
            "metadata": {"name": slo.name, "namespace": slo.namespace},
            "spec": {"minimum_budget_percent": minimum},
            "status": {"allow": verdict.allow, "reason": verdict.reason},
        }
        return Response(SLOGateDocument.render(found))

    @sub_document(media_type=YAML)
    def openslo(self, slo: SLO) -> HttpResponse:
        """The SLO as an OpenSLO v1 document; importing it changes nothing."""
        return HttpResponse(documents.export(slo), content_type=YAML)

    @sub_document(media_type=YAML)
    def rules(self, slo: SLO) -> HttpResponse:
        """A Prometheus rule file: error ratios per window, and the burn-rate alerts."""
        return HttpResponse(rules.rule_file(slo), content_type=YAML)

    # --- parts

    def _covers(self, namespace: str, cluster: str) -> bool:
        return self.scope.covers(namespace=namespace, cluster=cluster or None)

    def _again(self, slo: SLO) -> SLO:
        found: SLO = self.get_queryset().get(pk=slo.pk)
        return found

    def _granularity(self) -> str:
        wanted = (self.param("granularity") or reports.Granularity.DAILY).lower()
        if wanted not in reports.Granularity.values:
            reason = [f"Must be one of: {', '.join(reports.Granularity.values)}."]
            raise BadRequest("The query parameters are not valid", {"granularity": reason})
        return wanted

    def _minimum(self) -> float:
        try:
            minimum = float(self.param("minimumBudget") or gate.DEFAULT_MINIMUM)
        except ValueError:
            minimum = -1.0
        if not 0 <= minimum <= 100:  # also refuses NaN
            raise BadRequest(
                "The query parameters are not valid", {"minimumBudget": ["Must be a number from 0 to 100."]}
            )
        return minimum

    def _documents(self) -> list[yaml.Document]:
        try:
            text = self.request.raw.decode()
        except UnicodeDecodeError as error:
            raise BadRequest("The body is not UTF-8") from error
        found = yaml.read(text)
        if not found:
            raise BadRequest("The body holds no document")
        return found


class IncidentSLAViewSet(Lists, Reads, ResourceViewSet):
    queryset = IncidentSLA.objects.all()
    document = IncidentSLADocument
    item = IncidentSLAItem
    filterset_class = IncidentSLAFilter

    def render_document(self, row: IncidentSLA) -> Rendered:
        return IncidentSLADocument.render(
            row, clocks=clocks.states_of(row), compliance=clocks.compliance_of(row, at=self.now)
        )

    @creation(body=IncidentSLABody)
    def create(self, sent: Sent) -> IncidentSLA:
        self.require_scope(namespace=sent["namespace"])
        return sla_library.create(values=sent, actor=self.actor, at=self.now)

    @replacement(body=IncidentSLAUpdateBody)
    def update(self, row: IncidentSLA, sent: Sent) -> IncidentSLA:
        return sla_library.update(row=row, values=sent, actor=self.actor, at=self.now)

    @deletion()
    def destroy(self, row: IncidentSLA) -> None:
        sla_library.delete(row=row, actor=self.actor, at=self.now)
