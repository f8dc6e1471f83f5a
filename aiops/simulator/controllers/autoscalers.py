from aiops.simulator.controllers.base import Controller
from aiops.simulator.objects import Obj, set_condition, timestamp
from aiops.simulator.resources import AUTOSCALER, DEPLOYMENT, STATEFUL_SET

SOURCE = "horizontal-pod-autoscaler"
LOAD = "aiops.simulator/utilization"  # annotation: CPU utilization in percent that the workload would have at one pod's share


class AutoscalerController(Controller):
    """Follows the utilization that the autoscaler's annotation states, within its bounds."""

    kind = AUTOSCALER.kind

    def reconcile(self, namespace: str, name: str) -> None:
        autoscaler = self.store.get(AUTOSCALER, namespace, name)
        if autoscaler is None:
            return
        reference = autoscaler["spec"]["scaleTargetRef"]
        resource = {"Deployment": DEPLOYMENT, "StatefulSet": STATEFUL_SET}.get(reference["kind"])
        target = self.store.get(resource, namespace, reference["name"]) if resource else None
        if resource is None or target is None:
            self._report(autoscaler, 0, 0, 0, "")
            return
        current = target["spec"]["replicas"]
        load = int((autoscaler["metadata"].get("annotations") or {}).get(LOAD, "0"))
        goal = self._goal(autoscaler)
        ideal = -(-load * current // goal) if load else current
        least, most = autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]
        wanted = max(least, min(ideal, most))
        if wanted != current and current:
            text = f"New size: {wanted}; reason: cpu resource utilization (percentage of request) above target"
            self.event(autoscaler, "SuccessfulRescale", text, SOURCE)
            self.store.update(resource, target | {"spec": target["spec"] | {"replicas": wanted}})
        limited = "TooManyReplicas" if ideal > most else "TooFewReplicas" if ideal < least else ""
        self._report(autoscaler, current, wanted, load, limited)

    def _goal(self, autoscaler: Obj) -> int:
        for metric in autoscaler["spec"].get("metrics") or ():
            found = metric.get("resource", {}).get("target", {}).get("averageUtilization")
            if found:
                return int(found)
        return 80

    def _report(self, autoscaler: Obj, current: int, wanted: int, load: int, limited: str) -> None:
        conditions: list[Obj] = autoscaler.get("status", {}).get("conditions") or []
        found = bool(current or wanted)
        for changed in (
            _condition("AbleToScale", found, "SucceededGetScale" if found else "FailedGetScale",
                       "the HPA controller was able to get the target's current scale" if found
                       else "the HPA controller was unable to get the target's current scale"),
            _condition("ScalingActive", found, "ValidMetricFound" if found else "FailedGetScale",
                       "the HPA was able to successfully calculate a replica count from cpu resource utilization"),
            _condition("ScalingLimited", bool(limited), limited or "DesiredWithinRange", {
                "TooManyReplicas": "the desired replica count is more than the maximum replica count",
                "TooFewReplicas": "the desired replica count is less than the minimum replica count",
            }.get(limited, "the desired count is within the acceptable range")),
        ):  # fmt: skip
            conditions = set_condition(conditions, changed)
        metric = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": load}}}
        status = {"currentReplicas": current, "desiredReplicas": wanted, "currentMetrics": [metric]}
        self.set_status(AUTOSCALER, autoscaler, status | {"conditions": conditions})


def _condition(kind: str, holds: bool, reason: str, message: str) -> Obj:
    head = {"type": kind, "status": str(holds), "lastTransitionTime": timestamp()}
    return head | {"reason": reason, "message": message}
