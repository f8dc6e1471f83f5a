"""What every way in hands to correlation: one abnormal (or recovered) observation about one thing that people own. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from federation.models import Cluster
from incidents.states import Severity, Source

WATCHER = "k8s-watcher"  # the origin of our own detectors

# conditions that are events, not states: the cluster goes on showing an old one, so only a newer one is news
EVENTS = frozenset({"oom_killed"})
CLUSTER_SCOPED = frozenset({"Node"})

Parent = tuple[str, str, str]  # kind, namespace, name


@dataclass(frozen=True, slots=True)
class Observation:
    """One sighting of a detector, or one alert from outside.

    `origin` is the component that says so and `fingerprint` (64 hex digits at most) the identity of the observation there.
    `kind`, `namespace`, `name` are the owner (Deployment, Node, …), `object_kind`, `object_name` what showed it (usually a
    Pod). `severity` is what the origin thinks of it, None when it did not say. `event_time` is the condition's own time,
    `ended_at` that of its end. An `informational` observation joins an open incident but never opens one. `parent` is the
    cause that explains it, such as the dead node under a pod. `weight` is the detector's own grade from 0 to 100; the risk
    score goes by the table of `incidents.risk` instead.
    """

    origin: str
    source: Source
    signal_type: str
    fingerprint: str
    kind: str
    name: str
    namespace: str = ""
    condition: str = ""
    cluster: Cluster | None = None
    object_kind: str = ""
    object_name: str = ""
    description: str = ""
    reason: str = ""
    severity: Severity | None = None
    weight: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    event_time: datetime | None = None
    ended_at: datetime | None = None
    firing: bool = True
    informational: bool = False
    parent: Parent | None = None

    @property
    def is_sighting(self) -> bool:
        """Whether it is repeated at every look for as long as it lasts; an alert is a message about a change instead."""
        return self.source == Source.WATCHER

    @property
    def correlation_key(self) -> str:
        return correlation_key(self.place, self.kind, self.namespace, self.name)

    @property
    def parent_key(self) -> str | None:
        return correlation_key(self.place, *self.parent) if self.parent else None

    @property
    def place(self) -> str:
        """The cluster; one that is not registered is still kept apart by what the alert calls it."""
        return self.cluster.name if self.cluster else self.labels.get("cluster", "")


@lru_cache(maxsize=16_384)  # a batch asks some six times for the key of each of its workloads
def correlation_key(place: str, kind: str, namespace: str, name: str) -> str:
    """Digest of cluster, namespace, kind and name: signals with the same one are one incident."""
    return digest(place, "" if kind in CLUSTER_SCOPED else namespace, kind, name)


def digest(*parts: str) -> str:
    """64 hex digits; parts cannot run into each other."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
