"""The webhook of Grafana's unified alerting: Alertmanager's envelope with links and measured values."""

from typing import Any

from incidents.intake import base
from incidents.states import Source

LINKS = ("valueString", "dashboardURL", "panelURL", "silenceURL")


def read(document: Any) -> base.Reading:
    items, group = base.envelope(document)

    def one(index: int, item: Any) -> base.Alert:
        if not isinstance(item, dict):
            raise base.Malformed("alert", "Must be an object.")
        facts: dict[str, Any] = {name: base.text(item, name) for name in LINKS}
        values = item.get("values")
        if isinstance(values, dict):
            numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
            facts["values"] = dict(list(numbers.items())[: base.MAX_LABELS])
        return base.from_labels(index, item, firing=base.status(item, "status", group), evidence=facts)

    return base.read_all(items, one)


INTAKE = base.Intake(origin="grafana", source=Source.WEBHOOK, read=read)
