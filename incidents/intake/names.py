"""Which kind of symptom an alert is about, by its name (domain/incidents.md §2.4). Data and one fallback."""

import re

SIGNALS = {
    "ArgoCDDegraded": "argocd_degraded",
    "CPUHigh": "cpu_high",
    "CertificateExpiring": "certificate_expiring",
    "ConfigDrift": "config_drift",
    "CrashLoopBackOff": "crashloop_backoff",
    "CronJobMissed": "cronjob_missed",
    "DeploymentFailing": "deploy_failing",
    "DiskPressure": "disk_pressure",
    "ErrImagePull": "image_pull_error",
    "ErrorRate": "error_rate",
    "HPAMaxed": "hpa_maxed",
    "HPAMaxedOut": "hpa_maxed",
    "HelmReleaseFailed": "helm_release_failed",
    "HighCPU": "cpu_high",
    "HighErrorRate": "error_rate",
    "HighLatency": "latency",
    "HighMemory": "memory_high",
    "HighRestartCount": "pod_restart",
    "ImagePullBackOff": "image_pull_error",
    "ImagePullError": "image_pull_error",
    "IngressError": "ingress_error",
    "JobFailed": "job_failed",
    "Latency": "latency",
    "MemoryHigh": "memory_high",
    "MemoryPressure": "memory_high",
    "NetworkUnavailable": "network_unavailable",
    "NodeNotReady": "node_not_ready",
    "NodeUnschedulable": "node_not_ready",
    "OOMKilled": "oom_kill",
    "PIDPressure": "pid_pressure",
    "PVCPending": "pvc_pending",
    "PodCapacityHigh": "pod_capacity_high",
    "PodNotReady": "pod_not_ready",
}
LONGEST = 63
FORM = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")


def signal_type(alert_name: str) -> str:
    """The signal of a known name, else the name in snake case; always of the contract's form."""
    known = SIGNALS.get(alert_name)
    if known is not None:
        return known
    snake = _OTHER.sub("_", _HUMP.sub("_", alert_name[:256]).lower()).strip("_")
    if not snake:
        return "alert"
    if not snake[0].isalpha():
        snake = f"alert_{snake}"
    return snake[:LONGEST].rstrip("_")
