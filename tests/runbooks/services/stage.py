"""Puts an incident and its runbook on the stage, and drives plans through time without waiting for it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiops.encryption import encrypt
from aiops.simulator.embedded import SimulatedCluster
from federation.models import Cluster
from incidents.models import Incident
from runbooks.models import RemediationPlan, Runbook
from runbooks.services import execution, planning
from tests.conftest import NOON
from tests.factories import STEP, make_cluster, make_incident, make_insight, make_runbook


def cluster_row(simulated: SimulatedCluster, **overrides: Any) -> Cluster:
    values = {"kubeconfig": encrypt(simulated.kubeconfig), "server": simulated.url, "last_heartbeat_at": NOON}
    return make_cluster(**values | overrides)


def analyzed_incident(cluster: Cluster | None, **overrides: Any) -> Incident:
    """An incident on shop/checkout whose analysis is done and which is due for a plan."""
    values: dict[str, Any] = {
        "cluster": cluster,
        "cluster_name": cluster.name if cluster else "",
        "state": "Analyzing",
        "resource_name": "checkout",
        "due_at": NOON,
    }
    incident = make_incident(**values | overrides)
    make_insight(incident=incident, attempt=incident.remediation_attempts + 1)
    return incident


def runbook(action: str, *, params: dict[str, str] | None = None, **overrides: Any) -> Runbook:
    """A runbook of one step that fits such incidents."""
    step = STEP | {"name": "act", "action": action, "params": params or {}}
    return make_runbook(**{"steps": [step]} | overrides)


def planned(incident: Incident) -> Any:
    """The plan that is made for the incident."""
    plan = planning.plan(incident=incident, at=NOON)
    assert plan is not None
    return plan


class Driver:
    """Calls `advance` whenever the plan is due, on a clock that jumps from due time to due time."""

    plan: Any  # read anew after every step; what a stage has filled in by then is what tests look at

    def __init__(self, plan: RemediationPlan, at: datetime = NOON) -> None:
        self.plan, self.at = plan, at

    def step(self) -> Any:
        """One call, at the time at which the plan is due."""
        if self.plan.due_at is not None:
            self.at = max(self.at, self.plan.due_at)
        execution.advance(plan_id=self.plan.pk, at=self.at, holder="worker")
        self.plan = RemediationPlan.objects.select_related("incident", "cluster").get(pk=self.plan.pk)
        return self.plan

    def until(self, *states: str, most: int = 60) -> Any:
        return self.when(lambda plan: plan.state in states, most=most)

    def when(self, holds: Callable[[RemediationPlan], bool], *, most: int = 60) -> Any:
        for _ in range(most):
            if holds(self.plan):
                return self.plan
            self.step()
        raise AssertionError(f"{self.plan} is {self.plan.state}: {self.plan.result or self.plan.verification}")

    def looked_at(self) -> None:
        """The observer looked at the cluster a moment after now, and kept doing so."""
        Cluster.objects.filter(pk=self.plan.cluster_id).update(last_heartbeat_at=self.at + timedelta(days=1))
