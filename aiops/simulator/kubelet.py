"""The kubelets of all nodes: pull images, start containers, restart what crashes, report pod status.

One `PodWorker` per pod holds the containers' state; timers move it on, so an idle cluster does nothing at all.
"""

import asyncio
import hashlib
from typing import Any

from aiops.simulator.clock import Clock
from aiops.simulator.events import Recorder
from aiops.simulator.images import Behavior, Images, exceeds_limit
from aiops.simulator.objects import Obj, is_terminating, owner_of, timestamp
from aiops.simulator.pod_status import ContainerRun, pod_status
from aiops.simulator.resources import POD
from aiops.simulator.store import Store

PULL = 1.0
TERMINATION = 1.0
FIRST_BACK_OFF = 10.0
LONGEST_BACK_OFF = 300.0


class PodWorker:
    def __init__(self, kubelet: "Kubelet", pod: Obj) -> None:
        self.kubelet = kubelet
        self.namespace, self.name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self.uid = pod["metadata"]["uid"]
        self.node = pod["spec"]["nodeName"]
        self.started_at = timestamp()
        self.is_dying = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.runs = {c["name"]: ContainerRun(c["name"], c) for c in pod["spec"]["containers"]}

    @property
    def pod(self) -> Obj | None:
        found = self.kubelet.store.get(POD, self.namespace, self.name)
        return found if found is not None and found["metadata"]["uid"] == self.uid else None

    def after(self, seconds: float, what: str, *args: Any) -> None:
        """Run the method `what` later, unless the pod is gone or its node lost by then. One timer per method and container."""
        self._cancel(what, *args[:1])
        self._timers[":".join([what, *args[:1]])] = self.kubelet.clock.after(seconds, self._fire, what, args)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _cancel(self, what: str, *args: str) -> None:
        timer = self._timers.pop(":".join([what, *args]), None)
        if timer:
            timer.cancel()

    def _fire(self, what: str, args: tuple[str, ...]) -> None:
        self._timers.pop(":".join([what, *args[:1]]), None)
        if self.pod is not None and not self.kubelet.is_lost(self.node):
            getattr(self, what)(*args)

    def begin(self) -> None:
        for run in self.runs.values():
            self._event(run, "Pulling", f'Pulling image "{run.spec["image"]}"')
            self.after(PULL, "pull", run.name)
        self.report()

    def adopt(self) -> None:
        """Take over a pod that was stored as running, without replaying its start."""
        for run in self.runs.values():
            run.image_pulled = True
            self._enter_running(run)

    def refresh(self, *, restart: bool = False) -> None:
        """Look at the behavior again after it or the container's image changed; `restart` ends the containers first."""
        pod = self.pod
        if pod is None or self.is_dying:
            return
        for container in pod["spec"]["containers"]:
            run = self.runs[container["name"]]
            image_changed = run.spec["image"] != container["image"]
            run.spec = container
            if image_changed or restart:
                run.image_pulled = not image_changed
                if run.is_running:
                    self._finish(run, 0, "Completed")
                    run.last_state = run.state
                self.pull(run.name)
            elif run.is_running:
                self._schedule_behavior(run)
            else:
                self.pull(run.name)
        self.report()

    def pull(self, name: str) -> None:
        run = self.runs[name]
        behavior = self._behavior(run)
        image = run.spec["image"]
        if not behavior.exists:
            self._pull_failed(run)
        elif behavior.config_error:
            run.state = {"waiting": {"reason": "CreateContainerConfigError", "message": behavior.config_error}}
            self._event(run, "Failed", f"Error: {behavior.config_error}", kind="Warning")
            self.report()
        else:
            if not run.image_pulled:
                took = f"in {PULL:.3f}s ({PULL:.3f}s including waiting)"
                text = f'Successfully pulled image "{image}" {took}. Image size: {image_size(image)} bytes.'
            else:
                text = f'Container image "{image}" already present on machine'
            run.image_pulled = True
            self._event(run, "Pulled", text)
            self.start(name)

    def _pull_failed(self, run: ContainerRun) -> None:
        image = run.spec["image"]
        cause = (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
            f'failed to resolve reference "{image}": {image}: not found'
        )
        run.pulls += 1
        run.state = {"waiting": {"reason": "ErrImagePull", "message": cause}}
        self._event(run, "Failed", f'Failed to pull image "{image}": {cause}', kind="Warning")
        self._event(run, "Failed", "Error: ErrImagePull", kind="Warning")
        self.after(2.0, "back_off_pull", run.name)
        self.report()

    def back_off_pull(self, name: str) -> None:
        run = self.runs[name]
        image = run.spec["image"]
        waiting = run.state.get("waiting", {})
        run.state = {
            "waiting": {
                "reason": "ImagePullBackOff",
                "message": f'Back-off pulling image "{image}": ErrImagePull: {waiting.get("message", "")}',
            }
        }
        self._event(run, "BackOff", f'Back-off pulling image "{image}"')
        self._event(run, "Failed", "Error: ImagePullBackOff", kind="Warning")
        self.after(back_off(run.pulls), "pull", name)
        self.report()

    def start(self, name: str) -> None:
        run = self.runs[name]
        self._event(run, "Created", "Container created")
        self._event(run, "Started", "Container started")
        self._enter_running(run)
        self.report()

    def _enter_running(self, run: ContainerRun) -> None:
        run.container_id = "containerd://" + digest(f"{self.uid}/{run.name}/{run.restarts}/{timestamp()}")
        run.state = {"running": {"startedAt": timestamp()}}
        run.ready = self._behavior(run).ready
        self._schedule_behavior(run)

    def _schedule_behavior(self, run: ContainerRun) -> None:
        """Decide what this running container will do next."""
        behavior = self._behavior(run)
        for what in ("exit", "flap"):
            self._cancel(what, run.name)
        if exceeds_limit(behavior, run.spec) or behavior.exit_code is not None or self._runs_to_completion():
            self.after(behavior.runs_for, "exit", run.name)
        if behavior.flaps_every is not None:
            self.after(behavior.flaps_every, "flap", run.name)
        elif run.ready != behavior.ready:
            self._set_ready(run, behavior.ready)

    def flap(self, name: str) -> None:
        run = self.runs[name]
        if run.is_running:
            self._set_ready(run, not run.ready)
            self._schedule_behavior(run)
            self.report()

    def _set_ready(self, run: ContainerRun, ready: bool) -> None:
        run.ready = ready
        if not ready:
            text = "Readiness probe failed: HTTP probe failed with statuscode: 503"
            self._event(run, "Unhealthy", text, kind="Warning")

    def exit(self, name: str) -> None:
        run = self.runs[name]
        if not run.is_running:
            return
        behavior = self._behavior(run)
        if exceeds_limit(behavior, run.spec):
            self._finish(run, 137, "OOMKilled")
        else:
            code = behavior.exit_code or 0
            self._finish(run, code, "Error" if code else "Completed")
        self._restart_or_stay(run)
        self.report()

    def _finish(self, run: ContainerRun, code: int, reason: str) -> None:
        started = run.state["running"]["startedAt"]
        run.ready = False
        self._cancel("flap", run.name)
        run.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": started,
                "finishedAt": timestamp(),
                "containerID": run.container_id,
            }
        }

    def _restart_or_stay(self, run: ContainerRun) -> None:
        pod = self.pod
        policy = pod["spec"]["restartPolicy"] if pod else "Never"
        code = run.state["terminated"]["exitCode"]
        if policy == "Never" or (policy == "OnFailure" and code == 0):
            return
        if run.restarts == 0:
            self.after(1.0, "restart", run.name)
        else:
            self.after(1.0, "back_off_restart", run.name)

    def back_off_restart(self, name: str) -> None:
        run = self.runs[name]
        delay = back_off(run.restarts)
        where = f"{self.name}_{self.namespace}({self.uid})"
        text = f"back-off {duration(delay)} restarting failed container={name} pod={where}"
        run.last_state = run.state
        run.state = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
        message = f"Back-off restarting failed container {name} in pod {where}"
        self._event(run, "BackOff", message, kind="Warning")
        self.after(delay, "restart", name)
        self.report()

    def restart(self, name: str) -> None:
        run = self.runs[name]
        if run.terminated:
            run.last_state = run.state
        run.restarts += 1
        self.pull(name)

    def kill(self) -> None:
        """End the containers and, a moment later, the pod."""
        if self.is_dying:
            return
        self.is_dying = True
        self.stop()
        for run in self.runs.values():
            if run.is_running:
                self._event(run, "Killing", f"Stopping container {run.name}")
        self.after(TERMINATION, "vanish")

    def vanish(self) -> None:
        pod = self.pod
        if pod is not None:
            self.kubelet.store.remove(POD, pod)

    def report(self) -> None:
        pod = self.pod
        if pod is None:
            return
        status = pod_status(pod, list(self.runs.values()), started_at=self.started_at)
        self.kubelet.store.update(POD, pod | {"status": status})

    def _runs_to_completion(self) -> bool:
        pod = self.pod
        owner = owner_of(pod) if pod else None
        return owner is not None and owner["kind"] == "Job"

    def _behavior(self, run: ContainerRun) -> Behavior:
        pod = self.pod
        return self.kubelet.images.behavior(pod, run.spec) if pod is not None else Behavior()

    def _event(self, run: ContainerRun, reason: str, message: str, kind: str = "Normal") -> None:
        pod = self.pod
        if pod is not None:
            self.kubelet.recorder.record(
                pod, reason=reason, message=message, kind=kind, source="kubelet", host=self.node, container=run.name
            )


class Kubelet:
    """All kubelets together. `lost` nodes do nothing any more."""

    def __init__(self, store: Store, clock: Clock, recorder: Recorder, images: Images) -> None:
        self.store, self.clock, self.recorder, self.images = store, clock, recorder, images
        self.lost: set[str] = set()
        self.workers: dict[str, PodWorker] = {}

    def is_lost(self, node: str) -> bool:
        return node in self.lost

    def sync(self, pod: Obj) -> None:
        """Start, kill or re-read a pod that is bound to a node."""
        node, uid = pod["spec"].get("nodeName"), pod["metadata"]["uid"]
        if not node or self.is_lost(node):
            return
        worker = self.workers.get(uid)
        if worker is None:
            if is_terminating(pod):
                self.store.remove(POD, pod)
                return
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return
            worker = self.workers[uid] = PodWorker(self, pod)
            if pod.get("status", {}).get("containerStatuses"):
                worker.adopt()
            else:
                worker.begin()
        if is_terminating(pod):
            worker.kill()
        elif any(worker.runs[c["name"]].spec["image"] != c["image"] for c in pod["spec"]["containers"]):
            worker.refresh()

    def forget(self, uid: str) -> None:
        worker = self.workers.pop(uid, None)
        if worker:
            worker.stop()
        self.images.override(uid, None)

    def refresh(self, uid: str, *, restart: bool = False) -> None:
        """Apply a changed behavior to the containers of a pod."""
        worker = self.workers.get(uid)
        if worker:
            worker.refresh(restart=restart)

    def recover(self, node: str) -> None:
        """The node is back: its pods report again, and what was deleted meanwhile is cleaned up."""
        self.lost.discard(node)
        for worker in [w for w in self.workers.values() if w.node == node]:
            pod = worker.pod
            if pod is not None and is_terminating(pod):
                worker.is_dying = False
                worker.kill()
            else:
                worker.refresh()

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()


def back_off(failures: int) -> float:
    return float(min(FIRST_BACK_OFF * 2 ** (min(max(failures, 1), 10) - 1), LONGEST_BACK_OFF))


def duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def image_size(image: str) -> int:
    """A plausible size in bytes, the same for the same image."""
    return 40_000_000 + int(digest(image)[:8], 16) % 300_000_000
