"""One look at a cluster through its API: what is there, what is wrong with it, and what we were not allowed to see.

Objects are fetched in pages as raw JSON. Pods, of which there are most, are judged page by page and forgotten; of the others
only what rules read is held until the end. Nothing here touches the database.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from aiops.clients.errors import ClientRefused, Denied, NotFound
from aiops.clients.kinds import KINDS
from aiops.clients.kubernetes import KubernetesClient
from incidents.detectors.base import Context
from incidents.detectors.fields import conditions, mapping, number_of, spec, status
from incidents.detectors.history import RestartHistory, Unsettled
from incidents.detectors.references import references_of, waits
from incidents.detectors.scan import Observation, Scanner
from incidents.detectors.thresholds import DEFAULT, Thresholds
from incidents.detectors.view import ResourceRef

Object = dict[str, Any]

# what others are judged by, but is not judged itself
BACKGROUND = ("StorageClass", "EndpointSlice")
JUDGED = (
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Service",
    "Ingress",
    "ResourceQuota",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
)
PROGRESSING_KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "HorizontalPodAutoscaler"})
# asked for only where their API group is served. Definitions (CRDs) are left out: a list of them is a hundred megabytes in
# some clusters, too much for what a look would find
CUSTOM = (
    "Application",
    "Certificate",
    "HelmRelease",
    "Gateway",
    "HTTPRoute",
    "NodeClaim",
    "ScaledObject",
)

# warnings are evidence; of the normal events only those that excuse a state
EVENT_SELECTORS = (
    "type=Warning",
    "reason=TriggeredScaleUp",
    "reason=WaitForFirstConsumer",
    "reason=Pulling",
    "reason=Pulled",
)
LOOKED_UP = frozenset({"ConfigMap", "Secret"})
MAX_LOOK_UPS = 50  # of one look
MAX_EVENTS = 20_000  # per selector; a cluster in trouble repeats itself
PAGE = 500
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(slots=True)
class Survey:
    """What one look brought. `gaps` are kinds that could not be listed: unknown, not healthy."""

    version: str = ""
    observations: list[Observation] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    gaps: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    nodes: int | None = None
    nodes_ready: int | None = None
    namespaces: int | None = None
    pods: int | None = None
    pod_capacity: int | None = None
    restart_history: dict[str, list[list[int]]] = field(default_factory=dict)
    unsettled: dict[str, list[object]] = field(default_factory=dict)


def take(
    client: KubernetesClient,
    *,
    at: datetime,
    last_look: datetime | None = None,
    restart_history: dict[str, Any] | None = None,
    unsettled: dict[str, Any] | None = None,
    thresholds: Thresholds = DEFAULT,
    progress: Callable[[], None] = lambda: None,
) -> Survey:
    """Look at the whole cluster. `restart_history` and `unsettled` are what the last survey gave; `progress` is called at
    least once per page, and may raise to give up.

    Raises `ClientUnavailable` or `ClientRefused` when the cluster as a whole cannot be seen, because an incomplete list
    would look like recovery. A kind that is forbidden or unknown there is a gap instead.
    """
    history = RestartHistory(restart_history or {}, last_look=last_look)
    return _Surveyor(client, history, Unsettled(unsettled or {}), at=at, thresholds=thresholds, progress=progress).run()


class _Surveyor:
    def __init__(
        self,
        client: KubernetesClient,
        restarts: RestartHistory,
        unsettled: Unsettled,
        *,
        at: datetime,
        thresholds: Thresholds,
        progress: Callable[[], None],
    ) -> None:
        self._client = client
        self._restarts = restarts
        self._unsettled = unsettled
        self._at = at
        self._progress = progress
        self._since: dict[str, datetime] = {}
        self._context = Context(now=at, history=restarts.by_uid, unchanged_since=self._since, thresholds=thresholds)
        self._scanner = Scanner(self._context)
        self._survey = Survey()
        self._asked: set[ResourceRef] = set()
        self._forbidden: set[str] = set()

    def run(self) -> Survey:
        survey = self._survey
        survey.version = str(self._client.version().get("gitVersion") or "")[:64]
        for kind in BACKGROUND:
            self._scanner.learn(self._list(kind))
        self._learn_events()
        held = [slim(item) for kind in JUDGED for item in self._learned(kind)]
        for kind in self._custom():
            self._scanner.examine(self._learned(kind))
        self._since.update(self._unsettled.since)
        late = self._judge_pods()
        self._scanner.examine(item for item in held if not _is_old_revision(item))
        self._scanner.examine(late)
        self._count(held)
        if survey.listed.issubset(CUSTOM):
            raise Denied(f"The credentials may list nothing: {next(iter(survey.gaps.values()))}", status=403)
        survey.observations = self._scanner.observations()
        survey.restart_history = self._restarts.dump()
        survey.unsettled = self._unsettled.dump()
        return survey

    def _custom(self) -> list[str]:
        """The kinds of custom resources that are there. Of those that are not, there are none: that is known, too."""
        try:
            groups = self._client.groups()
        except ClientRefused as error:
            if error.status not in (403, 404):
                raise
            self._survey.gaps |= dict.fromkeys(CUSTOM, error.message)
            return []
        served = [kind for kind in CUSTOM if KINDS[kind].group in groups]
        self._survey.listed |= set(CUSTOM).difference(served)
        return served

    def _list(self, kind: str, *, field_selector: str | None = None, most: int | None = None) -> Iterator[Object]:
        """The objects of a kind; a kind that we may not or cannot list is noted as a gap and yields nothing more."""
        try:
            self._progress()
            for item in islice(self._client.list(kind, field_selector=field_selector, limit=PAGE), most):
                self._survey.objects += 1
                if self._survey.objects % PAGE == 0:
                    self._progress()
                yield item
        except ClientRefused as error:
            if isinstance(error, NotFound) and kind in CUSTOM:
                self._survey.listed.add(kind)  # its group is served without it
                return
            if not isinstance(error, NotFound) and not (isinstance(error, Denied) and error.status == 403):
                raise
            self._survey.gaps[kind] = error.message
            return
        self._context.related.listed(kind)
        self._survey.listed.add(kind)

    def _learn_events(self) -> None:
        for selector in EVENT_SELECTORS:
            self._scanner.learn(self._list("Event", field_selector=selector, most=MAX_EVENTS))
            if "Event" in self._survey.gaps:
                return

    def _learned(self, kind: str) -> Iterator[Object]:
        for item in self._list(kind):
            self._scanner.learn((item,))
            if kind in PROGRESSING_KINDS:
                self._unsettled.see(item, self._at)
            yield item

    def _judge_pods(self) -> list[Object]:
        """Judge the pods page by page; returns the failed ones, which are judged by whether others have replaced them."""
        late: list[Object] = []
        count = 0
        for page in _pages(self._list("Pod")):
            count += len(page)
            self._restarts.see(page, self._at)
            self._scanner.learn(page)
            late += [slim(pod) for pod in page if _has_failed(pod)]
            self._look_up(page)
            self._scanner.examine(pod for pod in page if not _has_failed(pod))
        if "Pod" in self._survey.listed:
            self._survey.pods = count
        return late

    def _look_up(self, pods: list[Object]) -> None:
        """Ask for what waiting pods name, one by one: a list of all ConfigMaps and Secrets would cost more, and tell secrets."""
        for pod in pods:
            if not waits(pod, self._context):
                continue
            for ref in references_of(pod):
                if ref.kind in LOOKED_UP and ref not in self._asked and len(self._asked) < MAX_LOOK_UPS:
                    self._asked.add(ref)
                    if self._is_missing(ref):
                        self._context.related.missing.add(ref)

    def _is_missing(self, ref: ResourceRef) -> bool:
        """False also when we may not know. Whoever may not read one Secret may read none: it is asked once."""
        if ref.kind in self._forbidden:
            return False
        try:
            self._progress()
            return not self._client.exists(ref.kind, ref.name, ref.namespace)
        except ClientRefused:
            self._forbidden.add(ref.kind)
            return False

    def _count(self, held: list[Object]) -> None:
        survey = self._survey
        if "Node" in survey.listed:
            nodes = [item for item in held if item.get("kind") == "Node"]
            survey.nodes = len(nodes)
            survey.nodes_ready = sum(
                1 for node in nodes if "Ready" in (ready := conditions(node)) and ready["Ready"].is_true
            )
            survey.pod_capacity = sum(_pod_capacity(node) for node in nodes)
        if "Namespace" in survey.listed:
            survey.namespaces = len(self._context.related.names.get("Namespace", ()))


def _pages(items: Iterable[Object]) -> Iterator[list[Object]]:
    page: list[Object] = []
    for item in items:
        page.append(item)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def slim(item: Object) -> Object:
    """The object without its bulk: what is held until the end of a look is held for every workload of the cluster."""
    meta = item.get("metadata")
    if isinstance(meta, dict):
        meta.pop("managedFields", None)
        if isinstance(meta.get("annotations"), dict):
            meta["annotations"].pop(_APPLIED, None)
    wanted = item.get("spec")
    if isinstance(wanted, dict):
        template = wanted.pop("template", None)
        wanted.pop("jobTemplate", None)
        if wanted.get("replicas") == 0:  # which Services point there is told by these
            wanted["template"] = {
                "metadata": {"labels": mapping(mapping(mapping(template).get("metadata")).get("labels"))}
            }
    return item


def _has_failed(pod: Object) -> bool:
    return status(pod).get("phase") == "Failed"


def _is_old_revision(item: Object) -> bool:
    """A ReplicaSet without replicas is kept for rollbacks: most of them are, and there is nothing to judge."""
    return item.get("kind") == "ReplicaSet" and spec(item).get("replicas") == 0


def _pod_capacity(node: Object) -> int:
    return number_of(mapping(status(node).get("allocatable")).get("pods"))
