"""The webhook of Prometheus' Alertmanager: version 4, and 3, which knew no fingerprints."""

from typing import Any

from incidents.intake import base
from incidents.states import Source

VERSIONS = ("3", "4")


def read(document: Any) -> base.Reading:
    """An alert without a status of its own has the group's."""
    items, group = base.envelope(document)
    version = document.get("version")
    if version is not None and version not in VERSIONS:
        raise base.refuse("version", f"Must be one of: {', '.join(VERSIONS)}.")

    def one(index: int, item: Any) -> base.Alert:
        if not isinstance(item, dict):
            raise base.Malformed("alert", "Must be an object.")
        return base.from_labels(index, item, firing=base.status(item, "status", group), evidence={})

    return base.read_all(items, one)


INTAKE = base.Intake(origin="alertmanager", source=Source.PROMETHEUS, read=read)
