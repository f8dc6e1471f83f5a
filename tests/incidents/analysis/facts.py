"""Contexts for the rules: a Deployment with two revisions, of which a test changes what it is about."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from incidents.analysis.context import Context, Fault, Log, Pod, Revision, Run, Template, Workload
from tests.conftest import NOON

MIB = Decimal(1024 * 1024)


def make_template(**overrides: Any) -> Template:
    values: dict[str, Any] = {
        "name": "app",
        "image": "shop/checkout:1",
        "limits": {"memory": 256 * MIB, "cpu": Decimal("0.5")},
    }
    return Template(**values | overrides)


def make_revision(number: int = 1, minutes_before: int = 600, **template: Any) -> Revision:
    return Revision(number, NOON - timedelta(minutes=minutes_before), (make_template(**template),))


def make_rollout(**template: Any) -> tuple[Revision, ...]:
    """A new revision two minutes before the trouble, and the one before it."""
    return make_revision(2, 2, **template or {"image": "shop/checkout:2"}), make_revision(1)


def make_pod(name: str = "checkout-1", **run: Any) -> Pod:
    return Pod(name, phase="Running", runs=(Run("app", **run),) if run else (Run("app"),))


def make_fault(signal_type: str, description: str = "it is sick", **overrides: Any) -> Fault:
    values: dict[str, Any] = {
        "condition": signal_type,
        "reason": "",
        "object_kind": "Pod",
        "object_name": "checkout-1",
        "since": NOON,
    }
    return Fault(signal_type=signal_type, description=description, **values | overrides)


def make_log(*lines: str, previous: bool = True) -> Log:
    return Log("checkout-1", "app", previous, lines)


def make_context(**overrides: Any) -> Context:
    kind = overrides.get("kind", "Deployment")
    values: dict[str, Any] = {
        "kind": kind,
        "name": "checkout",
        "namespace": "shop",
        "started_at": NOON,
        "pod_count": 3,
        "unready_count": 3,
        "workload": None if kind == "Node" else Workload(kind, "checkout", "shop", templates=(make_template(),)),
    }
    return Context(**values | overrides)
