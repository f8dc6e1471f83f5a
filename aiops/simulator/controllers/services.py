from aiops.simulator.controllers.base import Controller
from aiops.simulator.objects import Obj, is_active, is_ready, is_terminating, owner_reference, timestamp
from aiops.simulator.resources import ENDPOINT_SLICE, POD, SERVICE
from aiops.simulator.selectors import matches_selector

CHANGED = "endpoints.kubernetes.io/last-change-trigger-time"
MAX_ENDPOINTS = 100  # as in Kubernetes, one slice holds no more; the simulated cluster keeps the first


class ServiceController(Controller):
    """Lists the pods behind a service in one EndpointSlice."""

    kind = SERVICE.kind

    def reconcile(self, namespace: str, name: str) -> None:
        service = self.store.get(SERVICE, namespace, name)
        if service is None or not service["spec"].get("selector"):
            return
        selector = {"matchLabels": service["spec"]["selector"]}
        pods = [
            p
            for p in self.store.iterate(POD, namespace)
            if p.get("status", {}).get("podIP")
            and (is_active(p) or is_terminating(p))
            and matches_selector(selector, p["metadata"].get("labels"))
        ]
        endpoints = [_endpoint(p) for p in pods[:MAX_ENDPOINTS]]
        known = self.store.children(service, ENDPOINT_SLICE)
        if known:
            self._refresh(known[0], endpoints)
            return
        ports = [{"name": p.get("name", ""), "protocol": p.get("protocol", "TCP"), "port": p.get("targetPort", p["port"])}
                 for p in service["spec"].get("ports") or ()]  # fmt: skip
        metadata = {
            "generateName": f"{name}-",
            "namespace": namespace,
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": name,
            },
            "ownerReferences": [owner_reference(service)],
        }
        made = {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}
        self.store.create(ENDPOINT_SLICE, made)

    def _refresh(self, known: Obj, endpoints: list[Obj]) -> None:
        if known["endpoints"] != endpoints:
            annotations = known["metadata"].get("annotations", {}) | {CHANGED: timestamp()}
            metadata = known["metadata"] | {"annotations": annotations}
            self.store.update(ENDPOINT_SLICE, known | {"metadata": metadata, "endpoints": endpoints})


def _endpoint(pod: Obj) -> Obj:
    metadata, ready = pod["metadata"], is_ready(pod)
    leaving = is_terminating(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not leaving, "serving": ready, "terminating": leaving},
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "nodeName": pod["spec"]["nodeName"],
    }
