from importlib import import_module

from django.apps import AppConfig


class RunbooksConfig(AppConfig):
    name = "runbooks"

    def ready(self) -> None:
        import_module("runbooks.receivers")  # connects the receivers
