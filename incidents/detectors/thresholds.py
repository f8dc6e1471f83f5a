"""How long a condition must hold before it is raised: one place, so an installation or a demo can shorten it."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Grace periods and limits of every rule. A `timedelta` counts from the condition's own time in the cluster."""

    # pods and containers
    image_pull: timedelta = 2 * MINUTE
    image_pull_transient: timedelta = 6 * MINUTE
    container_config: timedelta = MINUTE
    container_ended: timedelta = MINUTE / 2
    oom_recent: timedelta = HOUR
    restart_storm_short: timedelta = 10 * MINUTE
    restart_storm_short_count: int = 3
    restart_storm_long: timedelta = HOUR
    restart_storm_long_count: int = 5
    init_running: timedelta = 10 * MINUTE
    unschedulable: timedelta = MINUTE
    unschedulable_autoscaled: timedelta = 5 * MINUTE
    scale_up: timedelta = 10 * MINUTE
    scheduling_gated: timedelta = HOUR
    creating_with_warning: timedelta = 2 * MINUTE
    creating: timedelta = 15 * MINUTE
    readiness: timedelta = 2 * MINUTE
    liveness_window: timedelta = 10 * MINUTE
    liveness_count: int = 2
    pod_not_ready: timedelta = 15 * MINUTE
    pod_unknown: timedelta = 5 * MINUTE
    terminating: timedelta = 5 * MINUTE
    pod_pending: timedelta = 15 * MINUTE
    resize_deferred: timedelta = 30 * MINUTE
    event_age: timedelta = HOUR
    missing_reference: timedelta = 2 * MINUTE
    # workloads
    replicas_unavailable: timedelta = 15 * MINUTE
    no_replica_available: timedelta = 5 * MINUTE
    deployment_unavailable: timedelta = 5 * MINUTE
    replica_failure: timedelta = MINUTE
    generation_not_observed: timedelta = 15 * MINUTE
    statefulset_update: timedelta = 15 * MINUTE
    daemonset_unavailable: timedelta = 15 * MINUTE
    daemonset_not_scheduled: timedelta = 10 * MINUTE
    # batch
    job_runtime: timedelta = 12 * HOUR
    cronjob_start: timedelta = 5 * MINUTE
    # autoscaling and disruption
    hpa_unable: timedelta = 5 * MINUTE
    hpa_metrics: timedelta = 10 * MINUTE
    hpa_maxed: timedelta = 15 * MINUTE
    hpa_target: timedelta = 2 * MINUTE
    hpa_mismatch: timedelta = 15 * MINUTE
    pdb_unhealthy: timedelta = 15 * MINUTE
    pdb_sync: timedelta = 5 * MINUTE
    pdb_drain: timedelta = 15 * MINUTE
    # nodes
    node_unknown: timedelta = MINUTE
    node_not_ready: timedelta = 5 * MINUTE
    node_new: timedelta = 5 * MINUTE
    node_pressure: timedelta = 2 * MINUTE
    node_network: timedelta = 2 * MINUTE
    node_unreachable: timedelta = 5 * MINUTE
    node_cordoned: timedelta = DAY
    node_pod_share: float = 0.95
    # storage
    pvc_pending: timedelta = 5 * MINUTE
    volume_resize: timedelta = 30 * MINUTE
    # network, configuration, cluster
    service_endpoints: timedelta = 5 * MINUTE
    load_balancer: timedelta = 10 * MINUTE
    ingress_backend: timedelta = 5 * MINUTE
    route_backend: timedelta = 5 * MINUTE
    webhook_backend: timedelta = 2 * MINUTE
    quota: timedelta = 15 * MINUTE
    namespace_terminating: timedelta = 15 * MINUTE
    api_service: timedelta = 10 * MINUTE
    crd: timedelta = 5 * MINUTE
    custom_resource: timedelta = 15 * MINUTE
    certificate_warning: timedelta = 7 * DAY
    certificate_critical: timedelta = DAY
    argo_out_of_sync: timedelta = HOUR

    def scaled(self, percent: int) -> "Thresholds":
        """Grace periods shortened or stretched to `percent` of these. Spans that rules look back over stay as they are."""
        grace: dict[str, Any] = {
            name: value * percent / 100
            for name, value in ((item.name, getattr(self, item.name)) for item in fields(self))
            if isinstance(value, timedelta) and name not in _SPANS
        }
        return replace(self, **grace)


# how far back a rule looks, how near an end is, how long Kubernetes itself takes: no grace period
_SPANS = frozenset(
    {
        "container_ended",
        "oom_recent",
        "restart_storm_short",
        "restart_storm_long",
        "scale_up",
        "liveness_window",
        "event_age",
        "job_runtime",
        "node_cordoned",
        "certificate_warning",
        "certificate_critical",
    }
)
DEFAULT = Thresholds()
