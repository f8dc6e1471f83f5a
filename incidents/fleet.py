"""Which incidents of different clusters have one cause. Pure.

* `same_signature`: the same signal of the same workload in three clusters or more, first signals at most 15 minutes apart.
  The members become critical.
* `promotion_cascade`: the same signal of the same workload in staging, and later, within a day, in production, unless its
  image is known to be another one there.
* `common_change`: containers of the same image in trouble in two clusters or more, at most 30 minutes apart.
* `common_dependency`: what fails names the same registry, host or name server in two clusters or more, within 10 minutes.
* `same_node_image`: nodes of the same operating system, kernel and kubelet in trouble, within 30 minutes.
* `infrastructure`: nodes of the same region in trouble in two clusters or more, within 15 minutes.

The last four take a score besides (`score`), so that the same base image in two unrelated failures is no common cause.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import islice
from typing import NamedTuple

from incidents.models import FleetCorrelation
from incidents.observations import digest

SPREAD = 3  # clusters
SPREAD_WINDOW = timedelta(minutes=15)  # X9.25
CAUSE_CLUSTERS = 2
CASCADE_WINDOW = timedelta(hours=24)
THRESHOLD = 0.6
Kind = FleetCorrelation.Kind


class Cause(NamedTuple):
    """Something that incidents of several clusters may have in common."""

    kind: Kind
    value: str


# the most telling first: an incident that is explained by one of these is not explained again by the next
CAUSES = {
    Kind.IMAGE: ("image {}", timedelta(minutes=30)),
    Kind.DEPENDENCY: ("dependency {}", timedelta(minutes=10)),
    Kind.NODE_IMAGE: ("node image {}", timedelta(minutes=30)),
    Kind.INFRASTRUCTURE: ("region {}", timedelta(minutes=15)),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident of a cluster, as far as it matters here."""

    pk: int
    cluster: str
    environment: str
    signal_type: str
    kind: str
    namespace: str
    name: str
    started_at: datetime
    region: str = ""
    causes: frozenset[Cause] = field(default_factory=frozenset)
    is_open: bool = True

    @property
    def images(self) -> frozenset[str]:
        """Those of its containers in trouble, as far as they are known."""
        return frozenset(cause.value for cause in self.causes if cause.kind == Kind.IMAGE)

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
    """What belongs together. An incident may be in a group by its workload, and in one by what it has in common."""
    workloads: dict[tuple[str, str, str, str], list[Candidate]] = defaultdict(list)
    causes: dict[Cause, list[Candidate]] = defaultdict(list)
    for one in sorted(candidates, key=lambda one: (one.started_at, one.pk)):
        workloads[one.workload].append(one)
        for cause in one.causes:
            causes[cause].append(one)
    found = [group for members in workloads.values() if (group := _by_workload(members))]
    taken = {one.pk for group in found for one in group.members}
    for kind in CAUSES:
        shared = [_by_cause(cause, causes[cause], taken) for cause in sorted(causes) if cause.kind == kind]
        fresh = [group for group in shared if group]
        found += fresh
        taken |= {one.pk for group in fresh for one in group.members}
    return found


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
        if one.environment == "prod" and one.is_open and any(_may_follow(one, before) for before in staged)
    ]
    return (*staged, *followed) if followed else ()


def _may_follow(one: Candidate, before: Candidate) -> bool:
    """Later, within a day, and not known to be another version."""
    images, others = one.images, before.images
    is_other = bool(images and others) and images.isdisjoint(others)
    return not is_other and timedelta(0) <= one.started_at - before.started_at <= CASCADE_WINDOW


def _by_cause(cause: Cause, members: Sequence[Candidate], taken: Collection[int]) -> Group | None:
    words, window = CAUSES[cause.kind]
    spread = _densest([one for one in members if one.is_open and one.pk not in taken], window)
    if not spread:
        return None
    alike = tuple(one for one in spread if one is spread[0] or score(spread[0], one, window=window) >= THRESHOLD)
    if len({one.cluster for one in alike}) < CAUSE_CLUSTERS:
        return None
    subject = words.format(cause.value)
    return Group(cause.kind, digest(_KEYS[cause.kind], cause.value), subject, alike[0].signal_type, alike, False, False)


# the words of keys that are stored
_KEYS = {
    Kind.IMAGE: "image",
    Kind.DEPENDENCY: "dependency",
    Kind.NODE_IMAGE: "node image",
    Kind.INFRASTRUCTURE: "region",
}


def score(a: Candidate, b: Candidate, *, window: timedelta) -> float:
    """How likely two incidents that share a cause have it from there, from 0.35 to 1 (domain/federation.md, 3.2)."""
    same_service = a.workload[1:] == b.workload[1:]
    same_signal = a.signal_type == b.signal_type
    apart = abs(a.started_at - b.started_at) / window
    same_region = bool(a.region) and a.region == b.region
    return 0.35 + 0.25 * same_service + 0.15 * same_signal + 0.15 * max(0.0, 1 - apart) + 0.10 * same_region


# --- what an incident names as its cause -----------------------------------------------------------------------------

_HOST = r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?"
# how programs written in Go, and the kubelet, say which address they did not reach
_NAMED = re.compile(
    rf"lookup ({_HOST})|dial (?:tcp|udp)[46]? ({_HOST}:\d+)|https?://({_HOST}(?::\d+)?)|could not resolve host:? ({_HOST})",
    re.IGNORECASE,
)
_INSIDE = (".svc", ".cluster.local", ".local", ".internal")  # names that each cluster has for itself
_PULL = "image_pull_error"
MAX_DEPENDENCIES = 5
MAX_TEXT = 2_000


def registry_of(image: str) -> str:
    """The host that an image comes from: the first part of its name when that can be a host."""
    first, slash, _ = image.partition("/")
    return first.lower() if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def dependencies(text: str) -> set[str]:
    """The hosts that a message says were not reached; addresses that mean another machine in each cluster are left out."""
    hosts = (next(filter(None, match.groups())).lower() for match in _NAMED.finditer(text[:MAX_TEXT]))
    return set(islice(dict.fromkeys(filter(_is_common, hosts)), MAX_DEPENDENCIES))


def _is_common(host: str) -> bool:
    """Whether the host is the same one in every cluster."""
    name = host.rpartition(":")[0] or host
    try:
        return ip_address(name).is_global
    except ValueError:
        return "." in name and not name.endswith(_INSIDE)


def causes(*, signal_type: str, kind: str, region: str, text: str, evidence: Mapping[str, object]) -> set[Cause]:
    """What one anomaly of an incident may share with those of other clusters."""
    found = {Cause(Kind.DEPENDENCY, host) for host in dependencies(text)}
    image, node_image = evidence.get("image"), evidence.get("nodeImage")
    if isinstance(image, str) and image:
        found.add(Cause(Kind.IMAGE, image))
        if signal_type == _PULL:
            found.add(Cause(Kind.DEPENDENCY, registry_of(image)))
    if kind == "Node":
        if isinstance(node_image, str) and node_image:
            found.add(Cause(Kind.NODE_IMAGE, node_image))
        if region:
            found.add(Cause(Kind.INFRASTRUCTURE, region))
    return found
