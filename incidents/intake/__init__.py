"""Messages in: one module per origin turns a document from outside into alerts. Pure; what is stored is decided later.

A new origin is a module with `read` and a line in the registry.
"""

from incidents.intake import alertmanager, generic, grafana
from incidents.intake.base import Alert, Intake, Reading, Rejected

__all__ = ["INTAKES", "Alert", "Intake", "Reading", "Rejected"]

INTAKES: dict[str, Intake] = {
    "alertmanager": alertmanager.INTAKE,
    "generic": generic.INTAKE,
    "grafana": grafana.INTAKE,
}
