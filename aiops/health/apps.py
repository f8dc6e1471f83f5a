from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "aiops.health"
    label = "health"
