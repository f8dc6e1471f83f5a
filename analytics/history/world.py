"""The fleet that the invented past happened to, and what goes wrong in it."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256

CLUSTERS = (
    ("harbor-eu", "eu-central-1", "production", "critical"),
    ("harbor-us", "us-east-1", "production", "standard"),
    ("harbor-lab", "eu-central-1", "staging", "non-critical"),
)
NAMESPACES = (
    "checkout", "payments", "catalog", "search", "accounts", "shipping", "inventory", "media", "messaging", "reports",
)  # fmt: skip
COMPONENTS = ("api", "worker", "gateway", "cache", "store", "scheduler", "stream", "index")
STATEFUL = frozenset({"cache", "store", "index"})
ENGINEERS = ("avery", "blake", "casey", "drew", "emery", "finley")  # at example.com
TEAMS = ("platform", "storefront", "payments", "logistics")


@dataclass(frozen=True, slots=True)
class Symptom:
    """A way to break: how often, how bad (weights of critical, high, medium, low), and what mends it.

    `minutes` is the median time until an unattended repair is done.
    """

    signal: str
    condition: str
    weight: int
    severities: tuple[int, int, int, int]
    description: str
    cause: str
    category: str
    action: str
    runbook: str
    minutes: float


SYMPTOMS = (
    Symptom("crashloop_backoff", "pod_crash_loop", 22, (1, 5, 3, 1), "Container keeps crashing after its start",
            "The newest revision exits during start-up", "code-bug", "RollbackDeployment", "undo-bad-rollout", 7),
    Symptom("oom_kill", "container_oom_killed", 16, (1, 4, 4, 1), "Container was killed for its memory use",
            "Memory use grew past the limit", "capacity", "AdjustResources", "raise-memory-limit", 6),
    Symptom("pod_not_ready", "pod_not_ready", 14, (0, 3, 5, 2), "Pods do not become ready",
            "The readiness probe times out under load", "capacity", "RestartDeployment", "restart-workload", 5),
    Symptom("latency", "latency_high", 12, (1, 3, 5, 3), "Requests take longer than agreed",
            "Too few replicas for the traffic", "capacity", "ScaleDeployment", "scale-out", 9),
    Symptom("error_rate", "error_rate_high", 11, (3, 5, 2, 1), "Share of failed requests is high",
            "A dependency answers with errors", "dependency", "RestartDeployment", "restart-workload", 11),
    Symptom("image_pull_error", "image_pull_failed", 8, (0, 4, 4, 1), "Image cannot be pulled",
            "The image tag does not exist", "config", "RollbackDeployment", "undo-bad-rollout", 8),
    Symptom("cpu_high", "cpu_saturated", 7, (0, 1, 5, 4), "Processor use is close to its limit",
            "Traffic grew beyond what was planned", "capacity", "ScaleDeployment", "scale-out", 8),
    Symptom("job_failed", "job_failed", 5, (0, 1, 4, 5), "Job failed",
            "The job ran into its deadline", "config", "RetryJob", "retry-job", 12),
    Symptom("disk_pressure", "volume_almost_full", 3, (1, 4, 3, 1), "Volume is almost full",
            "Old segments are not removed", "capacity", "ResizePVC", "grow-volume", 15),
    Symptom("node_not_ready", "node_not_ready", 2, (5, 4, 1, 0), "Node does not report",
            "The kubelet stopped answering", "infrastructure", "CordonNode", "isolate-node", 18),
)  # fmt: skip
RUNBOOK_CATEGORY = {
    "undo-bad-rollout": "crashloop", "raise-memory-limit": "oomkill", "restart-workload": "custom", "scale-out": "scaling",
    "retry-job": "custom", "grow-volume": "disk", "isolate-node": "custom", "rotate-certificates": "custom",
}  # fmt: skip
FREE_RUNBOOK = "rotate-certificates"  # no plan uses it
DRILLS = ("kill-a-pod", "slow-network", "fill-a-disk")


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that people own. `cluster` counts in `CLUSTERS`."""

    cluster: int
    namespace: str
    kind: str
    name: str

    @property
    def key(self) -> str:
        """The digest that is the correlation key of its incidents and the target key of their plans."""
        return _digest(CLUSTERS[self.cluster][0], self.namespace, self.kind, self.name)


@cache
def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


def workloads() -> list[Workload]:
    """The busiest ones first: incidents follow this order roughly like 1/rank."""
    found = [
        Workload(
            cluster, namespace, "StatefulSet" if component in STATEFUL else "Deployment", f"{namespace}-{component}"
        )
        for component in COMPONENTS
        for namespace in NAMESPACES
        for cluster in range(len(CLUSTERS))
    ]
    # neighbors in the list differ in everything, so that no cluster or namespace has all the trouble
    return [found[(position * 73) % len(found)] for position in range(len(found))]
