from aiops.simulator.controllers.base import Controller, share
from aiops.simulator.objects import Obj, is_active, is_ready, set_condition, timestamp
from aiops.simulator.resources import BUDGET, POD
from aiops.simulator.selectors import matches_selector


class BudgetController(Controller):
    """Computes how many pods a PodDisruptionBudget lets go at the moment."""

    kind = BUDGET.kind

    def reconcile(self, namespace: str, name: str) -> None:
        budget = self.store.get(BUDGET, namespace, name)
        if budget is None:
            return
        selector = budget["spec"].get("selector")
        pods = [
            p
            for p in self.store.iterate(POD, namespace)
            if is_active(p) and matches_selector(selector, p["metadata"].get("labels"))
        ]
        healthy = sum(map(is_ready, pods))
        desired = needed(budget, len(pods))
        allowed = max(0, healthy - desired) if pods else 0
        changed = {
            "type": "DisruptionAllowed",
            "status": str(allowed > 0),
            "observedGeneration": budget["metadata"]["generation"],
            "lastTransitionTime": timestamp(),
            "reason": "SufficientPods" if allowed else "InsufficientPods",
            "message": "",
        }
        status = {
            "observedGeneration": budget["metadata"]["generation"],
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": len(pods),
            "conditions": set_condition(budget.get("status", {}).get("conditions") or [], changed),
        }
        self.set_status(BUDGET, budget, status)


def needed(budget: Obj, expected: int) -> int:
    """How many healthy pods the budget wants, of so many expected ones."""
    if "minAvailable" in budget["spec"]:
        return share(budget["spec"]["minAvailable"], expected, round_up=True)
    if "maxUnavailable" in budget["spec"]:
        return max(0, expected - share(budget["spec"]["maxUnavailable"], expected, round_up=True))
    return 0
