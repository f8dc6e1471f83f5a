from importlib import import_module

from django.apps import AppConfig

from aiops.health.metrics import register


class SLOsConfig(AppConfig):
    name = "slos"
    verbose_name = "SLOs"

    def ready(self) -> None:
        import_module("slos.receivers")  # connects the receivers
        register(import_module("slos.metrics").measure)
