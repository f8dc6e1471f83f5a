"""What stateful rules need to remember from one look to the next, kept small enough to live in the cluster's row.

Both memories read the JSON that the last look left, take in what this look sees, and give the JSON for the next one. What a
look does not see is forgotten.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from incidents.detectors.fields import Obj, integer, metadata, objects, spec, status, text

MAX_PODS = 5_000
MAX_SAMPLES = 20
MAX_WORKLOADS = 2_000
WINDOW = timedelta(hours=1)  # the longest span that a rule looks back

Samples = list[tuple[datetime, int]]
_STATUS_LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class RestartHistory:
    """Restart counts of pods over the past hour, as `{uid: [[seconds since 1970, restarts], …]}`.

    A sample is kept per change: the count that was, at the time of the look that still saw it, and the count that is. A pod
    that never restarted needs none. Beyond `MAX_PODS` the pods whose count changed longest ago are forgotten.
    """

    def __init__(self, stored: Mapping[str, object], *, last_look: datetime | None) -> None:
        self._last_look = last_look
        self._stored = stored
        self._seen: dict[str, Samples] = {}

    def see(self, pods: Iterable[Obj], at: datetime) -> None:
        for pod in pods:
            total = restarts(pod)
            uid = metadata(pod).get("uid")
            if total and isinstance(uid, str):
                self._seen[uid] = _extended(_read(self._stored.get(uid)), total, at, self._last_look)

    def samples(self, uid: str) -> Samples:
        return self._seen.get(uid, [])

    @property
    def by_uid(self) -> Mapping[str, Samples]:
        """Grows while pods are seen, so a detector's context may hold it from the beginning."""
        return self._seen

    def dump(self) -> dict[str, list[list[int]]]:
        kept = sorted(self._seen.items(), key=lambda entry: entry[1][-1][0], reverse=True)[:MAX_PODS]
        return {uid: [[int(at.timestamp()), count] for at, count in samples] for uid, samples in kept}


def restarts(pod: Obj) -> int:
    """Restarts of all containers of a pod since it was made."""
    seen = status(pod)
    return sum(integer(entry.get("restartCount")) for name in _STATUS_LISTS for entry in objects(seen.get(name)))


def _read(stored: object) -> Samples:
    samples: Samples = []
    for entry in stored[-MAX_SAMPLES:] if isinstance(stored, list) else ():
        if isinstance(entry, list) and len(entry) == 2 and all(isinstance(number, int) for number in entry):
            samples.append((datetime.fromtimestamp(entry[0], UTC), entry[1]))
    return samples


def _extended(samples: Samples, total: int, at: datetime, last_look: datetime | None) -> Samples:
    if not samples:
        return [(at, total)]
    before = samples[-1]
    if total == before[1]:
        return [entry for entry in samples[:-1] if at - entry[0] <= WINDOW] + [before]
    if total < before[1]:  # containers were made anew: counting begins again
        return [(at, total)]
    still_seen = (last_look, before[1]) if last_look and last_look > before[0] else before
    recent = [entry for entry in [*samples, still_seen] if at - entry[0] <= WINDOW]
    return [*dict.fromkeys(recent), (at, total)][-MAX_SAMPLES:]


class Unsettled:
    """Workloads whose counts do not agree, and since when we have seen exactly these: `{uid: [what, seconds]}`.

    "Short of replicas and no progress for a quarter of an hour" cannot be read from one object; this is how it is known.
    """

    def __init__(self, stored: Mapping[str, object]) -> None:
        self._stored = stored
        self._seen: dict[str, tuple[str, datetime]] = {}

    def see(self, workload: Obj, at: datetime) -> None:
        uid = text(metadata(workload).get("uid"))
        if not uid or len(self._seen) >= MAX_WORKLOADS or _is_settled(workload):
            return
        what = _progress(workload)
        before = self._stored.get(uid)
        since = at
        if isinstance(before, list) and len(before) == 2 and before[0] == what and isinstance(before[1], int):
            since = datetime.fromtimestamp(before[1], UTC)
        self._seen[uid] = (what, since)

    @property
    def since(self) -> dict[str, datetime]:
        return {uid: since for uid, (_, since) in self._seen.items()}

    def dump(self) -> dict[str, list[object]]:
        return {uid: [what, int(since.timestamp())] for uid, (what, since) in self._seen.items()}


def _is_settled(workload: Obj) -> bool:
    seen = status(workload)
    generation = integer(metadata(workload).get("generation"))
    if integer(seen.get("observedGeneration"), generation) < generation:
        return False
    kind = workload.get("kind")
    if kind == "DaemonSet":
        wanted = integer(seen.get("desiredNumberScheduled"))
        counts = ("currentNumberScheduled", "numberAvailable", "updatedNumberScheduled")
        return not integer(seen.get("numberMisscheduled")) and all(integer(seen.get(name)) == wanted for name in counts)
    if kind == "HorizontalPodAutoscaler":
        return integer(seen.get("desiredReplicas")) == integer(seen.get("currentReplicas"))
    wanted = integer(spec(workload).get("replicas"), 1)
    counts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return all(integer(seen.get(name)) == wanted for name in counts)


def _progress(workload: Obj) -> str:
    """Everything that changes while a controller gets on: generation, counts and revisions."""
    seen = status(workload)
    facts = [f"g={integer(metadata(workload).get('generation'))}"]
    facts += [f"{name}={value}" for name, value in sorted(seen.items()) if isinstance(value, int)]
    facts += [f"{name}={text(seen.get(name))}" for name in ("currentRevision", "updateRevision") if seen.get(name)]
    return " ".join(facts)[:500]
