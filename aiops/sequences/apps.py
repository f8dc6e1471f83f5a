from django.apps import AppConfig


class SequencesConfig(AppConfig):
    name = "aiops.sequences"
    label = "sequences"
