from django.apps import AppConfig


class SLOsConfig(AppConfig):
    name = "slos"
    verbose_name = "SLOs"
