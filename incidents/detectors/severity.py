"""What makes the same condition worse or milder here: one place for all escalators (rule book, section 2).

Whether a signal is older than three times its grace is left to the incident, which knows its age better than one look.
"""

from dataclasses import replace

from incidents.detectors.base import Signal
from incidents.detectors.fields import Obj, text
from incidents.detectors.view import ClusterView, ResourceRef

_RAISE = 10
_LOWER = 20
_MANY_REPLICAS = 3
_MANY_WORKLOADS = 3
_SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-node-lease", "kube-public"})
_STAGE_LABELS = ("environment", "env", "stage", "app.kubernetes.io/environment", "tier")
_PRODUCTION = frozenset({"prod", "production", "live"})
_OTHER_STAGES = frozenset(
    {"dev", "development", "test", "testing", "qa", "staging", "sandbox", "nonprod", "non-production"}
)
# a single sick pod degrades the service; when every pod has it, the service is down
_DOWN_WHEN_ALL = frozenset(
    {"pod_unschedulable", "readiness_probe_failing", "pod_not_ready", "container_terminated_error"}
)


def weighed(signal: Signal, owner: ResourceRef, *, pods: int, sharing: int, view: ClusterView) -> Signal:
    """The signal with its weight moved by what surrounds it.

    `pods` is how many pods of the owner show it (0 if it is not about pods), `sharing` how many workloads have the same cause.
    """
    tally = view.pods_of(owner)
    total = tally.total if tally else 0
    is_everywhere = pods > 0 and total > 0 and pods >= total
    stage = _stage(view.namespace_labels.get(owner.namespace, {}))
    change = 0
    change += _RAISE * is_everywhere
    change += _RAISE * (owner.namespace in _SYSTEM_NAMESPACES)
    change += _RAISE * (stage in _PRODUCTION)
    change += _RAISE * (sharing > _MANY_WORKLOADS)
    change -= _LOWER * (pods == 1 and total >= _MANY_REPLICAS)
    change -= _LOWER * (stage in _OTHER_STAGES)
    severity = signal.severity
    if is_everywhere and signal.condition in _DOWN_WHEN_ALL and severity == "medium":
        severity = "high"
    return replace(signal, weight=min(100, max(0, signal.weight + change)), severity=severity)


def _stage(labels: Obj) -> str:
    return next((text(labels.get(key)).lower() for key in _STAGE_LABELS if text(labels.get(key))), "")


def cause_of(signal: Signal) -> str:
    """What workloads may share: a registry, a node, a storage class; '' for nothing known."""
    if signal.condition == "image_pull_failure":
        registry, slash, _ = str(signal.evidence.get("image", "")).partition("/")
        return registry if slash else "docker.io"
    return str(signal.evidence.get("storageClass") or signal.evidence.get("node") or "")
