"""Makes a runbook from the actions that an analysis suggests, where no other fits.

It is a draft: never automatic, always approved by a person, and only for the one object, since its parameters are literal.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiops.audit import services as audit
from aiops.audit.actor import SYSTEM
from aiops.audit.services import Record
from aiops.errors import Conflict
from incidents.models import AIInsight, Incident
from runbooks import matching
from runbooks.actions import ACTION_TYPES, ACTIONS
from runbooks.models import Category, Runbook
from runbooks.services import library

WORKLOAD = "aiops/workload"  # label: the object that the parameters fit
MAX_STEPS = 10


def suggested_steps(insight: AIInsight) -> list[dict[str, Any]]:
    """The suggested actions that are typed and have valid parameters, as steps of a runbook."""
    made = [_step(number, item) for number, item in enumerate(insight.suggested_actions[:MAX_STEPS], 1)]
    return [step for step in made if step]


def generate(*, incident: Incident, insight: AIInsight, steps: Sequence[dict[str, Any]], at: datetime) -> Runbook:
    """The runbook of these steps for the incident's object; made now unless it exists. In the caller's transaction."""
    signal = (incident.signal_type or "signal").replace("_", "-")
    content = hashlib.sha256(f"{incident.resource}\n{steps}".encode()).hexdigest()[:6]
    name = f"auto-{signal}-{incident.severity}-{incident.resource_kind.lower()}-{content}"
    same = Runbook.objects.filter(namespace=incident.namespace, name=name)
    existing = same.first()
    if existing:
        return existing
    values = {
        "name": name,
        "namespace": incident.namespace,
        "category": _category(incident.signal_type),
        "description": insight.analysis[:4096] or "Made from an analysis",
        "severity": [incident.severity],
        "automated": False,
        "approval_required": True,
        "steps": list(steps),
        "match_conditions": {
            "resourceTypes": [incident.resource_kind],
            "descriptionPatterns": [],
            "namespaces": [incident.namespace],
        },
        "trigger": {
            "signalType": incident.signal_type,
            "severity": incident.severity,
            "resourceKind": incident.resource_kind,
        },
        "labels": {matching.AUTO_GENERATED: "true", WORKLOAD: incident.resource},
    }
    try:
        runbook = library.create(values=values, actor=SYSTEM, at=at)
    except Conflict:
        return same.get()  # made at the same moment, for the same workload in another cluster
    audit.record(_record(runbook, incident), at=at)
    return runbook


def _step(number: int, item: Any) -> dict[str, Any] | None:
    """None for what is no typed action with valid parameters."""
    if not isinstance(item, dict) or item.get("action") not in ACTIONS.keys() & ACTION_TYPES:
        return None
    params = {str(name): str(value) for name, value in (item.get("params") or {}).items() if value is not None}
    if ACTIONS[item["action"]].validate(params):
        return None
    name = str(item.get("name") or item["action"])[:200]
    return {
        "name": f"{number}-{name}",
        "description": str(item.get("description") or name)[:4096],
        "action": item["action"],
        "command": None,
        "timeout": "1m",
        "continueOnFailure": False,
        "params": params,
    }


def _category(signal_type: str) -> str:
    meant = (category for category, signals in matching.CATEGORY_SIGNALS.items() if signal_type in signals)
    return next(meant, Category.CUSTOM)


def _record(runbook: Runbook, incident: Incident) -> Record:
    return Record(
        action="runbook.generate",
        actor=SYSTEM,
        resource_type=Runbook.KIND,
        resource=runbook.name,
        namespace=runbook.namespace,
        event_type="runbook_generated",
        correlation_id=incident.name,
        details={"incident": incident.name, "steps": [step["action"] for step in runbook.steps]},
    )
