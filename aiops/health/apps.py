from importlib import import_module

from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "aiops.health"
    label = "health"

    def ready(self) -> None:
        import_module("aiops.health.checks")
