from importlib import import_module

from django.apps import AppConfig

from aiops.health.metrics import register


class IncidentsConfig(AppConfig):
    name = "incidents"

    def ready(self) -> None:
        import_module("incidents.receivers")  # connects the receivers
        register(import_module("incidents.metrics").measure)
