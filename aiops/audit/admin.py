from django.contrib import admin

from aiops.audit.models import AuditChain, AuditEvent, AuditExport, AuditVerdict
from aiops.console.watched import Watched


@admin.register(AuditEvent)
class AuditEventAdmin(Watched):
    list_display = ("at", "action", "user", "role", "resource_type", "resource", "namespace", "source_ip")
    list_filter = ("action", "role", "resource_type")
    search_fields = ("resource", "user", "correlation_id")
    date_hierarchy = "at"


@admin.register(AuditChain)
class AuditChainAdmin(Watched):
    list_display = ("number", "length", "head")


@admin.register(AuditExport)
class AuditExportAdmin(Watched):
    list_display = (
        "job_id",
        "state",
        "format",
        "estimated_records",
        "records",
        "requested_by",
        "created_at",
        "expires_at",
    )
    list_filter = ("state", "format")
    search_fields = ("job_id", "requested_by")


@admin.register(AuditVerdict)
class AuditVerdictAdmin(Watched):
    list_display = ("checked_at", "__str__", "records")
