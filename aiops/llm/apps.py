from django.apps import AppConfig


class LLMConfig(AppConfig):
    name = "aiops.llm"
    label = "llm"
