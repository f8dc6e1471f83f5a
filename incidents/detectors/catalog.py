"""What each condition is called outside, how bad it is and who may repair it: data, not code.

Severities are the contract's (`warning` of the rule book reads `medium`, `info` reads `low`); weights run from 0 to 100.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """Defaults of a condition. `informational` ones are context for others and never an incident alone."""

    signal_type: str
    severity: str
    weight: int
    remediation: str
    informational: bool = False


def _critical(signal_type: str, weight: int, remediation: str) -> Entry:
    return Entry(signal_type, "critical", weight, remediation)


def _high(signal_type: str, weight: int, remediation: str) -> Entry:
    return Entry(signal_type, "high", weight, remediation)


def _medium(signal_type: str, weight: int, remediation: str) -> Entry:
    return Entry(signal_type, "medium", weight, remediation)


def _info(signal_type: str, weight: int, remediation: str) -> Entry:
    return Entry(signal_type, "low", weight, remediation, informational=True)


CATALOG: dict[str, Entry] = {
    # pods and containers
    "pod_crash_loop": _high("crashloop_backoff", 75, "rollback"),
    "image_pull_failure": _high("image_pull_error", 70, "fix_config"),
    "container_config_error": _high("container_config_error", 70, "fix_config"),
    "container_start_error": _high("container_start_error", 70, "fix_config"),
    "oom_killed": _high("oom_kill", 75, "raise_resources"),
    "container_terminated_error": _medium("container_terminated_error", 55, "observe"),
    "restart_storm": _medium("pod_restart", 55, "observe"),
    "init_container_failure": _high("init_container_failure", 70, "fix_config"),
    "pod_unschedulable": _medium("pod_unschedulable", 60, "scale_out"),
    "pod_scheduling_gated": _info("pod_scheduling_gated", 15, "none"),
    "pod_stuck_creating": _medium("pod_stuck_creating", 60, "fix_config"),
    "volume_mount_failure": _high("volume_mount_failure", 70, "fix_config"),
    "sandbox_create_failure": _medium("sandbox_create_failure", 60, "restart_pod"),
    "pod_failed": _medium("pod_failed", 55, "cleanup"),
    "pod_evicted": _medium("pod_evicted", 50, "cleanup"),
    "pod_preempted": _medium("pod_preempted", 45, "none"),
    "readiness_probe_failing": _medium("pod_not_ready", 55, "restart_pod"),
    "liveness_probe_failing": _medium("liveness_probe_failing", 55, "observe"),
    "pod_not_ready": _medium("pod_not_ready", 50, "observe"),
    "pod_unknown": _high("pod_unknown", 70, "restart_pod"),
    "pod_stuck_terminating": _medium("pod_stuck_terminating", 50, "observe"),
    "pod_pending_long": _medium("pod_pending_long", 45, "observe"),
    "resize_infeasible": _medium("resize_infeasible", 45, "raise_resources"),
    "missing_reference": _medium("missing_reference", 55, "fix_config"),
    "unmanaged_pod_failed": _high("pod_failed", 70, "human"),
    # workloads
    "deployment_rollout_stuck": _high("deploy_failing", 80, "rollback"),
    "replicas_unavailable": _medium("deploy_failing", 55, "observe"),
    "deployment_unavailable": _high("deploy_failing", 80, "rollback"),
    "replicaset_create_failure": _high("replicaset_create_failure", 75, "fix_config"),
    "generation_not_observed": _medium("generation_not_observed", 50, "observe"),
    "workload_zero_replicas": _info("workload_zero_replicas", 15, "none"),
    "statefulset_update_stuck": _medium("deploy_failing", 60, "rollback"),
    "daemonset_unavailable": _medium("deploy_failing", 60, "observe"),
    "daemonset_not_scheduled": _medium("daemonset_not_scheduled", 55, "observe"),
    "daemonset_misscheduled": _info("daemonset_misscheduled", 25, "cleanup"),
    # batch
    "job_failed": _medium("job_failed", 60, "rerun_job"),
    "job_deadline_exceeded": _medium("job_failed", 60, "rerun_job"),
    "job_not_completing": _medium("job_not_completing", 45, "observe"),
    "job_retrying": _info("job_retrying", 25, "observe"),
    "cronjob_last_run_failed": _medium("job_failed", 55, "rerun_job"),
    "cronjob_missed_schedule": _medium("cronjob_missed", 55, "observe"),
    "cronjob_invalid_schedule": _medium("cronjob_invalid_schedule", 50, "fix_config"),
    # autoscaling and disruption
    "hpa_unable_to_scale": _medium("hpa_unable_to_scale", 60, "fix_config"),
    "hpa_metrics_unavailable": _medium("hpa_metrics_unavailable", 60, "fix_config"),
    "hpa_maxed_out": _medium("hpa_maxed", 55, "scale_out"),
    "hpa_target_missing": _medium("hpa_target_missing", 60, "fix_config"),
    "hpa_replica_mismatch": _medium("hpa_replica_mismatch", 50, "observe"),
    "pdb_insufficient_healthy": _medium("pdb_insufficient_healthy", 55, "observe"),
    "pdb_sync_failed": _medium("pdb_sync_failed", 50, "fix_config"),
    "pdb_blocks_drain": _medium("pdb_blocks_drain", 50, "scale_out"),
    # nodes
    "node_not_ready": _high("node_not_ready", 80, "cordon"),
    "node_pressure": _medium("disk_pressure", 60, "cordon"),
    "node_network_unavailable": _high("network_unavailable", 80, "cordon"),
    "node_condition_unknown": _medium("node_condition_unknown", 55, "cordon"),
    "node_kernel_problem": _high("node_kernel_problem", 80, "cordon"),
    "node_kernel_event": _medium("node_kernel_event", 55, "cordon"),
    "node_unreachable": _critical("node_not_ready", 90, "drain"),
    "node_cordoned_long": _info("node_cordoned_long", 15, "uncordon"),
    "node_pods_near_capacity": _info("pod_capacity_high", 25, "scale_out"),
    # storage
    "pvc_pending": _medium("pvc_pending", 60, "fix_config"),
    "pvc_lost": _critical("pvc_lost", 95, "human"),
    "pv_failed": _high("pv_failed", 75, "human"),
    "volume_resize_failed": _medium("volume_resize_failed", 50, "restart_pod"),
    # network, configuration, cluster
    "service_no_endpoints": _high("service_no_endpoints", 75, "observe"),
    "loadbalancer_pending": _medium("loadbalancer_pending", 50, "fix_config"),
    "ingress_backend_missing": _medium("ingress_error", 55, "fix_config"),
    "route_backend_missing": _medium("ingress_error", 55, "fix_config"),
    "webhook_backend_down": _critical("webhook_backend_down", 90, "restart_pod"),
    "quota_exhausted": _medium("quota_exhausted", 50, "fix_config"),
    "namespace_stuck_terminating": _medium("namespace_stuck_terminating", 50, "human"),
    "apiservice_unavailable": _high("apiservice_unavailable", 70, "observe"),
    "crd_not_established": _medium("crd_not_established", 50, "fix_config"),
    "custom_resource_not_ready": _info("custom_resource_not_ready", 25, "observe"),
    "certificate_expiring": _medium("certificate_expiring", 55, "observe"),
    "certificate_not_ready": _medium("certificate_not_ready", 55, "fix_config"),
    "argocd_degraded": _medium("argocd_degraded", 55, "observe"),
    "argocd_out_of_sync": _medium("config_drift", 45, "observe"),
    "helm_release_failed": _medium("helm_release_failed", 55, "rollback"),
    "autoscaler_not_ready": _medium("autoscaler_not_ready", 55, "fix_config"),
    "machine_failed": _high("machine_failed", 70, "human"),
    "node_provisioning_failed": _high("node_provisioning_failed", 70, "human"),
}
