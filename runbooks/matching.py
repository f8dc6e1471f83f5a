"""Which runbook fits an incident, how well, and why. Pure: rows and facts in, a ranking out.

A condition that a runbook states must hold; one that it does not state restricts nothing. The score says how much the runbook
says about exactly this incident, so the more specific of two fitting runbooks wins.

* severity: the incident's is among the runbook's, and is the trigger's if that names one.
* kind and namespace: among `resourceTypes` and `namespaces` (which may hold `*`), and the trigger's `resourceKind`.
* the symptom: the trigger names a signal of the incident, and a pattern is found in the description, if there are any.
  Without either, the category stands for the signal. `custom` stands for none: such a runbook needs another restriction, or
  it would fit everything.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Generic, Protocol, TypeVar

import regex  # type: ignore[import-untyped]

BUILT_IN = "aiops/built-in"
AUTO_GENERATED = "platform.chatcli.io/auto-generated"
PATTERN_MAX = 512  # characters of a pattern
PATTERN_SECONDS = 0.1  # for one pattern; one that takes longer counts as not found
DESCRIPTION_MAX = 1024  # characters that patterns see

# what the categories stand for, in the contract's signal types
CATEGORY_SIGNALS: dict[str, frozenset[str]] = {
    "oomkill": frozenset({"oom_kill", "memory_high"}),
    "crashloop": frozenset({"crashloop_backoff", "pod_restart", "image_pull_error", "deploy_failing"}),
    "latency": frozenset({"latency", "error_rate"}),
    "scaling": frozenset({"cpu_high", "hpa_maxed", "pod_capacity_high"}),
    "disk": frozenset({"disk_pressure", "pvc_pending"}),
    "network": frozenset({"network_unavailable", "ingress_error", "certificate_expiring"}),
    "custom": frozenset(),
}

# symptoms that another signal of the same workload may explain: of these the more telling one leads, whatever came first
SYMPTOMS = frozenset(
    {
        *("crashloop_backoff", "pod_restart", "pod_not_ready", "deploy_failing", "container_terminated_error"),
        *("liveness_probe_failing", "error_rate", "latency"),
    }
)
TELLING = (
    *("oom_kill", "image_pull_error", "node_not_ready", "disk_pressure", "pvc_pending"),
    *("crashloop_backoff", "deploy_failing"),
)

# the parts of the score; the best of each together make 1
SIGNAL, OTHER_SIGNAL, CATEGORY, OTHER_CATEGORY = 0.45, 0.35, 0.25, 0.2
PATTERN, KIND, NAMESPACE, SEVERITY = 0.2, 0.15, 0.1, 0.1
ALL_SEVERITIES = 4


class Candidate(Protocol):
    """What is read of a runbook."""

    name: str
    namespace: str
    category: str
    severity: Any
    match_conditions: Any
    trigger: Any
    auto_generated: bool
    labels: Any


R = TypeVar("R", bound=Candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about an incident. `signals` are the types of all its open anomalies beside the leading one."""

    signal_type: str
    severity: str
    kind: str
    namespace: str
    description: str
    signals: frozenset[str] = frozenset()

    @property
    def leading(self) -> str:
        """The signal that says most about what is wrong."""
        if self.signal_type in SYMPTOMS:
            known = self.signals | {self.signal_type}
            return next((signal for signal in TELLING if signal in known), self.signal_type)
        return self.signal_type

    @property
    def others(self) -> frozenset[str]:
        return (self.signals | {self.signal_type}) - {self.leading}


@dataclass(frozen=True, slots=True)
class Match(Generic[R]):
    """A runbook that fits. `score` lies between 0 and 1; `reasons` say what fitted, for people."""

    runbook: R
    score: float
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """The verdict on one runbook while it is being made: `mismatch` says why it does not fit."""

    mismatch: str = ""
    points: float = 0.0
    reasons: list[str] = field(default_factory=list)

    def add(self, points: float, reason: str) -> None:
        self.points += points
        self.reasons.append(reason)


def rank(runbooks: Iterable[R], facts: Facts) -> list[Match[R]]:
    """The runbooks that fit, best first. Ties: made by people, then built in, then generated; then by name."""
    matches = []
    for runbook in runbooks:
        tally = judge(runbook, facts)
        if not tally.mismatch:
            matches.append(Match(runbook, round(min(tally.points, 1.0), 2), tuple(tally.reasons)))
    return sorted(matches, key=lambda match: (-match.score, _origin(match.runbook), match.runbook.name))


def best(runbooks: Iterable[R], facts: Facts) -> Match[R] | None:
    """The first of `rank`."""
    return next(iter(rank(runbooks, facts)), None)


def judge(runbook: Candidate, facts: Facts) -> Tally:
    """Whether and how well one runbook fits; for explanations also of those that do not."""
    tally = Tally()
    for condition in CONDITIONS:
        condition(runbook, facts, tally)
        if tally.mismatch:
            break
    return tally


def _origin(runbook: Candidate) -> int:
    if runbook.auto_generated:
        return 2
    return 1 if runbook.labels.get(BUILT_IN) == "true" else 0


# --- conditions, the cheap ones first ----------------------------------------------------------------------------------------


def _severity(runbook: Candidate, facts: Facts, tally: Tally) -> None:
    wanted = _trigger(runbook, "severity")
    if wanted and wanted != facts.severity:
        tally.mismatch = f"it is triggered by severity {wanted}, not {facts.severity}"
    elif runbook.severity and facts.severity not in runbook.severity:
        tally.mismatch = f"it is not meant for severity {facts.severity}"
    elif wanted or 0 < len(runbook.severity) < ALL_SEVERITIES:
        tally.add(SEVERITY, f"severity {facts.severity}")


def _kind(runbook: Candidate, facts: Facts, tally: Tally) -> None:
    kinds = {kind.lower() for kind in _conditions(runbook, "resourceTypes")}
    wanted = _trigger(runbook, "resourceKind").lower()
    kind = facts.kind.lower()
    if (kinds and kind not in kinds) or (wanted and wanted != kind):
        tally.mismatch = f"it is not meant for a {facts.kind}"
    elif kinds or wanted:
        tally.add(KIND, f"kind {facts.kind}")


def _namespace(runbook: Candidate, facts: Facts, tally: Tally) -> None:
    namespaces = _conditions(runbook, "namespaces")
    if namespaces and not any(fnmatchcase(facts.namespace, pattern) for pattern in namespaces):
        tally.mismatch = f"it is not meant for namespace {facts.namespace}"
    elif namespaces:
        tally.add(NAMESPACE, f"namespace {facts.namespace}")


def _signal(runbook: Candidate, facts: Facts, tally: Tally) -> None:
    wanted = _trigger(runbook, "signalType")
    if wanted:
        if wanted == facts.leading:
            tally.add(SIGNAL, f"signal {wanted}")
        elif wanted in facts.others:
            tally.add(OTHER_SIGNAL, f"signal {wanted} beside {facts.leading}")
        else:
            tally.mismatch = f"it is triggered by {wanted}, not by {facts.leading}"
        return
    meant = CATEGORY_SIGNALS.get(runbook.category, frozenset())
    if facts.leading in meant:
        tally.add(CATEGORY, f"category {runbook.category} stands for {facts.leading}")
    elif meant & facts.others:
        tally.add(OTHER_CATEGORY, f"category {runbook.category} stands for {min(meant & facts.others)}")
    elif _conditions(runbook, "descriptionPatterns"):
        return  # the patterns decide
    elif runbook.category != "custom":
        tally.mismatch = f"category {runbook.category} does not stand for {facts.leading}"
    elif not (_conditions(runbook, "resourceTypes") or _conditions(runbook, "namespaces") or runbook.trigger):
        tally.mismatch = "it has no condition, so it is only started by people"


def _description(runbook: Candidate, facts: Facts, tally: Tally) -> None:
    patterns = _conditions(runbook, "descriptionPatterns")
    if not patterns:
        return
    found = next((pattern for pattern in patterns if found_in(pattern, facts.description)), None)
    if found is None:
        tally.mismatch = "none of its patterns is found in the description"
    else:
        tally.add(PATTERN, f"pattern {found!r}")


CONDITIONS: tuple[Callable[[Candidate, Facts, Tally], None], ...] = (
    _severity,
    _kind,
    _namespace,
    _signal,
    _description,
)


def found_in(pattern: str, text: str) -> bool:
    """Whether `pattern` is found. Backtracking is cut off in time: a pattern of an operator must not stop a worker."""
    try:
        return regex.search(pattern, text[:DESCRIPTION_MAX], timeout=PATTERN_SECONDS) is not None
    except (TimeoutError, regex.error):
        return False


def complaint_about(pattern: str) -> str:
    """Why `pattern` is no regular expression; empty when it is one."""
    try:
        regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return ""


def _conditions(runbook: Candidate, name: str) -> list[str]:
    return (runbook.match_conditions or {}).get(name) or []


def _trigger(runbook: Candidate, name: str) -> str:
    return (runbook.trigger or {}).get(name) or ""
