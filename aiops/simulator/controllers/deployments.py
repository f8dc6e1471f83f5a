"""Rolling updates: a ReplicaSet per template, pods moved from the old ones to the new within surge and unavailability."""

from dataclasses import dataclass

from aiops.simulator.controllers.base import Controller, Later, drop_zeros, share
from aiops.simulator.defaults import template_hash
from aiops.simulator.deletion import delete
from aiops.simulator.objects import Obj, clone, condition, owner_reference, set_condition, timestamp
from aiops.simulator.resources import DEPLOYMENT, REPLICA_SET
from aiops.simulator.world import World

SOURCE = "deployment-controller"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


@dataclass
class Progress:
    """How far a rollout has come; the deadline counts from the last time this moved."""

    uid: str
    counts: tuple[int, ...]
    at: float


class DeploymentController(Controller):
    kind = DEPLOYMENT.kind

    def __init__(self, world: World, later: Later) -> None:
        super().__init__(world, later)
        self._progress: dict[tuple[str, str], Progress] = {}

    def reconcile(self, namespace: str, name: str) -> None:
        deployment = self.store.get(DEPLOYMENT, namespace, name)
        if deployment is None:
            self._progress.pop((namespace, name), None)
            return
        sets = sorted(self.store.children(deployment, REPLICA_SET), key=revision)
        new = next((s for s in sets if same_template(s, deployment)), None)
        old = [s for s in sets if s is not new]
        if not deployment["spec"].get("paused"):
            if new is None:
                new = self._create(deployment, old)
                deployment = self.store.fetch(DEPLOYMENT, namespace, name)
            new = self._mark(deployment, new, old)
            self._scale(deployment, new, old)
            self._clean_up(deployment, old)
        self._report(self.store.fetch(DEPLOYMENT, namespace, name))

    def _create(self, deployment: Obj, old: list[Obj]) -> Obj:
        template = clone(deployment["spec"]["template"])
        suffix = template_hash(template)
        labels = (template.setdefault("metadata", {}).get("labels") or {}) | {HASH: suffix}
        template["metadata"]["labels"] = labels
        selector = clone(deployment["spec"]["selector"])
        selector["matchLabels"] = (selector.get("matchLabels") or {}) | {HASH: suffix}
        metadata = {
            "name": f"{deployment['metadata']['name']}-{suffix}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(max(map(revision, old), default=0) + 1)},
            "ownerReferences": [owner_reference(deployment)],
        }
        spec = {"replicas": 0, "selector": selector, "template": template}
        created = self.store.create(REPLICA_SET, {"metadata": metadata, "spec": spec, "status": {"replicas": 0}})
        self._set_progressing(
            deployment, "True", "NewReplicaSetCreated", f'Created new replica set "{created["metadata"]["name"]}"'
        )
        return created

    def _mark(self, deployment: Obj, new: Obj, old: list[Obj]) -> Obj:
        """Give the new ReplicaSet the highest revision, also when it is an old one in use again, and copy it upward."""
        latest = max(map(revision, old), default=0)
        number = str(max(revision(new), latest + 1))
        replicas = deployment["spec"]["replicas"]
        annotations = dict(new["metadata"].get("annotations") or {})
        annotations |= {
            "deployment.kubernetes.io/desired-replicas": str(replicas),
            "deployment.kubernetes.io/max-replicas": str(replicas + limits(deployment)[0]),
            REVISION: number,
        }
        new = self.store.update(REPLICA_SET, new | {"metadata": new["metadata"] | {"annotations": annotations}})
        own = dict(deployment["metadata"].get("annotations") or {})
        if own.get(REVISION) != number:
            metadata = deployment["metadata"] | {"annotations": own | {REVISION: number}}
            self.store.update(DEPLOYMENT, deployment | {"metadata": metadata})
        return new

    def _scale(self, deployment: Obj, new: Obj, old: list[Obj]) -> None:
        wanted = deployment["spec"]["replicas"]
        if deployment["spec"]["strategy"]["type"] == "Recreate":
            for replica_set in old:
                self._set_replicas(deployment, replica_set, 0)
            still_there = sum(s["status"].get("replicas", 0) + s["status"].get("terminatingReplicas", 0) for s in old)
            if not still_there:
                self._set_replicas(deployment, new, wanted)
            return
        surge, unavailable = limits(deployment)
        total = new["spec"]["replicas"] + sum(s["spec"]["replicas"] for s in old)
        size = new["spec"]["replicas"]
        if size > wanted:
            self._set_replicas(deployment, new, wanted)
        elif size < wanted and total < wanted + surge:
            self._set_replicas(deployment, new, min(wanted, size + wanted + surge - total))
        else:
            self._scale_down_old(deployment, new, old, total - (wanted - unavailable))

    def _scale_down_old(self, deployment: Obj, new: Obj, old: list[Obj], spare: int) -> None:
        """First what does not serve anyway, then as many serving pods as may be missing."""
        spare -= new["spec"]["replicas"] - new["status"].get("availableReplicas", 0)
        for replica_set in old:
            size = replica_set["spec"]["replicas"]
            broken = size - replica_set["status"].get("availableReplicas", 0)
            take = max(0, min(spare, broken))
            if take:
                self._set_replicas(deployment, replica_set, size - take)
                spare -= take
        least = deployment["spec"]["replicas"] - limits(deployment)[1]
        current = [self._current(s) for s in old]
        serving = sum(s["status"].get("availableReplicas", 0) for s in [new, *old])
        spare = min(spare, serving - least)
        for replica_set in current:
            take = max(0, min(spare, replica_set["spec"]["replicas"]))
            if take:
                self._set_replicas(deployment, replica_set, replica_set["spec"]["replicas"] - take)
                spare -= take

    def _current(self, replica_set: Obj) -> Obj:
        metadata = replica_set["metadata"]
        return self.store.fetch(REPLICA_SET, metadata["namespace"], metadata["name"])

    def _set_replicas(self, deployment: Obj, replica_set: Obj, count: int) -> None:
        current = self._current(replica_set)
        size = current["spec"]["replicas"]
        if size == count:
            return
        direction = "up" if count > size else "down"
        self.store.update(REPLICA_SET, current | {"spec": current["spec"] | {"replicas": count}})
        message = f"Scaled {direction} replica set {current['metadata']['name']} from {size} to {count}"
        self.event(deployment, "ScalingReplicaSet", message, SOURCE)

    def _clean_up(self, deployment: Obj, old: list[Obj]) -> None:
        idle = [s for s in old if not s["spec"]["replicas"] and not s["status"].get("replicas")]
        surplus = len(idle) - deployment["spec"]["revisionHistoryLimit"]
        for replica_set in idle[: max(0, surplus)]:
            delete(self.store, REPLICA_SET, replica_set)

    def _report(self, deployment: Obj) -> None:
        sets = self.store.children(deployment, REPLICA_SET)
        new = next((s for s in sets if same_template(s, deployment)), None)
        wanted = deployment["spec"]["replicas"]
        total, ready, available, leaving = (
            sum(s["status"].get(field, 0) for s in sets)
            for field in ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")
        )
        updated = new["status"].get("replicas", 0) if new else 0
        desired = sum(s["spec"]["replicas"] for s in sets)
        status: Obj = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": available,
            "unavailableReplicas": max(0, desired - available),
            "terminatingReplicas": leaving,
            "conditions": deployment.get("status", {}).get("conditions") or [],
        }
        is_enough = available >= wanted - limits(deployment)[1]
        status["conditions"] = set_condition(status["conditions"], _available(is_enough))
        is_complete = updated == total == available == wanted and new is not None
        if new is not None:
            self._judge_progress(deployment, new, status, is_complete=is_complete)
        optional = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
        self._store_status(deployment, drop_zeros(status, *optional))

    def _judge_progress(self, deployment: Obj, new: Obj, status: Obj, *, is_complete: bool) -> None:
        metadata, name = deployment["metadata"], new["metadata"]["name"]
        was = condition(deployment, "Progressing")
        is_rollout_over = was is not None and was["reason"] == "NewReplicaSetAvailable"
        counts = (
            revision(new), new["status"].get("replicas", 0), new["status"].get("availableReplicas", 0), -status["replicas"],
        )  # fmt: skip
        key, now = (metadata["namespace"], metadata["name"]), self.world.clock.now()
        known = self._progress.get(key)
        # the sum of all pods may shrink and grow; only more updated, more available or fewer old pods are progress
        is_first = known is None or known.uid != metadata["uid"]
        has_moved = known is None or is_first or any(a > b for a, b in zip(counts, known.counts, strict=True))
        if has_moved or known is None:
            self._progress[key] = known = Progress(metadata["uid"], counts, now)
        if is_complete:
            changed = _progressing(
                "True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
            )
        elif is_rollout_over and f'"{name}"' in str(was and was["message"]):
            return  # a finished rollout stays finished when pods break later
        elif has_moved:
            changed = _progressing("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
            self._watch_deadline(deployment, known, now)
        elif now - known.at >= deployment["spec"]["progressDeadlineSeconds"]:
            changed = _progressing(
                "False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.'
            )
        else:
            self._watch_deadline(deployment, known, now)
            return
        if was is None or (was["status"], was["reason"], was["message"]) != (
            changed["status"],
            changed["reason"],
            changed["message"],
        ):
            status["conditions"] = set_condition(status["conditions"], changed)

    def _watch_deadline(self, deployment: Obj, progress: Progress, now: float) -> None:
        metadata = deployment["metadata"]
        left = progress.at + deployment["spec"]["progressDeadlineSeconds"] - now
        self.later(left + 0.5, self.kind, metadata["namespace"], metadata["name"])

    def _set_progressing(self, deployment: Obj, status: str, reason: str, message: str) -> None:
        was = deployment.get("status", {})
        conditions = set_condition(was.get("conditions") or [], _progressing(status, reason, message))
        self._store_status(deployment, was | {"conditions": conditions})

    def _store_status(self, deployment: Obj, status: Obj) -> None:
        if not status.get("conditions"):
            status.pop("conditions", None)
        self.set_status(DEPLOYMENT, deployment, status)


def revision(replica_set: Obj) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))


def limits(deployment: Obj) -> tuple[int, int]:
    """How many pods there may be too many and too few during a rollout."""
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    wanted = deployment["spec"]["replicas"]
    surge = share(rolling.get("maxSurge", 0), wanted, round_up=True)
    unavailable = share(rolling.get("maxUnavailable", 0), wanted, round_up=False)
    return surge, unavailable if surge or unavailable else 1


def same_template(replica_set: Obj, deployment: Obj) -> bool:
    template, wanted = replica_set["spec"]["template"], deployment["spec"]["template"]
    if template["spec"] != wanted["spec"]:
        return False
    ours = dict(template.get("metadata") or {})
    ours["labels"] = {k: v for k, v in (ours.get("labels") or {}).items() if k != HASH}
    theirs = dict(wanted.get("metadata") or {})
    return {k: v for k, v in ours.items() if v} == {k: v for k, v in theirs.items() if v}


def _available(is_enough: bool) -> Obj:
    now = timestamp()
    head = {"type": "Available", "status": str(is_enough), "lastUpdateTime": now, "lastTransitionTime": now}
    if is_enough:
        return head | {"reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."}
    return head | {"reason": "MinimumReplicasUnavailable", "message": "Deployment does not have minimum availability."}


def _progressing(status: str, reason: str, message: str) -> Obj:
    now = timestamp()
    times = {"lastUpdateTime": now, "lastTransitionTime": now}
    return {"type": "Progressing", "status": status} | times | {"reason": reason, "message": message}
