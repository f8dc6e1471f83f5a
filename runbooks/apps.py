from importlib import import_module

from django.apps import AppConfig

from aiops.health.metrics import register
from aiops.tallies.sources import register as register_tally


class RunbooksConfig(AppConfig):
    name = "runbooks"

    def ready(self) -> None:
        import_module("runbooks.receivers")  # connects the receivers
        register(import_module("runbooks.metrics").measure)
        register_tally("runbooks.RemediationPlan", namespace="namespace", state="state")
        register_tally("runbooks.PlanStep")
        register_tally("runbooks.ApprovalRequest", namespace="namespace")
