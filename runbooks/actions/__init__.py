"""The typed actions: the only ways in which the platform changes a cluster. One registry; no shell."""

from collections.abc import Mapping

from runbooks.actions.base import (
    Action,
    ActionRefused,
    Call,
    Change,
    Effect,
    NothingToChange,
    Outcome,
    Preview,
    Risk,
    Target,
)
from runbooks.actions.deployments import RestartDeployment, RollbackDeployment, ScaleDeployment
from runbooks.actions.jobs import RetryJob
from runbooks.actions.metadata import Annotate, Label
from runbooks.actions.nodes import CordonNode, UncordonNode
from runbooks.actions.pods import DeleteDaemonSetPod, DeletePod, DeleteStatefulSetPod
from runbooks.actions.resources import AdjustDaemonSetResources, AdjustResources, AdjustStatefulSetResources
from runbooks.actions.switches import AdjustHPA, ResumeCronJob, ResumeJob, SuspendCronJob, SuspendJob
from runbooks.actions.workloads import (
    RestartDaemonSet,
    RestartStatefulSet,
    RollbackDaemonSet,
    RollbackStatefulSet,
    ScaleStatefulSet,
)

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        ScaleDeployment(),
        RestartDeployment(),
        RollbackDeployment(),
        AdjustResources(),
        DeletePod(),
        CordonNode(),
        UncordonNode(),
        RetryJob(),
        ScaleStatefulSet(),
        RestartStatefulSet(),
        RestartDaemonSet(),
        RollbackStatefulSet(),
        RollbackDaemonSet(),
        AdjustStatefulSetResources(),
        AdjustDaemonSetResources(),
        DeleteStatefulSetPod(),
        DeleteDaemonSetPod(),
        AdjustHPA(),
        SuspendJob(),
        ResumeJob(),
        SuspendCronJob(),
        ResumeCronJob(),
        Annotate(),
        Label(),
    )
}

# the names of the contract (§1.19) that a runbook may hold though no executor exists yet; a plan with one of them fails
LATER = """
    PatchConfig HelmRollback ArgoSyncApp RestartStatefulSetPod DrainNode ResizePVC RotateSecret ExecDiagnostic
    UpdateIngress PatchNetworkPolicy ApplyManifest
    ForceDeleteStatefulSetPod UpdateStatefulSetStrategy
    RecreateStatefulSetPVC PartitionStatefulSetUpdate
    UpdateDaemonSetStrategy PauseDaemonSetRollout
    CordonAndDeleteDaemonSetPod
    AdjustJobResources DeleteFailedJob AdjustJobParallelism AdjustJobDeadline AdjustJobBackoffLimit
    ForceDeleteJobPods
    TriggerCronJob AdjustCronJobResources AdjustCronJobSchedule AdjustCronJobDeadline
    AdjustCronJobHistory AdjustCronJobConcurrency DeleteCronJobActiveJobs ReplaceCronJobTemplate
    Custom
"""
NAMES_ONLY = frozenset(LATER.split())
ACTION_TYPES = frozenset(ACTIONS) - {"Annotate", "Label"} | NAMES_ONLY


NODE_ACTIONS = frozenset({"CordonNode", "UncordonNode", "DrainNode", "CordonAndDeleteDaemonSetPod"})


def validate(action_type: str, params: Mapping[str, str]) -> dict[str, list[str]]:
    """Complaints per parameter. A type that has no executor takes any parameters."""
    action = ACTIONS.get(action_type)
    return action.validate(params) if action else {}


__all__ = [
    "ACTIONS",
    "ACTION_TYPES",
    "NODE_ACTIONS",
    "Action",
    "ActionRefused",
    "Call",
    "Change",
    "Effect",
    "NothingToChange",
    "Outcome",
    "Preview",
    "Risk",
    "Target",
    "validate",
]
