from importlib import import_module

from django.apps import AppConfig

from aiops.health.metrics import register


class NotificationsConfig(AppConfig):
    name = "aiops.notifications"
    label = "notifications"

    def ready(self) -> None:
        # only now: the module needs the models
        register(import_module("aiops.notifications.metrics").measure)
