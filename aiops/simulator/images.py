"""What the containers do. There is no code to run, so an image's name decides how its containers behave."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.simulator.objects import Obj, owner_of, quantity

MAX_REMEMBERED_OWNERS = 10_000


@dataclass(frozen=True)
class Behavior:
    """How a container of one image behaves. Times are cluster seconds.

    exit_code: it ends with this code after `runs_for`; None: it keeps running (in a job: ends with 0).
    memory: its working set; a limit below it gets the container killed (exit 137, OOMKilled) after `runs_for`.
    cpu: cores it uses, for the metrics API.
    exists: whether the image can be pulled.
    ready: whether its readiness probe ever succeeds.
    flaps_every: turns not ready and ready again with this period.
    config_error: a message; the container cannot be created because of it.
    sick_owners: only pods of the first so many owners show `exit_code`; later ones are well. None: all are sick.
    log: what it prints after its start.
    """

    exit_code: int | None = None
    runs_for: float = 2.0
    memory: str = ""
    cpu: float = 0.02
    exists: bool = True
    ready: bool = True
    flaps_every: float | None = None
    config_error: str = ""
    sick_owners: int | None = None
    log: tuple[str, ...] = ("starting", "listening on :8080")


HEALTHY = Behavior()
MISSING = Behavior(exists=False)
MISSING_TAGS = ("missing", "nosuch")


class Images:
    """The registry that everybody pulls from. An image nobody described runs and is healthy, unless its tag is `missing`."""

    def __init__(self, known: Mapping[str, Behavior] | None = None) -> None:
        self._known = dict(known or {})
        self._owners: dict[str, list[str]] = {}
        self._overrides: dict[str, Behavior] = {}

    def describe(self, image: str, behavior: Behavior) -> None:
        self._known[image] = behavior

    def override(self, pod_uid: str, behavior: Behavior | None) -> None:
        """Make one pod behave differently from its image, until it is deleted or the override is lifted with None."""
        if behavior is None:
            self._overrides.pop(pod_uid, None)
        else:
            self._overrides[pod_uid] = behavior

    def behavior(self, pod: Obj, container: Obj) -> Behavior:
        uid = pod["metadata"]["uid"]
        if uid in self._overrides:
            return self._overrides[uid]
        image = str(container["image"])
        found = self._known.get(image)
        if found is None:
            return MISSING if image.rpartition(":")[2] in MISSING_TAGS or "does-not-exist" in image else HEALTHY
        if found.sick_owners is not None and not self._among_first_owners(image, pod, found.sick_owners):
            return Behavior(memory=found.memory, log=found.log[:1])
        return found

    def usage(self, pod: Obj, container: Obj) -> tuple[float, float]:
        """Cores and bytes that a running container uses."""
        behavior = self.behavior(pod, container)
        asked = (container.get("resources", {}).get("requests") or {}).get("memory", "64Mi")
        memory = quantity(behavior.memory) if behavior.memory else quantity(asked) * 0.6
        limit = (container.get("resources", {}).get("limits") or {}).get("memory")
        return behavior.cpu, min(memory, quantity(limit)) if limit else memory

    def _among_first_owners(self, image: str, pod: Obj, count: int) -> bool:
        owner = owner_of(pod)
        uid = owner["uid"] if owner else pod["metadata"]["uid"]
        owners = self._owners.setdefault(image, [])
        if uid not in owners and len(owners) < min(count, MAX_REMEMBERED_OWNERS):
            owners.append(uid)
        return uid in owners[:count]


def exceeds_limit(behavior: Behavior, container: Obj) -> bool:
    """Whether the container needs more memory than its limit allows."""
    limit = (container.get("resources", {}).get("limits") or {}).get("memory")
    return bool(behavior.memory) and limit is not None and quantity(behavior.memory) > quantity(limit)
