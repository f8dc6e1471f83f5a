"""Where the Kubernetes API keeps each kind that we read or change."""

from dataclasses import dataclass
from urllib.parse import quote

from aiops.clients.errors import NotFound

# as a part of a path these mean another object, or all of them
NO_NAMES = frozenset({"", ".", ".."})


def segment(name: str) -> str:
    """A name as a part of a path. Raises `NotFound` when nothing can be called so."""
    if name in NO_NAMES:
        raise NotFound(f"nothing is called {name!r}", status=404)
    return quote(name, safe="")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind in the version we speak. `namespaced` decides what its paths look like."""

    name: str
    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """'' for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def base(self) -> str:
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of an object, or of all of them; `namespace` None means everywhere. Raises `NotFound`."""
        parts = [self.base]
        if self.namespaced and namespace:
            parts += ["namespaces", segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("Pod", "v1", "pods"),
        Kind("Node", "v1", "nodes", namespaced=False),
        Kind("Namespace", "v1", "namespaces", namespaced=False),
        Kind("Service", "v1", "services"),
        Kind("Endpoints", "v1", "endpoints"),
        Kind("Event", "v1", "events"),
        Kind("ConfigMap", "v1", "configmaps"),
        Kind("ResourceQuota", "v1", "resourcequotas"),
        Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
        Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False),
        Kind("ReplicationController", "v1", "replicationcontrollers"),
        Kind("Deployment", "apps/v1", "deployments"),
        Kind("ReplicaSet", "apps/v1", "replicasets"),
        Kind("StatefulSet", "apps/v1", "statefulsets"),
        Kind("DaemonSet", "apps/v1", "daemonsets"),
        Kind("ControllerRevision", "apps/v1", "controllerrevisions"),
        Kind("Job", "batch/v1", "jobs"),
        Kind("CronJob", "batch/v1", "cronjobs"),
        Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
        Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
        Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
        Kind("Ingress", "networking.k8s.io/v1", "ingresses"),
        Kind("IngressClass", "networking.k8s.io/v1", "ingressclasses", namespaced=False),
        Kind("Secret", "v1", "secrets"),
        Kind("APIService", "apiregistration.k8s.io/v1", "apiservices", namespaced=False),
        Kind(
            "MutatingWebhookConfiguration",
            "admissionregistration.k8s.io/v1",
            "mutatingwebhookconfigurations",
            namespaced=False,
        ),
        Kind(
            "ValidatingWebhookConfiguration",
            "admissionregistration.k8s.io/v1",
            "validatingwebhookconfigurations",
            namespaced=False,
        ),
        Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", namespaced=False),
        Kind("Application", "argoproj.io/v1alpha1", "applications"),
        Kind("Certificate", "cert-manager.io/v1", "certificates"),
        Kind("HelmRelease", "helm.toolkit.fluxcd.io/v2", "helmreleases"),
        Kind("Gateway", "gateway.networking.k8s.io/v1", "gateways"),
        Kind("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes"),
        Kind("NodeClaim", "karpenter.sh/v1", "nodeclaims", namespaced=False),
        Kind("ScaledObject", "keda.sh/v1alpha1", "scaledobjects"),
        Kind("NodeMetrics", "metrics.k8s.io/v1beta1", "nodes", namespaced=False),
        Kind("PodMetrics", "metrics.k8s.io/v1beta1", "pods"),
        Kind("SelfSubjectAccessReview", "authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False),
    )
}
