from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "aiops.audit"
    label = "audit"
