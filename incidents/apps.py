from importlib import import_module

from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "incidents"

    def ready(self) -> None:
        import_module("incidents.receivers")  # connects the receivers
