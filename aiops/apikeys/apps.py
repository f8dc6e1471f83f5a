from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    name = "aiops.apikeys"
    label = "apikeys"
    verbose_name = "API keys"
