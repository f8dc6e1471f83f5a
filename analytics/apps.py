from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class AnalyticsConfig(AppConfig):
    name = "analytics"

    def ready(self) -> None:
        pre_migrate.connect(_remove_triggers, sender=self)
        post_migrate.connect(_install_triggers, sender=self)


def _remove_triggers(sender: AppConfig, using: str, plan: Any = (), **kwargs: Any) -> None:
    if plan:
        import_module("analytics.triggers").remove(using, plan)


def _install_triggers(sender: AppConfig, using: str, **kwargs: Any) -> None:
    import_module("analytics.triggers").install(using)
