"""How bad it is: weights of signals, the risk score of an incident and the severity that follows. Pure.

The weights are data, so that an operator can read them: domain/incidents.md §2.3 with its three corrected values.
"""

from collections.abc import Iterable
from typing import NamedTuple

from incidents.states import SEVERITY_RANK, Severity, Source

WEIGHTS = {
    "oom_kill": 40,
    "node_not_ready": 35,
    "crashloop_backoff": 30,
    "error_rate": 30,
    "deploy_failing": 25,
    "image_pull_error": 25,
    "pod_restart": 25,
    "latency": 20,
    "pod_not_ready": 20,
    "cpu_high": 15,
    "memory_high": 15,
    "argocd_degraded": 10,
    "certificate_expiring": 10,
    "config_drift": 10,
    "cronjob_missed": 10,
    "disk_pressure": 10,
    "helm_release_failed": 10,
    "hpa_maxed": 10,
    "ingress_error": 10,
    "job_failed": 10,
    "network_unavailable": 10,
    "pid_pressure": 10,
    "pod_capacity_high": 10,
    "pvc_pending": 10,
}
# signals outside the table weigh what their origin thinks of them
WEIGHT_OF_SEVERITY = {Severity.CRITICAL: 40, Severity.HIGH: 30, Severity.MEDIUM: 20, Severity.LOW: 10}
UNKNOWN_WEIGHT = 10
THRESHOLDS = ((80, Severity.CRITICAL), (60, Severity.HIGH), (30, Severity.MEDIUM))
ALWAYS_CRITICAL = frozenset({"oom_kill"})
MAXIMUM = 100


class Graded(NamedTuple):
    """A signal of an incident, with the severity it has for itself."""

    signal_type: str
    severity: str
    source: str


def weight_of(signal_type: str, severity: str | None = None) -> int:
    known = WEIGHTS.get(signal_type)
    if known is not None:
        return known
    return WEIGHT_OF_SEVERITY[Severity(severity)] if severity else UNKNOWN_WEIGHT


def score(signals: Iterable[Graded]) -> int:
    """0 to 100: the sum of the weights of the distinct signals, open or seen before in the same incident."""
    weights: dict[str, int] = {}
    for signal in signals:
        weight = weight_of(signal.signal_type, signal.severity)
        weights[signal.signal_type] = max(weight, weights.get(signal.signal_type, 0))
    return min(MAXIMUM, sum(weights.values()))


def severity_of(signal_type: str) -> Severity:
    """What one signal is worth when nobody graded it."""
    return by_score({signal_type}, weight_of(signal_type))


def by_score(signal_types: Iterable[str], risk: int) -> Severity:
    if not ALWAYS_CRITICAL.isdisjoint(signal_types):
        return Severity.CRITICAL
    return next((severity for least, severity in THRESHOLDS if risk >= least), Severity.LOW)


def severity(signals: Iterable[Graded], risk: int) -> Severity:
    """The highest of what the origins say and what the score says.

    A lone alert is as bad as its sender says (X2.2): the score speaks only when signals add up or when we looked ourselves.
    """
    known = set(signals)
    grades = [Severity(signal.severity) for signal in known]
    types = {signal.signal_type for signal in known}
    if len(types) > 1 or any(signal.source == Source.WATCHER for signal in known):
        grades.append(by_score(types, risk))
    return highest(*grades)


def highest(*severities: str) -> Severity:
    return Severity(max(severities, key=SEVERITY_RANK.__getitem__, default=Severity.LOW))


def is_utmost(risk: int, severity: str) -> bool:
    """Whether no further signal makes it worse."""
    return risk >= MAXIMUM and severity == Severity.CRITICAL


def is_worse(severity: str, than: str) -> bool:
    return SEVERITY_RANK[severity] > SEVERITY_RANK[than]
