from django.contrib import admin

from aiops.audit.models import AuditChain, AuditEvent
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
