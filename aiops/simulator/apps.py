from django.apps import AppConfig


class SimulatorConfig(AppConfig):
    name = "aiops.simulator"
    label = "simulator"
    verbose_name = "Simulated cluster"
