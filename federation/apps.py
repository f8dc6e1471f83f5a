from importlib import import_module

from django.apps import AppConfig

from aiops.health.metrics import register


class FederationConfig(AppConfig):
    name = "federation"

    def ready(self) -> None:
        register(import_module("federation.metrics").measure)
