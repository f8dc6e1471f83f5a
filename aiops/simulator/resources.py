"""The kinds that the simulated API server knows, as discovery shows them."""

from dataclasses import dataclass

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind in one group and version. `stored_as` names the group/plural whose objects it shows in its own shape."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    has_generation: bool = False
    verbs: tuple[str, ...] = VERBS
    stored_as: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As error texts name it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> str:
        return self.stored_as or f"{self.group}/{self.plural}"


def _core(kind: str, plural: str, **options: object) -> Resource:
    return Resource("", "v1", kind, plural, **options)  # type: ignore[arg-type]


POD = _core("Pod", "pods", short_names=("po",), subresources=("status", "log", "eviction"), has_generation=True)
NODE = _core("Node", "nodes", namespaced=False, short_names=("no",), subresources=("status",))
NAMESPACE = _core(
    "Namespace",
    "namespaces",
    namespaced=False,
    short_names=("ns",),
    subresources=("status",),
    verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
)
SERVICE = _core("Service", "services", short_names=("svc",), subresources=("status",))
CONFIG_MAP = _core("ConfigMap", "configmaps", short_names=("cm",))
SECRET = _core("Secret", "secrets")
EVENT = _core("Event", "events", short_names=("ev",))
CLAIM = _core("PersistentVolumeClaim", "persistentvolumeclaims", short_names=("pvc",), subresources=("status",))
VOLUME = _core("PersistentVolume", "persistentvolumes", namespaced=False, short_names=("pv",), subresources=("status",))
ENDPOINTS = _core("Endpoints", "endpoints", short_names=("ep",))

_WORKLOAD = ("status", "scale")
DEPLOYMENT = Resource(
    "apps", "v1", "Deployment", "deployments", short_names=("deploy",), subresources=_WORKLOAD, has_generation=True
)
REPLICA_SET = Resource(
    "apps", "v1", "ReplicaSet", "replicasets", short_names=("rs",), subresources=_WORKLOAD, has_generation=True
)
STATEFUL_SET = Resource(
    "apps", "v1", "StatefulSet", "statefulsets", short_names=("sts",), subresources=_WORKLOAD, has_generation=True
)
DAEMON_SET = Resource(
    "apps", "v1", "DaemonSet", "daemonsets", short_names=("ds",), subresources=("status",), has_generation=True
)
REVISION = Resource("apps", "v1", "ControllerRevision", "controllerrevisions")
JOB = Resource("batch", "v1", "Job", "jobs", subresources=("status",), has_generation=True)
CRON_JOB = Resource(
    "batch", "v1", "CronJob", "cronjobs", short_names=("cj",), subresources=("status",), has_generation=True
)
AUTOSCALER = Resource(
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    short_names=("hpa",),
    subresources=("status",),
)
AUTOSCALER_V1 = Resource(
    "autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", short_names=("hpa",),
    verbs=("get", "list", "watch"), stored_as=AUTOSCALER.storage,
)  # fmt: skip
BUDGET = Resource(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", short_names=("pdb",), subresources=("status",),
    has_generation=True,
)  # fmt: skip
ENDPOINT_SLICE = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", has_generation=True)
EVENT_V1 = Resource(
    "events.k8s.io",
    "v1",
    "Event",
    "events",
    short_names=("ev",),
    verbs=("get", "list", "watch"),
    stored_as=EVENT.storage,
)
STORAGE_CLASS = Resource(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False, short_names=("sc",)
)
API_SERVICE = Resource(
    "apiregistration.k8s.io", "v1", "APIService", "apiservices", namespaced=False, subresources=("status",)
)
WEBHOOKS = tuple(
    Resource(
        "admissionregistration.k8s.io", "v1", f"{verb}WebhookConfiguration", f"{verb.lower()}webhookconfigurations",
        namespaced=False, has_generation=True,
    )
    for verb in ("Mutating", "Validating")
)  # fmt: skip
LEASE = Resource("coordination.k8s.io", "v1", "Lease", "leases")
INGRESS = Resource(
    "networking.k8s.io",
    "v1",
    "Ingress",
    "ingresses",
    short_names=("ing",),
    subresources=("status",),
    has_generation=True,
)
NETWORK_POLICY = Resource(
    "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", short_names=("netpol",), has_generation=True
)
NODE_METRICS = Resource("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", namespaced=False, verbs=("get", "list"))
POD_METRICS = Resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", verbs=("get", "list"))
ACCESS_REVIEW = Resource(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False,
    verbs=("create",),
)  # fmt: skip

RESOURCES = (
    CONFIG_MAP, ENDPOINTS, EVENT,
    _core("LimitRange", "limitranges", short_names=("limits",)),
    NAMESPACE, NODE, CLAIM, VOLUME, POD,
    _core("ReplicationController", "replicationcontrollers", short_names=("rc",), has_generation=True),
    _core("ResourceQuota", "resourcequotas", short_names=("quota",), subresources=("status",)),
    SECRET,
    _core("ServiceAccount", "serviceaccounts", short_names=("sa",)),
    SERVICE,
    REVISION, DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET,
    EVENT_V1, AUTOSCALER, AUTOSCALER_V1, CRON_JOB, JOB, NETWORK_POLICY, INGRESS, BUDGET, STORAGE_CLASS, LEASE,
    ENDPOINT_SLICE, API_SERVICE, *WEBHOOKS, NODE_METRICS, POD_METRICS, ACCESS_REVIEW,
)  # fmt: skip

BY_PATH = {(r.group, r.version, r.plural): r for r in RESOURCES}
BY_KIND = {r.kind: r for r in reversed(RESOURCES) if not r.stored_as}
BY_API_KIND = {(r.api_version, r.kind): r for r in RESOURCES}
