from typing import Any

from django.urls import reverse
from rest_framework import serializers

from aiops.api.fields import EnumField, IntegerField, ObjectField, TextField, TimeField
from aiops.api.serializers import API_VERSION, Document, Rendered, Shape
from aiops.audit import records
from aiops.audit.actor import ActorKind
from aiops.audit.models import AuditExport, AuditSeverity, ExportFormat, ExportState
from aiops.audit.records import AuditSubject


class AuditItem(Shape):
    """`checksum` is the SHA-256 of the record without it, as JSON with sorted members and no white space."""

    id = TextField()
    timestamp = TimeField()
    action = TextField()
    user = TextField()
    role = TextField()
    resource = TextField()
    resourceType = EnumField(AuditSubject)
    namespace = TextField(allow_null=True)
    details = ObjectField()
    sourceIP = TextField()
    userAgent = TextField()
    checksum = serializers.RegexField("^sha256:[0-9a-f]{64}$")
    eventType = TextField(allow_null=True)
    severity = EnumField(AuditSeverity)
    actorType = serializers.ChoiceField([kind.value for kind in ActorKind])
    correlationId = TextField(allow_null=True)

    def _write(self, row: Any) -> Rendered:
        return records.shown(row)  # exactly what the checksum covers


class ExportMetadata(Shape):
    exportedAt = TimeField()
    to = TimeField()
    totalRecords = IntegerField(min_value=0)
    format = EnumField(ExportFormat)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), "from": TimeField()}  # `from` is no Python name


class AuditExportDocument(Document):
    KIND = "AuditExport"

    metadata = ExportMetadata()
    records = AuditItem(many=True)


class JobMetadata(Shape):
    jobId = TextField()


class JobStatus(Shape):
    state = EnumField(ExportState)
    estimatedRecords = IntegerField(min_value=0)
    downloadUrl = TextField()
    expiresAt = TimeField()
    records = IntegerField(allow_null=True)
    size = IntegerField(allow_null=True)
    checksum = TextField(allow_null=True)


class AuditExportJobDocument(Document):
    KIND = "AuditExportJob"

    metadata = JobMetadata()
    status = JobStatus()


def job_document(job: AuditExport) -> Rendered:
    return {
        "apiVersion": API_VERSION,
        "kind": AuditExportJobDocument.KIND,
        "metadata": {"jobId": job.job_id},
        "status": {
            "state": job.state,
            "estimatedRecords": job.estimated_records,
            "downloadUrl": reverse("audit-download", kwargs={"job_id": job.job_id}),
            "expiresAt": job.expires_at,
            "records": job.records,
            "size": job.size,
            "checksum": f"sha256:{job.digest}" if job.digest else None,
        },
    }
