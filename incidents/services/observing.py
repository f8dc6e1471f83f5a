"""The observer: follows every change in the clusters that it holds, and judges what changed at once.

It finds the same conditions as a look at the whole cluster does (`detection`), under the same fingerprints, only earlier;
what needs a memory of earlier looks, and what clears a signal, stays with the looks. One thread per kind and cluster reads
the watch, one thread for all judges, so that a storm in one cluster costs one place in the queue.
"""

import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db import connections as db_connections
from django.utils import timezone
from prometheus_client import Counter, Gauge, Histogram

from aiops.clients.errors import ClientError, ClientRefused, ClientUnavailable, Expired
from aiops.clients.watching import WatchClient
from aiops.health import leases
from federation.models import Cluster
from federation.services import connections
from incidents.detectors.base import Context
from incidents.detectors.scan import Scanner
from incidents.services import correlation, detection
from incidents.watching import Mirror, Object, clock

logger = structlog.get_logger(__name__)

# kind -> which of its objects. Those whose faults count at once or within a minute or two. What has to last for five minutes
# or more (Services, Ingresses, autoscalers, budgets, quotas, namespaces, CronJobs, aggregated APIs) a look finds as soon, and
# a watch of each would cost every API server a connection and us a copy.
KINDS = {
    "Node": None, "ReplicaSet": None, "Deployment": None, "StatefulSet": None, "DaemonSet": None, "Job": None,
    "PersistentVolume": None, "PersistentVolumeClaim": None, "Event": "type=Warning", "Pod": None,
}  # fmt: skip
PREFIX = "observer:"
PRESENCE = "observing:"
LASTS = timedelta(seconds=10)  # of a lease; another observer takes over at most a look and this much later
LOOK_EVERY = 2.5  # seconds between two renewals
SILENCE = 90.0  # seconds without a change or a bookmark, until a watch counts as broken
FIRST_WAIT, LONGEST_WAIT, LONGEST_REFUSED = 1.0, 60.0, 300.0  # seconds
AGAIN = 30.0  # seconds until the same observation is handed on again
MAX_KNOWN = 50_000

LATENCY = Histogram(
    "aiops_observer_latency_seconds",
    "From a change that the API server told to the incident row",
    buckets=(0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30),
)
CHANGES = Counter("aiops_observer_changes", "Changes read from watches", ("kind",))
RESTARTS = Counter("aiops_observer_restarts", "Watches that were begun anew", ("reason",))
HELD = Gauge("aiops_observer_clusters", "Clusters that this observer holds")
OBJECTS = Gauge("aiops_observer_objects", "Objects that this observer keeps")


class Watched:
    """One cluster under observation: its watches and its mirror."""

    def __init__(self, cluster: Cluster, wake: Callable[[], object] = lambda: None) -> None:
        self.cluster = cluster
        self.mirror = Mirror(wake)
        self.known: dict[str, float] = {}  # fingerprint -> when it was handed on
        self._stopped = threading.Event()
        self._live: set[str] = set()
        self._client = WatchClient(
            connections.stored_access(cluster), read_timeout=SILENCE, total_timeout=SILENCE, pool=len(KINDS) + 1
        )

    def start(self) -> None:
        for kind in KINDS:
            name = f"watch-{self.cluster.name[:32]}-{kind}"
            threading.Thread(target=self._follow, args=(kind,), name=name, daemon=True).start()

    def stop(self) -> None:
        """Its threads end with their next change or time-out; what they read meanwhile is judged by nobody."""
        self._stopped.set()
        self._client.close()

    @property
    def is_live(self) -> bool:
        """Whether every kind is being watched."""
        return len(self._live) == len(KINDS)

    def _follow(self, kind: str) -> None:
        version, failures = "", 0
        while not self._stopped.is_set():
            began = clock()
            refused, asked = False, 0.0
            try:
                if not version:
                    version = self._list(kind)
                for reached in self._watch(kind, version):
                    version, failures = reached, 0
            except Expired:
                version, reason = "", "expired"
            except ClientUnavailable as error:
                reason, asked = error.reason or f"HTTP {error.status}", error.retry_after or 0.0
            except ClientRefused as error:
                # it may be granted later, but not within seconds
                version, reason, refused = "", f"HTTP {error.status}", True
            else:
                reason = "ended"
            self._live.discard(kind)
            if reason == "ended" and clock() - began > FIRST_WAIT:
                continue  # the server ends each watch after some minutes
            if self._stopped.is_set():
                return
            failures += 1
            RESTARTS.labels(reason[:32]).inc()
            # a server that starts later than we do, as in the demo, is no news; one that stays away is
            logger.log(
                logging.INFO if failures >= 3 else logging.DEBUG,
                "watch_restarts",
                cluster=self.cluster.name,
                kind=kind,
                reason=reason,
                failures=failures,
            )
            self._stopped.wait(max(back_off(failures, refused=refused), min(asked, LONGEST_REFUSED)))

    def _list(self, kind: str) -> str:
        listing = self._client.listing(kind, field_selector=KINDS[kind])
        self.mirror.replace(kind, self._unless_stopped(listing), clock())
        return listing.version

    def _watch(self, kind: str, version: str) -> Iterator[str]:
        """Take changes in; yields the version after each."""
        self._live.add(kind)
        for change in self._client.watch(kind, version, field_selector=KINDS[kind]):
            if self._stopped.is_set():
                return
            if change.type == "DELETED":
                self.mirror.drop(change.object, clock())
            elif change.type in {"ADDED", "MODIFIED"}:
                self.mirror.put(change.object, clock())
            CHANGES.labels(kind).inc()
            yield change.version

    def _unless_stopped(self, objects: Iterable[Object]) -> Iterator[Object]:
        for obj in objects:
            if self._stopped.is_set():
                raise ClientUnavailable("The observer lets go of the cluster", reason="stopped")
            yield obj


def back_off(failures: int, *, refused: bool = False) -> float:
    """Seconds until the next try: doubled with each failure in a row, up to a minute, or five when it was refused; with
    jitter, so that a server that comes back is not run over."""
    longest = LONGEST_REFUSED if refused else LONGEST_WAIT
    first = 10 * FIRST_WAIT if refused else FIRST_WAIT
    return float(min(first * 2 ** min(failures - 1, 16), longest) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def judge(watched: Watched, namespace: str) -> int:
    """Detect over what is known of one namespace and hand on what is news. Returns how many observations were."""
    at = timezone.now()
    context = Context(now=at, thresholds=detection.thresholds())
    scanner = Scanner(context)
    objects = list(watched.mirror.objects(namespace))
    scanner.learn(objects)
    for kind in watched.mirror.listed:
        context.related.listed(kind)
    # the nodes around a namespace are judged on their own
    scanner.examine(
        obj for obj in objects if obj.get("kind") != "Event" and (not namespace or obj.get("kind") != "Node")
    )
    found = [detection.observation(watched.cluster, one) for one in scanner.observations()]
    now = clock()
    news = [one for one in found if now - watched.known.get(one.fingerprint, -AGAIN) >= AGAIN]
    if news:
        correlation.observe(observations=news[: detection.BATCH], at=at)
        if len(watched.known) > MAX_KNOWN:
            watched.known.clear()
        watched.known |= dict.fromkeys((one.fingerprint for one in news), now)
    return len(news)


class Observer:
    """Shares the clusters of the fleet with other observers by leases, and observes its part until it is stopped."""

    def __init__(self, *, holder: str, most: int, stopped: threading.Event) -> None:
        self.holder, self.most, self.stopped = holder, most, stopped
        self._watched: dict[str, Watched] = {}  # by the name of the lease
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def run(self) -> None:
        judging = threading.Thread(target=self._judge, name="judge", daemon=True)
        judging.start()
        while not self.stopped.is_set():
            _guarded(self._share)
            self.stopped.wait(LOOK_EVERY)
        for name in list(self._watched):
            self._let_go(name)
        self._wake.set()
        judging.join(timeout=10)
        _guarded(self._resign)

    # --- which clusters

    def _share(self) -> None:
        """Renew what is ours, take what is free, give back what is more than our part."""
        at = timezone.now()
        leases.hold(name=f"{PRESENCE}{self.holder}"[:64], holder=self.holder, lasts=LASTS, at=at)
        ours = leases.renew(prefix=PREFIX, holder=self.holder, lasts=LASTS, at=at)
        clusters = {f"{PREFIX}{row.pk}": row for row in Cluster.objects.filter(enabled=True).order_by("pk")}
        for name in list(self._watched):
            current = clusters.get(name)
            held = self._watched[name].cluster
            if name not in ours or current is None or current.kubeconfig_digest != held.kubeconfig_digest:
                self._let_go(name)
            else:
                held.name, held.labels = current.name, current.labels
        part = self._part(len(clusters), at)
        for name in sorted(ours & self._watched.keys())[part:]:
            self._let_go(name)
            leases.release(name=name, holder=self.holder)
        taken = leases.living(prefix=PREFIX, at=at)
        for name, cluster in clusters.items():
            if len(self._watched) >= part:
                break
            if name not in self._watched and taken.get(name, self.holder) == self.holder:
                self._take(name, cluster)
        live = [watched.cluster.pk for watched in self._watched.values() if watched.is_live]
        Cluster.objects.filter(pk__in=live).update(watched_until=at + LASTS)
        HELD.set(len(self._watched))
        OBJECTS.set(sum(watched.mirror.size for watched in self._watched.values()))

    def _part(self, clusters: int, at: datetime) -> int:
        """How many clusters are ours when all living observers share them."""
        observers = max(1, len(leases.living(prefix=PRESENCE, at=at)))
        return min(self.most, -(-clusters // observers))

    def _take(self, name: str, cluster: Cluster) -> None:
        if not leases.hold(name=name, holder=self.holder, lasts=LASTS, at=timezone.now()):
            return
        try:
            watched = Watched(cluster, self._wake.set)
        except ClientError as error:
            logger.warning("cluster_not_observed", cluster=cluster.name, error=error.message)
            return
        with self._lock:
            self._watched[name] = watched
        watched.start()
        logger.info("cluster_observed", cluster=cluster.name)

    def _let_go(self, name: str) -> None:
        with self._lock:
            watched = self._watched.pop(name)
        watched.stop()
        logger.info("cluster_let_go", cluster=watched.cluster.name)

    def _resign(self) -> None:
        for name in leases.renew(prefix=PREFIX, holder=self.holder, lasts=LASTS, at=timezone.now()):
            leases.release(name=name, holder=self.holder)
        leases.release(name=f"{PRESENCE}{self.holder}"[:64], holder=self.holder)

    # --- what happens there

    def _judge(self) -> None:
        try:
            self._judge_on()
        finally:
            db_connections.close_all()  # this thread's own

    def _judge_on(self) -> None:
        while not self.stopped.is_set():
            self._wake.clear()
            with self._lock:
                everyone = list(self._watched.values())
            for watched in everyone:
                for namespace, changed in watched.mirror.due(clock()):
                    _guarded(partial(self._judge_one, watched, namespace, changed))
            dues = [due for watched in everyone if (due := watched.mirror.next_due()) is not None]
            self._wake.wait(min(max(min(dues, default=float("inf")) - clock(), 0.0), LOOK_EVERY))

    def _judge_one(self, watched: Watched, namespace: str, changed: float | None) -> None:
        began = clock()
        news = judge(watched, namespace)
        now = clock()
        watched.mirror.judged(namespace, took=now - began, now=now)
        if news and changed is not None:
            LATENCY.observe(now - changed)


def _guarded(do: Callable[[], object]) -> None:
    """A database that is away for a moment ends no observer: the next round tries again."""
    try:
        close_old_connections()
        do()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("observer_waits", error=type(error).__name__)
