"""The control loops: each makes one kind's surroundings follow its spec.

`Manager` turns changes into work: a change of an object queues it, and the object that owns it, for the controllers in
charge. A queued object is reconciled once, however often it changed meanwhile. Nothing polls.
"""

import asyncio
import logging
from collections import OrderedDict

from aiops.simulator.controllers.autoscalers import AutoscalerController
from aiops.simulator.controllers.base import Controller
from aiops.simulator.controllers.budgets import BudgetController
from aiops.simulator.controllers.claims import ClaimController
from aiops.simulator.controllers.daemon_sets import DaemonSetController
from aiops.simulator.controllers.deployments import DeploymentController
from aiops.simulator.controllers.jobs import JobController
from aiops.simulator.controllers.nodes import NodeController
from aiops.simulator.controllers.replica_sets import ReplicaSetController
from aiops.simulator.controllers.scheduling import Scheduler
from aiops.simulator.controllers.services import ServiceController
from aiops.simulator.controllers.stateful_sets import StatefulSetController
from aiops.simulator.objects import Obj, is_terminating, owner_of
from aiops.simulator.resources import (
    AUTOSCALER,
    BUDGET,
    DAEMON_SET,
    DEPLOYMENT,
    NODE,
    POD,
    SERVICE,
    STATEFUL_SET,
)
from aiops.simulator.selectors import matches_selector
from aiops.simulator.store import Change
from aiops.simulator.world import World

logger = logging.getLogger(__name__)

Work = tuple[str, str, str]  # kind, namespace, name

BATCH = 100  # objects reconciled before requests get their turn again


class Manager:
    def __init__(self, world: World) -> None:
        self.world = world
        self.is_paused = False
        self.nodes = NodeController(world, self.later)
        self.scheduler = Scheduler(world, self.later)
        self._controllers: dict[str, Controller] = {
            controller.kind: controller
            for controller in (
                self.nodes,
                self.scheduler,
                DeploymentController(world, self.later),
                ReplicaSetController(world, self.later),
                StatefulSetController(world, self.later),
                DaemonSetController(world, self.later),
                JobController(world, self.later),
                BudgetController(world, self.later),
                ClaimController(world, self.later),
                AutoscalerController(world, self.later),
                ServiceController(world, self.later),
            )
        }
        self._queue: OrderedDict[Work, None] = OrderedDict()
        self._timers: dict[Work, asyncio.TimerHandle] = {}
        self._is_draining = False
        world.store.subscribe(self._on_change)

    def stop(self) -> None:
        self.is_paused = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._queue.clear()
        self.world.kubelet.stop()
        self.nodes.stop()

    def enqueue(self, kind: str, namespace: str, name: str) -> None:
        if self.is_paused:
            return
        self._queue[kind, namespace, name] = None
        if not self._is_draining:
            self._is_draining = True
            asyncio.get_running_loop().call_soon(self._drain)

    def later(self, seconds: float, kind: str, namespace: str, name: str) -> None:
        """Queue an object after so many cluster seconds; a later call replaces an earlier one."""
        work = (kind, namespace, name)
        timer = self._timers.pop(work, None)
        if timer:
            timer.cancel()
        self._timers[work] = self.world.clock.after(seconds, self._fire, work)

    def _fire(self, work: Work) -> None:
        self._timers.pop(work, None)
        self.enqueue(*work)

    def _drain(self) -> None:
        for _ in range(BATCH):
            if not self._queue:
                self._is_draining = False
                return
            (kind, namespace, name), _none = self._queue.popitem(last=False)
            self._controllers[kind].reconcile(namespace, name)
        asyncio.get_running_loop().call_soon(self._drain)

    def _on_change(self, change: Change) -> None:
        obj = change.after
        metadata = obj["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        if change.resource == POD.storage:
            self.scheduler.account(change)
        if self.is_paused:
            return
        if change.resource == POD.storage:
            self._on_pod(change, namespace, name)
        elif change.resource == NODE.storage:
            self._on_node(change, name)
        elif obj["kind"] in self._controllers:
            self.enqueue(obj["kind"], namespace, name)
        owner = owner_of(obj)
        if owner and owner["kind"] in self._controllers:
            self.enqueue(owner["kind"], namespace, owner["name"])
        if change.resource in (DEPLOYMENT.storage, STATEFUL_SET.storage):
            self._enqueue_all(AUTOSCALER.kind, namespace)

    def _on_pod(self, change: Change, namespace: str, name: str) -> None:
        pod, kubelet = change.after, self.world.kubelet
        if change.type == "DELETED":
            kubelet.forget(pod["metadata"]["uid"])
            self.scheduler.retry_pending(self.enqueue)
        elif not pod["spec"].get("nodeName"):
            self.enqueue(POD.kind, namespace, name)
        elif change.before is None or _needs_kubelet(change.before, pod):
            kubelet.sync(pod)
        labels = pod["metadata"].get("labels")
        for resource in (BUDGET, SERVICE):
            for obj in self.world.store.iterate(resource, namespace):
                selector = obj["spec"].get("selector")
                wanted = {"matchLabels": selector} if resource is SERVICE else selector
                if selector and matches_selector(wanted, labels):
                    self.enqueue(resource.kind, namespace, obj["metadata"]["name"])

    def _on_node(self, change: Change, name: str) -> None:
        self.enqueue(NODE.kind, "", name)
        before = change.before
        if before is None or change.type == "DELETED" or before["spec"] != change.after["spec"]:
            self.scheduler.retry_pending(self.enqueue)
            self._enqueue_all(DAEMON_SET.kind, "")

    def _enqueue_all(self, kind: str, namespace: str) -> None:
        resource = {AUTOSCALER.kind: AUTOSCALER, DAEMON_SET.kind: DAEMON_SET}[kind]
        for obj in self.world.store.iterate(resource, namespace):
            self.enqueue(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _needs_kubelet(before: Obj, pod: Obj) -> bool:
    """Status reports of the kubelet itself are no news to it."""
    return bool(before["spec"] != pod["spec"]) or is_terminating(before) != is_terminating(pod)
