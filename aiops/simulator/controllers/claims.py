from aiops.simulator.controllers.base import Controller
from aiops.simulator.resources import CLAIM, STORAGE_CLASS, VOLUME

SOURCE = "persistentvolume-controller"
AGAIN = 15.0  # cluster seconds between attempts to provision


class ClaimController(Controller):
    """Gives claims a volume at once when their storage class exists, and keeps complaining when it does not."""

    kind = CLAIM.kind

    def reconcile(self, namespace: str, name: str) -> None:
        claim = self.store.get(CLAIM, namespace, name)
        if claim is None or claim["status"].get("phase") == "Bound":
            return
        wanted = claim["spec"].get("storageClassName")
        if not wanted or self.store.get(STORAGE_CLASS, "", wanted) is None:
            text = f'storageclass.storage.k8s.io "{wanted}" not found' if wanted else "no persistent volumes available"
            self.event(claim, "ProvisioningFailed" if wanted else "FailedBinding", text, SOURCE, kind="Warning")
            self.later(AGAIN, self.kind, namespace, name)
            return
        volume_name = f"pvc-{claim['metadata']['uid']}"
        capacity = claim["spec"]["resources"]["requests"]
        reference = {
            "kind": "PersistentVolumeClaim",
            "namespace": namespace,
            "name": name,
            "uid": claim["metadata"]["uid"],
        }
        self.store.create(
            VOLUME,
            {
                "metadata": {"name": volume_name},
                "spec": {
                    "capacity": capacity,
                    "accessModes": claim["spec"]["accessModes"],
                    "claimRef": reference,
                    "persistentVolumeReclaimPolicy": "Delete",
                    "storageClassName": wanted,
                },
                "status": {"phase": "Bound"},
            },
        )
        status = {"phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": capacity}
        self.store.update(CLAIM, claim | {"spec": claim["spec"] | {"volumeName": volume_name}, "status": status})
        text = f"Successfully provisioned volume {volume_name}"
        self.event(claim, "ProvisioningSucceeded", text, SOURCE)
