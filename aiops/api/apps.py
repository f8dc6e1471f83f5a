from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "aiops.api"
    label = "api"
