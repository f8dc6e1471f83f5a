from typing import Any

from django.http import HttpResponse, HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.exceptions import BadRequest
from aiops.api.fields import (
    EnumField,
    IntegerField,
    JsonField,
    ListField,
    MapField,
    NumberField,
    ObjectField,
    TextField,
    TimeField,
)
from aiops.api.operations import Variant, operation
from aiops.api.serializers import API_VERSION, Document, Stored
from aiops.api.views import ApiView
from analytics.api import questions
from analytics.api.questions import QUERY, RangeMetadata
from analytics.models import ReportKind, ReportSchedule
from analytics.reports import csv, html
from analytics.reports.document import Report, Unit
from analytics.services import reports

FORMATS = ("json", "csv", "html")
FORMAT = {"type": "string", "enum": list(FORMATS), "default": "json"}
TABLE = {"type": "string", "description": "With format csv: only this table"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SHOWN = 1_000  # schedules; the document has no pages
SUMMARIES = {
    ReportKind.INCIDENTS: "How many incidents there were, where, and how long they took",
    ReportKind.SLO: "Objectives, what is left of their error budgets, and burn-rate alerts",
    ReportKind.COMPLIANCE: "Promises, decisions, changes and the evidence for them",
    ReportKind.CAPACITY: "Where there is too little room",
    ReportKind.NOISE: "Which signals nobody acts on, and whom messages interrupt",
}


class ReportFigure(Stored):
    name = TextField()
    label = TextField()  # type: ignore[assignment]  # the member of the document hides one that only forms use
    value = JsonField()
    unit = serializers.ChoiceField([unit.value for unit in Unit])
    samples = IntegerField(allow_null=True)
    coverage = NumberField(allow_null=True)


class ReportColumn(Stored):
    name = TextField()
    label = TextField()  # type: ignore[assignment]  # the member of the document hides one that only forms use
    unit = serializers.ChoiceField([unit.value for unit in Unit])


class ReportTable(Stored):
    name = TextField()
    title = TextField()
    columns = ReportColumn(many=True)
    rows = ListField(child=ObjectField())
    totalRows = IntegerField()


class ReportContent(Stored):
    kind = EnumField(ReportKind)
    title = TextField()
    figures = ReportFigure(many=True)
    tables = ReportTable(many=True)
    notes = ListField(child=serializers.CharField())


class ReportMetadata(RangeMetadata):
    name = EnumField(ReportKind)
    filters = MapField()


class ReportDocument(Document):
    KIND = "Report"

    metadata = ReportMetadata()
    report = ReportContent()


class OfferedReport(Stored):
    kind = EnumField(ReportKind)
    description = TextField()
    formats = ListField(child=serializers.CharField())
    url = TextField()


class ScheduledReport(Stored):
    name = TextField()
    report = EnumField(ReportKind)
    period = TextField()
    cron = TextField()
    timeZone = TextField()
    channels = ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    nextRunAt = TimeField(allow_null=True)
    lastRunAt = TimeField(allow_null=True)


class ReportListMetadata(Stored):
    totalCount = IntegerField()
    page = IntegerField()
    pageSize = IntegerField()


class ReportList(Document):
    KIND = "ReportList"

    metadata = ReportListMetadata()
    items = OfferedReport(many=True)
    schedules = ScheduledReport(many=True)


class ReportsView(ApiView):
    @operation(answer=ReportList)
    def get(self, request: Request) -> Response:
        """The kinds of reports, and when they go out by themselves."""
        path = request.path.rstrip("/")
        items = [
            {
                "kind": kind.value,
                "description": SUMMARIES[kind],
                "formats": list(FORMATS),
                "url": f"{path}/{kind.value}",
            }
            for kind in ReportKind
        ]
        size = len(items)
        return Response(
            {
                "apiVersion": API_VERSION,
                "kind": ReportList.KIND,
                "metadata": {"totalCount": size, "page": 1, "pageSize": size},
                "items": items,
                "schedules": self._schedules(),
            }
        )

    def _schedules(self) -> list[dict[str, Any]]:
        rows = self.scope.narrow(
            ReportSchedule.objects.order_by("name"), namespace="report_namespace", cluster="cluster"
        )
        return [
            {
                "name": row.name,
                "report": row.report,
                "period": row.period,
                "cron": row.cron,
                "timeZone": row.time_zone,
                "channels": row.channels,
                "enabled": row.enabled,
                "nextRunAt": row.due_at,
                "lastRunAt": row.last_run_at,
            }
            for row in rows[:SHOWN]
        ]


class ReportView(ApiView):
    """One kind of report; the kind is part of the route, so an unknown one is no route."""

    kind: str = ""

    @operation(
        answer=ReportDocument,
        variants=(Variant(200, "text/csv"), Variant(200, "text/html")),
        query=(*QUERY, ("format", FORMAT), ("table", TABLE)),
    )
    def get(self, request: Request) -> HttpResponseBase:
        """The report as JSON, as CSV, or as a page to print that needs nothing else."""
        format_ = _format(request)
        asked = questions.read(request.GET, scope=self.scope, now=self.now)
        table = self.param("table") or ""
        report = reports.build(self.kind, asked.question)
        if format_ == "csv":
            return _file(csv.write(report, table), "text/csv; charset=utf-8", _name(report, "csv"))
        if format_ == "html":
            response = _file(html.write(report), "text/html; charset=utf-8", _name(report, "html"), inline=True)
            response["Content-Security-Policy"] = POLICY
            return response
        metadata = {**asked.metadata(), "name": self.kind, "filters": report.filters}
        document = {
            "apiVersion": API_VERSION,
            "kind": ReportDocument.KIND,
            "metadata": metadata,
            "report": report.as_members(),
        }
        return Response(document)


def _format(request: Request) -> str:
    wanted = (request.GET.get("format") or "json").lower()
    if wanted not in FORMATS:
        raise BadRequest("Unknown format", {"format": [f"Must be one of: {', '.join(FORMATS)}."]})
    return wanted


def _name(report: Report, extension: str) -> str:
    return f"{report.kind.value}-{report.until:%Y%m%d}.{extension}"


def _file(content: bytes, media_type: str, name: str, *, inline: bool = False) -> HttpResponse:
    how = "inline" if inline else "attachment"
    return HttpResponse(
        content, headers={"Content-Type": media_type, "Content-Disposition": f'{how}; filename="{name}"'}
    )
