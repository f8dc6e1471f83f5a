from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.exceptions import error_document
from aiops.api.filters import Condition, FilterSet
from aiops.api.operations import Variant, operation
from aiops.api.selection import within
from aiops.api.views import ApiView, Lists, ResourceViewSet
from aiops.audit import exports
from aiops.audit.api.filters import AuditFilter
from aiops.audit.api.selections import namespaces_of, read_format, read_selection
from aiops.audit.api.serializers import AuditExportDocument, AuditExportJobDocument, AuditItem, job_document
from aiops.audit.models import AuditEvent, AuditExport, ExportFormat, ExportState
from aiops.errors import Gone, Missing

FORMAT = {"type": "string", "enum": ExportFormat.values, "default": ExportFormat.CSV.value}
FILE = Variant(200, "text/csv")
JOB = Variant(202, "application/json", AuditExportJobDocument)


class AuditViewSet(Lists, ResourceViewSet):
    """The log is append-only: there is nothing here but the list (AUD-1)."""

    queryset = AuditEvent.objects.all()
    list_kind = "AuditLogList"
    item = AuditItem
    filterset_class: ClassVar[type[FilterSet] | None] = AuditFilter
    tallied = ("audit.AuditEvent",)
    ordering = ("-at", "-id")
    page_size = 50
    page_size_max = 200

    def get_queryset(self) -> QuerySet[AuditEvent]:
        namespaces = namespaces_of(self.scope)
        rows: QuerySet[AuditEvent] = self.queryset.all()
        return rows if namespaces is None else rows.filter(namespace__in=namespaces)

    def queryset_conditions(self) -> list[Condition] | None:
        namespaces = namespaces_of(self.scope)
        if namespaces is None:
            return []
        return [within("namespace", namespaces)] if namespaces else None


class ExportView(ApiView):
    @operation(answer=AuditExportDocument, variants=(FILE, JOB), filters=AuditFilter, query=(("format", FORMAT),))
    def get(self, request: Request) -> HttpResponseBase:
        """The records of a time range as a file, oldest first; `since` or `from` is required.

        What is too much for one answer is written in the background: the answer is the job, which says where to fetch it.
        """
        format_ = read_format(request.GET)
        selection = read_selection(request.GET, scope=self.scope, now=self.now)
        if request.method == "HEAD":
            return HttpResponse(headers=_headers(format_, exports.file_name(format_, self.now)))
        result = exports.export(selection=selection, format_=format_, actor=self.actor, at=self.now)
        if isinstance(result, AuditExport):
            return Response(job_document(result), status=202)
        headers = _headers(format_, exports.file_name(format_, self.now), sha256(result.content).digest())
        return HttpResponse(result.content, headers=headers)


class DownloadView(ApiView):
    @operation(answer=AuditExportDocument, variants=(FILE, JOB), refusals=(404, 410))
    def get(self, request: Request, job_id: str) -> HttpResponseBase:
        """The file of a background export, or how far it is."""
        job = AuditExport.objects.filter(job_id=job_id).first() if "\x00" not in job_id else None
        if job is None or not self._covers(job):
            raise Missing("There is no such export")
        if self.now >= job.expires_at:
            raise Gone("The export has expired", "Ask for it again.")
        if job.state == ExportState.FAILED:
            return Response(error_document(500, "The export failed", details="Ask for it again."), status=500)
        if job.state == ExportState.PROCESSING:
            return Response(job_document(job), status=202)
        headers = _headers(job.format, exports.file_name(job.format, job.created_at), bytes.fromhex(job.digest))
        pieces: Iterable[bytes] = exports.content_of(job) if request.method != "HEAD" else ()
        return StreamingHttpResponse(pieces, headers={**headers, "Content-Length": str(job.size)})

    def _covers(self, job: AuditExport) -> bool:
        """A key with a scope gets only what was chosen within that scope (X1.5)."""
        own, chosen = namespaces_of(self.scope), job.selection["namespaces"]
        return own is None or (chosen is not None and set(chosen) <= set(own))


def _headers(format_: str, name: str, digest: bytes = b"") -> dict[str, str]:
    headers = {
        "Content-Type": exports.MEDIA_TYPES[ExportFormat(format_)],
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return {**headers, "Repr-Digest": f"sha-256=:{b64encode(digest).decode()}:"} if digest else headers
