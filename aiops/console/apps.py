from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "aiops.console"
    label = "console"
