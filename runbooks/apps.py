from importlib import import_module

from django.apps import AppConfig

from aiops.health.metrics import register


class RunbooksConfig(AppConfig):
    name = "runbooks"

    def ready(self) -> None:
        import_module("runbooks.receivers")  # connects the receivers
        register(import_module("runbooks.metrics").measure)
