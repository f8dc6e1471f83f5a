"""Which incidents of different clusters have one cause. Pure.

* `same_signature`: the same signal of the same workload in three clusters or more, first signals at most 15 minutes apart.
  The members become critical.
* `promotion_cascade`: the same signal of the same workload in staging, and later, within a day, in production.
* `common_change`: containers of the same image in trouble in two clusters or more, at most 30 minutes apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from incidents.models import FleetCorrelation
from incidents.observations import digest

SPREAD = 3  # clusters
SPREAD_WINDOW = timedelta(minutes=15)  # X9.25
IMAGE_CLUSTERS = 2
IMAGE_WINDOW = timedelta(minutes=30)
CASCADE_WINDOW = timedelta(hours=24)
Kind = FleetCorrelation.Kind


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident of a cluster, as far as it matters here. `images` are those of its containers in trouble."""

    pk: int
    cluster: str
    environment: str
    signal_type: str
    kind: str
    namespace: str
    name: str
    started_at: datetime
    images: frozenset[str] = field(default_factory=frozenset)
    is_open: bool = True

    @property
    def workload(self) -> tuple[str, str, str, str]:
        return self.signal_type, self.kind, self.namespace, self.name


class Group(NamedTuple):
    """Incidents that belong together; `key` is the same as long as they share the same thing."""

    kind: Kind
    key: str
    subject: str
    signal_type: str
    members: tuple[Candidate, ...]
    elevated: bool
    cascade: bool

    @property
    def clusters(self) -> list[str]:
        return sorted({one.cluster for one in self.members})

    @property
    def first(self) -> Candidate:
        return min(self.members, key=lambda one: (one.started_at, one.pk))


def groups(candidates: Iterable[Candidate]) -> list[Group]:
    """What belongs together. An incident may be in a group by its workload and in one by its image."""
    workloads: dict[tuple[str, str, str, str], list[Candidate]] = defaultdict(list)
    images: dict[str, list[Candidate]] = defaultdict(list)
    for one in sorted(candidates, key=lambda one: (one.started_at, one.pk)):
        workloads[one.workload].append(one)
        for image in one.images:
            images[image].append(one)
    found = [group for members in workloads.values() if (group := _by_workload(members))]
    taken = {one.pk for group in found for one in group.members}
    return found + list(_by_image(images, taken))


def _by_workload(members: Sequence[Candidate]) -> Group | None:
    signal_type, kind, namespace, name = members[0].workload
    subject = f"{signal_type} of {kind}/{name}" + (f" in {namespace}" if namespace else "")
    key = digest("workload", *members[0].workload)
    spread = [one for one in _densest(members, SPREAD_WINDOW) if one.is_open]
    cascade = is_cascade(members)
    if len({one.cluster for one in spread}) >= SPREAD:
        return Group(Kind.SIGNATURE, key, subject, signal_type, tuple(spread), True, cascade)
    if cascade:
        return Group(Kind.CASCADE, key, subject, signal_type, _cascade_members(members), False, True)
    return None


def _densest(members: Sequence[Candidate], window: timedelta) -> Sequence[Candidate]:
    """Of all spans of this length the one with the most clusters; `members` are in order of time."""
    best: Sequence[Candidate] = ()
    start = 0
    for end, one in enumerate(members):
        while one.started_at - members[start].started_at > window:
            start += 1
        span = members[start : end + 1]
        if len({member.cluster for member in span}) > len({member.cluster for member in best}):
            best = span
    return best


def is_cascade(members: Sequence[Candidate]) -> bool:
    return bool(_cascade_members(members))


def _cascade_members(members: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The incidents in staging, and those in production that followed and are not over."""
    staged = [one for one in members if one.environment == "staging"]
    followed = [
        one
        for one in members
        if one.environment == "prod"
        and one.is_open
        and any(timedelta(0) <= one.started_at - before.started_at <= CASCADE_WINDOW for before in staged)
    ]
    return (*staged, *followed) if followed else ()


def _by_image(images: dict[str, list[Candidate]], taken: set[int]) -> Iterator[Group]:
    for image, members in images.items():
        spread = [one for one in _densest(members, IMAGE_WINDOW) if one.is_open and one.pk not in taken]
        if len({one.cluster for one in spread}) >= IMAGE_CLUSTERS:
            yield Group(
                Kind.IMAGE, digest("image", image), f"image {image}", spread[0].signal_type, tuple(spread), False, False
            )
