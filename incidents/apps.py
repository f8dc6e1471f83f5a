from importlib import import_module

from django.apps import AppConfig

from aiops.health.metrics import register
from aiops.tallies.sources import register as register_tally


class IncidentsConfig(AppConfig):
    name = "incidents"

    def ready(self) -> None:
        import_module("incidents.receivers")  # connects the receivers
        register(import_module("incidents.metrics").measure)
        register_tally(
            "incidents.Incident",
            time="detected_at",
            cluster="cluster_name",
            namespace="namespace",
            state="state",
            severity="severity",
        )
        register_tally("incidents.PostMortem", namespace="namespace", state="state", severity="severity")
        register_tally("incidents.AIInsight", namespace="namespace")
