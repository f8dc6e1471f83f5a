from django.apps import AppConfig

from aiops.tallies.sources import register


class AuditConfig(AppConfig):
    name = "aiops.audit"
    label = "audit"

    def ready(self) -> None:
        register("audit.AuditEvent", namespace="namespace", severity="severity")
