"""The typed actions that an analysis may suggest, with the names of their parameters (contract/api.md §1.19, X9.32).

Only names stand here: what the actions do belongs to the app above. A suggestion outside of this table is not passed on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_RESOURCES = ("container", "memoryLimit", "memoryRequest", "cpuLimit", "cpuRequest")
_SCALE = ("replicas", "containment")

ACTIONS: Mapping[str, tuple[str, ...]] = {
    # Deployment and general
    "ScaleDeployment": _SCALE,
    "RollbackDeployment": ("toRevision",),
    "RestartDeployment": (),
    "PatchConfig": ("configmap",),
    "AdjustResources": _RESOURCES,
    "DeletePod": ("pod",),
    "HelmRollback": ("revision",),
    "ArgoSyncApp": ("revision",),
    "AdjustHPA": ("hpa", "minReplicas", "maxReplicas", "targetCPUUtilization"),
    "RestartStatefulSetPod": ("pod",),
    "CordonNode": ("node",),
    "UncordonNode": ("node",),
    "DrainNode": ("node",),
    "ResizePVC": ("pvc", "size"),
    "RotateSecret": ("secret", "sourceSecret"),
    "ExecDiagnostic": ("command", "pod", "container"),
    "UpdateIngress": ("ingress", "backendService", "backendPort"),
    "PatchNetworkPolicy": ("networkPolicy", "allowPort", "protocol"),
    "ApplyManifest": ("configmap", "key"),
    # StatefulSet
    "ScaleStatefulSet": _SCALE,
    "RestartStatefulSet": (),
    "RollbackStatefulSet": ("toRevision",),
    "AdjustStatefulSetResources": _RESOURCES,
    "DeleteStatefulSetPod": ("pod",),
    "ForceDeleteStatefulSetPod": ("pod",),
    "UpdateStatefulSetStrategy": ("type", "maxUnavailable"),
    "RecreateStatefulSetPVC": ("pvc", "confirm"),
    "PartitionStatefulSetUpdate": ("partition",),
    # DaemonSet
    "RestartDaemonSet": (),
    "RollbackDaemonSet": ("toRevision",),
    "AdjustDaemonSetResources": _RESOURCES,
    "DeleteDaemonSetPod": ("pod", "node"),
    "UpdateDaemonSetStrategy": ("type", "maxUnavailable", "maxSurge"),
    "PauseDaemonSetRollout": (),
    "CordonAndDeleteDaemonSetPod": ("node",),
    # Job
    "RetryJob": (),
    "AdjustJobResources": _RESOURCES,
    "DeleteFailedJob": (),
    "SuspendJob": (),
    "ResumeJob": (),
    "AdjustJobParallelism": ("parallelism",),
    "AdjustJobDeadline": ("activeDeadlineSeconds",),
    "AdjustJobBackoffLimit": ("backoffLimit",),
    "ForceDeleteJobPods": (),
    # CronJob
    "SuspendCronJob": (),
    "ResumeCronJob": (),
    "TriggerCronJob": (),
    "AdjustCronJobResources": _RESOURCES,
    "AdjustCronJobSchedule": ("schedule",),
    "AdjustCronJobDeadline": ("startingDeadlineSeconds",),
    "AdjustCronJobHistory": ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
    "AdjustCronJobConcurrency": ("concurrencyPolicy",),
    "DeleteCronJobActiveJobs": (),
    "ReplaceCronJobTemplate": ("configmap", "key"),
    # what no type covers is work for a person
    "Custom": (),
}

# what a suggestion is called for each kind of workload
ROLLBACK = {
    "Deployment": "RollbackDeployment",
    "StatefulSet": "RollbackStatefulSet",
    "DaemonSet": "RollbackDaemonSet",
}
RESTART = {"Deployment": "RestartDeployment", "StatefulSet": "RestartStatefulSet", "DaemonSet": "RestartDaemonSet"}
RESOURCES = {
    "Deployment": "AdjustResources",
    "StatefulSet": "AdjustStatefulSetResources",
    "DaemonSet": "AdjustDaemonSetResources",
    "Job": "AdjustJobResources",
    "CronJob": "AdjustCronJobResources",
}
SCALE = {"Deployment": "ScaleDeployment", "StatefulSet": "ScaleStatefulSet"}
DELETE_POD = {
    "Deployment": "DeletePod",
    "ReplicaSet": "DeletePod",
    "StatefulSet": "DeleteStatefulSetPod",
    "DaemonSet": "DeleteDaemonSetPod",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One typed action worth trying. `params` are concrete: they could be executed as they stand."""

    action: str
    name: str
    description: str
    params: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As `suggestedActions` of the contract shows it."""
        return {
            "name": self.name,
            "action": self.action,
            "description": self.description,
            "params": dict(self.params),
        }

    @property
    def identity(self) -> "Attempted":
        return Attempted(self.action, tuple(sorted(self.params.items())))


@dataclass(frozen=True, slots=True)
class Attempted:
    """An action with its parameters, as an earlier attempt took it."""

    action: str
    params: tuple[tuple[str, str], ...] = ()


def unknown_parts(action: str, params: Mapping[str, Any]) -> str:
    """What is not in the table, for a message; empty when the suggestion may be passed on."""
    if action not in ACTIONS:
        return f"there is no action {action!r}"[:200]
    strange = sorted(set(params) - set(ACTIONS[action]))
    return f"{action} has no parameter {strange[0]!r}"[:200] if strange else ""
