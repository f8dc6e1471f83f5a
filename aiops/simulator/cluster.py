"""One simulated cluster: its world, controllers and API server, and the levers to make it sick and well again.

All methods run on the cluster's event loop; `embedded.SimulatedCluster` offers them to other threads.
"""

import secrets

from aiohttp import web

from aiops.simulator import workloads, writing
from aiops.simulator.access import Tokens
from aiops.simulator.controllers import Manager
from aiops.simulator.deletion import delete
from aiops.simulator.faults import Faults
from aiops.simulator.images import Behavior, Images
from aiops.simulator.objects import Obj, Objects, clone
from aiops.simulator.patches import strategic_merge
from aiops.simulator.resources import BY_KIND, NODE, POD
from aiops.simulator.selectors import matches_selector
from aiops.simulator.server import ApiServer
from aiops.simulator.world import World

DEFAULT_SPEED = 10.0
SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
NODES = 3

CRASHING = Behavior(
    exit_code=1,
    ready=False,
    log=(
        "starting",
        "loading configuration from /etc/app/config.yaml",
        "panic: missing required environment variable DATABASE_URL",
        "exiting with code 1",
    ),
)
WEDGED = Behavior(ready=False, log=("starting", "listening on :8080", "worker pool exhausted, not accepting requests"))
UNCONFIGURED = Behavior(config_error='secret "app-credentials" not found')
CRASH_TAG, MISSING_TAG = "broken", "missing"
BREAKS = ("crash-loop", "oom", "image-pull", "not-ready", "config-error")


class Cluster:
    def __init__(self, *, speed: float = DEFAULT_SPEED, token: str = "", readonly_token: str = "") -> None:
        self.token = token or secrets.token_urlsafe(24)
        self.readonly_token = readonly_token
        self.faults = Faults()
        self.images = Images()
        self.world = World.create(speed=speed, images=self.images)
        self.store = self.world.store
        self.manager = Manager(self.world)
        self._healthy_templates: dict[tuple[str, str, str], Obj] = {}

    def application(self) -> web.Application:
        tokens = Tokens(self.token, self.readonly_token)
        return ApiServer(self.world, tokens, self.faults).application()

    def furnish(self, nodes: int = NODES) -> None:
        """What every cluster has before anybody deploys anything."""
        for name in SYSTEM_NAMESPACES:
            self.apply(workloads.namespace(name))
        for number in range(1, nodes + 1):
            self.store.create(NODE, workloads.node(f"node-{number}", number))
        self.apply(workloads.storage_class("standard"))
        self.manager.nodes.keep_beating()

    def stop(self) -> None:
        self.manager.stop()

    def get(self, kind: str, namespace: str, name: str) -> Obj | None:
        return self.store.get(BY_KIND[kind], namespace, name)

    def fetch(self, kind: str, namespace: str, name: str) -> Obj:
        return self.store.fetch(BY_KIND[kind], namespace, name)

    def list(self, kind: str, namespace: str = "") -> Objects:
        return self.store.all(BY_KIND[kind], namespace)

    def apply(self, manifest: Obj) -> Obj:
        """Create the object, or merge the manifest into the one that is there. Missing namespaces are made."""
        resource = BY_KIND[manifest["kind"]]
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", "")
        if resource.namespaced and self.get("Namespace", "", namespace) is None:
            self.apply(workloads.namespace(namespace))
        current = self.store.get(resource, namespace, metadata["name"])
        if current is None:
            return writing.create(self.store, resource, namespace, manifest, dry_run=False)
        changed = strategic_merge(current, manifest)
        return writing.replace(self.store, resource, current, changed, subresource="", dry_run=False)

    def patch(self, kind: str, namespace: str, name: str, patch: Obj, *, subresource: str = "") -> Obj:
        """Strategic merge patch, validated and defaulted like one over HTTP."""
        resource = BY_KIND[kind]
        current = self.store.fetch(resource, namespace, name)
        changed = strategic_merge(current, patch)
        return writing.replace(self.store, resource, current, changed, subresource=subresource, dry_run=False)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        resource = BY_KIND[kind]
        delete(self.store, resource, self.store.fetch(resource, namespace, name))

    def set_image(self, kind: str, namespace: str, name: str, image: str) -> None:
        """Roll a workload out to another image, as a release would: in its first container."""
        workload = self.store.fetch(BY_KIND[kind], namespace, name)
        container = workload["spec"]["template"]["spec"]["containers"][0]
        self._patch_container(kind, workload, {"name": container["name"], "image": image})

    def set_behavior(self, image: str, behavior: Behavior) -> None:
        """Change how an image behaves, also in the containers that already run."""
        self.images.describe(image, behavior)
        for pod in self.store.all(POD):
            if any(c["image"] == image for c in pod["spec"]["containers"]):
                self._refresh(pod)

    def break_workload(self, namespace: str, name: str, how: str, *, kind: str = "Deployment") -> None:
        """Make a workload sick: crash-loop, oom, image-pull, not-ready or config-error; ValueError for another word.

        crash-loop and image-pull are rollouts of a bad image; oom lowers the memory limit below the need; not-ready
        and config-error strike the present pods only, so replacing them helps.
        """
        if how not in BREAKS:
            raise ValueError(f"how must be one of {', '.join(BREAKS)}")
        workload = self.store.fetch(BY_KIND[kind], namespace, name)
        self._healthy_templates.setdefault((kind, namespace, name), clone(workload["spec"]["template"]))
        container = workload["spec"]["template"]["spec"]["containers"][0]
        repository = container["image"].rpartition(":")[0]
        if how == "crash-loop":
            self.images.describe(f"{repository}:{CRASH_TAG}", CRASHING)
            self._patch_container(kind, workload, {"name": container["name"], "image": f"{repository}:{CRASH_TAG}"})
        elif how == "image-pull":
            self._patch_container(kind, workload, {"name": container["name"], "image": f"{repository}:{MISSING_TAG}"})
        elif how == "oom":
            self.set_behavior(container["image"], Behavior(memory="96Mi"))
            resources = {"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}
            self._patch_container(kind, workload, {"name": container["name"], "resources": resources})
        else:
            for pod in self._pods(workload):
                self.images.override(pod["metadata"]["uid"], WEDGED if how == "not-ready" else UNCONFIGURED)
                self._refresh(pod, restart=how == "config-error")

    def heal(self, namespace: str, name: str, *, kind: str = "Deployment") -> None:
        """Undo what `break_workload` did: template as before, pods behave again."""
        template = self._healthy_templates.pop((kind, namespace, name), None)
        workload = self.store.fetch(BY_KIND[kind], namespace, name)
        for pod in self._pods(workload):
            self.images.override(pod["metadata"]["uid"], None)
            self._refresh(pod)
        if template is not None:
            resource = BY_KIND[kind]
            changed = workload | {"spec": workload["spec"] | {"template": template}}
            writing.replace(self.store, resource, workload, changed, subresource="", dry_run=False)

    def lose_node(self, name: str) -> None:
        self.manager.nodes.lose(name)

    def restore_node(self, name: str) -> None:
        self.manager.nodes.restore(name)

    def press_node(self, name: str, kind: str, *, is_high: bool = True) -> None:
        """Raise or lift MemoryPressure, DiskPressure or PIDPressure."""
        self.manager.nodes.press(name, kind, is_high=is_high)

    def _patch_container(self, kind: str, workload: Obj, change: Obj) -> None:
        metadata = workload["metadata"]
        body = {"spec": {"template": {"spec": {"containers": [change]}}}}
        self.patch(kind, metadata["namespace"], metadata["name"], body)

    def _pods(self, workload: Obj) -> Objects:
        selector = workload["spec"]["selector"]
        pods = self.store.iterate(POD, workload["metadata"]["namespace"])
        return [pod for pod in pods if matches_selector(selector, pod["metadata"].get("labels"))]

    def _refresh(self, pod: Obj, *, restart: bool = False) -> None:
        self.world.kubelet.sync(pod)
        self.world.kubelet.refresh(pod["metadata"]["uid"], restart=restart)
