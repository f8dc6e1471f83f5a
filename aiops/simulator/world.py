"""What every controller needs, in one place."""

import random
from dataclasses import dataclass, field

from aiops.simulator.clock import Clock
from aiops.simulator.events import Recorder
from aiops.simulator.images import Images
from aiops.simulator.kubelet import Kubelet
from aiops.simulator.store import Store


@dataclass
class World:
    store: Store
    clock: Clock
    recorder: Recorder
    images: Images
    kubelet: Kubelet
    names: random.Random = field(default_factory=random.Random)

    @classmethod
    def create(cls, *, speed: float, images: Images | None = None) -> "World":
        names = random.Random()  # noqa: S311 -- suffixes of object names, not secrets
        store, clock, images = Store(names), Clock(speed), images or Images()
        recorder = Recorder(store)
        return cls(store, clock, recorder, images, Kubelet(store, clock, recorder, images), names)
