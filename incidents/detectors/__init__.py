"""Detection: raw Kubernetes objects in, verdicts and signals out. Pure functions, no I/O, no clock of their own.

One module per family of kinds, one line per kind in `JUDGES`. A kind without a line is read by the conventions of custom
resources, and kinds that are data only (ConfigMap, Secret, Role, Event) have nothing to be judged.
"""

from incidents.detectors import autoscaling, custom, jobs, network, nodes, pods, storage, workloads
from incidents.detectors.base import (
    HEALTHY,
    Context,
    Finding,
    ResourceRef,
    Rule,
    Signal,
    Verdict,
    conclude,
)
from incidents.detectors.fields import Obj
from incidents.detectors.thresholds import Thresholds
from incidents.detectors.view import ClusterView

__all__ = ["JUDGES", "ClusterView", "Context", "Finding", "ResourceRef", "Signal", "Thresholds", "Verdict", "detect"]

JUDGES: dict[str, Rule] = {
    "Pod": pods.judge,
    "Deployment": workloads.judge_deployment,
    "ReplicaSet": workloads.judge_replica_set,
    "StatefulSet": workloads.judge_stateful_set,
    "DaemonSet": workloads.judge_daemon_set,
    "Job": jobs.judge_job,
    "CronJob": jobs.judge_cron_job,
    "Node": nodes.judge,
    "PersistentVolumeClaim": storage.judge_claim,
    "PersistentVolume": storage.judge_volume,
    "HorizontalPodAutoscaler": autoscaling.judge_autoscaler,
    "PodDisruptionBudget": autoscaling.judge_budget,
    "Service": network.judge_service,
    "Ingress": network.judge_ingress,
    "HTTPRoute": network.judge_route,
    "GRPCRoute": network.judge_route,
    "TLSRoute": network.judge_route,
    "TCPRoute": network.judge_route,
    "Gateway": network.judge_gateway,
    "MutatingWebhookConfiguration": network.judge_webhooks,
    "ValidatingWebhookConfiguration": network.judge_webhooks,
    "Namespace": custom.judge_namespace,
    "ResourceQuota": custom.judge_quota,
    "APIService": custom.judge_api_service,
    "CustomResourceDefinition": custom.judge_definition,
    "Certificate": custom.judge_certificate,
    "Application": custom.judge_application,
}
_DATA_KINDS = frozenset(
    [
        "ConfigMap",
        "Secret",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "Event",
        "Endpoints",
        "EndpointSlice",
        "StorageClass",
        "PriorityClass",
        "IngressClass",
        "NetworkPolicy",
        "LimitRange",
        "ControllerRevision",
        "Lease",
        "CSINode",
        "CSIDriver",
    ]
)

# a kind's name is not its own: Knative has a Service, Istio a Gateway; theirs are custom resources
_KNOWN_GROUPS = frozenset(
    [
        "apps",
        "batch",
        "policy",
        "extensions",
        "autoscaling",
        "networking.k8s.io",
        "gateway.networking.k8s.io",
        "admissionregistration.k8s.io",
        "apiregistration.k8s.io",
        "apiextensions.k8s.io",
        "cert-manager.io",
        "certmanager.k8s.io",
        "argoproj.io",
    ]
)


def _judge_for(kind: str, obj: Obj) -> Rule:
    version = obj.get("apiVersion")
    group = version.rpartition("/")[0] if isinstance(version, str) else ""
    return JUDGES.get(kind, custom.judge_custom) if not group or group in _KNOWN_GROUPS else custom.judge_custom


def detect(obj: Obj, context: Context) -> Finding:
    """The verdict on one object. `obj["kind"]` must be set: lists from the API leave it out of their items."""
    kind = obj.get("kind")
    if kind == "Pod" and pods.is_plainly_healthy(obj, context):
        return HEALTHY
    if not isinstance(kind, str) or kind in _DATA_KINDS:
        return HEALTHY
    return conclude(_judge_for(kind, obj)(obj, context))
