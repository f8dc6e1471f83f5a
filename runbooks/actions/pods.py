"""DeletePod: replace one pod of a workload, by eviction."""

from collections.abc import Mapping
from typing import Any

from aiops.clients.errors import NotFound
from runbooks.actions.base import (
    Action,
    ActionRefused,
    Call,
    Change,
    Effect,
    Outcome,
    Parameter,
    ParameterKind,
    Preview,
    Target,
    controller_uid,
    normalize,
    read,
)
from runbooks.actions.selectors import is_finished, is_ready, pods_of

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})


class DeletePod(Action):
    """Evict the named pod, else the worst one (crash looping before not ready, then most restarts).

    The pod must belong to the target, and must not be the last one that is ready.
    """

    name = "DeletePod"
    kinds = WORKLOADS | {"Pod"}
    parameters = (Parameter("pod", ParameterKind.NAME),)
    reversible = False

    def prepare(self, call: Call) -> Change:
        if call.target.kind not in self.kinds:
            raise ActionRefused(f"{self.name} does not work on a {call.target.kind}")
        workload = read(call.client, call.target)
        pods = [pod for pod in pods_of(call.client, workload) if not is_finished(pod)]
        pod = _choose(call, pods)
        if not controller_uid(pod):
            raise ActionRefused(f"Pod {pod['metadata']['name']} has no controller that would replace it")
        if is_ready(pod) and sum(map(is_ready, pods)) <= 1:
            raise ActionRefused(f"Pod {pod['metadata']['name']} is the last ready one of {call.target}")
        name = pod["metadata"]["name"]
        return Change(
            summary=f"Evict Pod/{name} of {call.target}; its controller replaces it",
            before=pod,
            effect=Effect(removed_pods=(name,)),
            facts={"pod": name, "uid": pod["metadata"]["uid"]},
        )

    def preview(self, call: Call, change: Change) -> Preview:
        call.client.evict(change.facts["pod"], call.target.namespace, dry_run=True)
        return Preview(change.summary, change.before, {}, dict(change.facts))

    def execute(self, call: Call, change: Change) -> Outcome:
        # a StatefulSet names the replacement alike: what is evicted has to be the pod that was judged
        if not self._is_there(call, change.facts):
            return Outcome(f"Pod/{change.facts['pod']} was gone already")
        call.client.evict(change.facts["pod"], call.target.namespace)
        return Outcome(change.summary)

    def applied(self, call: Call, snapshot: Mapping[str, Any]) -> bool:
        return not self._is_there(call, snapshot)

    def roll_back(self, call: Call, snapshot: Mapping[str, Any]) -> str:
        return f"The eviction of Pod/{snapshot['pod']} needs no way back: its controller made a new one"

    def _is_there(self, call: Call, facts: Mapping[str, Any]) -> bool:
        try:
            pod = read(call.client, Target("Pod", facts["pod"], call.target.namespace))
        except NotFound:
            return False
        return bool(pod["metadata"]["uid"] == facts["uid"] and not pod["metadata"].get("deletionTimestamp"))


class DeleteStatefulSetPod(DeletePod):
    name = "DeleteStatefulSetPod"
    kinds = frozenset({"StatefulSet"})


class DeleteDaemonSetPod(DeletePod):
    name = "DeleteDaemonSetPod"
    kinds = frozenset({"DaemonSet"})


def _choose(call: Call, pods: list[dict[str, Any]]) -> dict[str, Any]:
    name = normalize(call.params).get("pod")
    if name:
        named = next((pod for pod in pods if pod["metadata"]["name"] == name), None)
        if named is None:
            raise ActionRefused(f"Pod {name} does not belong to {call.target}")
        return named
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]  # the others are going already
    if not staying:
        raise ActionRefused(f"{call.target} has no pods")
    return max(staying, key=_badness)


def _badness(pod: Mapping[str, Any]) -> tuple[bool, bool, int, str]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    waiting = [((status.get("state") or {}).get("waiting") or {}).get("reason") for status in statuses]
    restarts = sum(int(status.get("restartCount") or 0) for status in statuses)
    return "CrashLoopBackOff" in waiting, not is_ready(pod), restarts, str(pod["metadata"]["name"])
