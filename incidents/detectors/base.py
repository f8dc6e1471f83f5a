"""The vocabulary of detection: what goes in (`Context`), what a rule says (`Signal`), what comes out (`Finding`).

Rules are generators over one raw object. They yield signals, and `Verdict.PROGRESSING` for a state that would be a fault
if it lasted. They do no I/O, own no clock and never raise on a malformed object.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from incidents.detectors.catalog import CATALOG
from incidents.detectors.fields import MAX_TEXT, Obj, metadata, text
from incidents.detectors.thresholds import DEFAULT, Thresholds
from incidents.detectors.view import ClusterView, PodTally, ResourceRef

__all__ = ["Context", "Finding", "Outcome", "ResourceRef", "Rule", "Signal", "Verdict", "conclude", "ref_of", "signal"]


class Verdict(StrEnum):
    """State of one object. Most false alarms are progressing objects called anomalous."""

    HEALTHY = "healthy"
    PROGRESSING = "progressing"
    ANOMALOUS = "anomalous"


@dataclass(frozen=True, slots=True)
class Signal:
    """One abnormal observation about one object.

    `condition` is the rule, `signal_type` the name the API shows, `weight` 0-100, `discriminator` tells equal conditions of
    one object apart (container, condition type), `event_time` is the condition's own time in the cluster.
    """

    signal_type: str
    condition: str
    severity: str
    weight: int
    reason: str
    message: str
    resource: ResourceRef
    discriminator: str = ""
    event_time: datetime | None = None
    informational: bool = False
    remediation: str = "observe"
    evidence: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may know besides the object itself; only the clock is required.

    `history` holds per pod uid the samples (time, sum of restart counts), oldest first. `unchanged_since` holds per uid
    since when the caller has seen the object's generation and counts unchanged.
    """

    now: datetime
    related: ClusterView = field(default_factory=ClusterView)
    history: Mapping[str, Sequence[tuple[datetime, int]]] = field(default_factory=dict)
    unchanged_since: Mapping[str, datetime] = field(default_factory=dict)
    thresholds: Thresholds = DEFAULT

    def held(self, since: datetime | None, grace: timedelta) -> bool:
        """Whether a fault has lasted for `grace`.

        A state without any time is taken as lasting: only objects that never saw an API server lack every timestamp, and
        who shows us such a file asks about the state as it stands.
        """
        return since is None or self.now - since >= grace

    def tally(self, workload: ResourceRef) -> PodTally | None:
        """Pod counts of a workload, None when its pods are not in the view."""
        return self.related.pods_of(workload)

    def is_recent(self, moment: datetime | None, span: timedelta) -> bool:
        """Whether `moment` is known and lies at most `span` back."""
        return moment is not None and self.now - moment < span


Outcome = Signal | Verdict
Rule = Callable[[Obj, Context], Iterator[Outcome]]


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one object and the signals behind it (a healthy one may carry informational signals)."""

    verdict: Verdict
    signals: tuple[Signal, ...] = ()


HEALTHY = Finding(Verdict.HEALTHY)
PROGRESSING = Finding(Verdict.PROGRESSING)


def conclude(outcomes: Iterable[Outcome]) -> Finding:
    """Sum up what the rules said: a real signal makes the object anomalous, else unrest makes it progressing."""
    signals: list[Signal] = []
    said: set[Verdict] = set()
    for outcome in outcomes:
        if isinstance(outcome, Verdict):
            said.add(outcome)
            continue
        signals.append(outcome)
        if not outcome.informational:
            said.add(Verdict.ANOMALOUS)
    for verdict in (Verdict.ANOMALOUS, Verdict.PROGRESSING):
        if verdict in said:
            return Finding(verdict, tuple(signals))
    return Finding(Verdict.HEALTHY, tuple(signals)) if signals else HEALTHY


def ref_of(obj: Obj) -> ResourceRef:
    meta = metadata(obj)
    return ResourceRef(text(obj.get("kind")), text(meta.get("namespace")), text(meta.get("name")))


def signal(
    condition: str,
    obj: Obj,
    *,
    reason: str,
    message: str,
    at: datetime | None = None,
    signal_type: str | None = None,
    severity: str | None = None,
    weight: int | None = None,
    discriminator: str = "",
    informational: bool | None = None,
    remediation: str | None = None,
    evidence: Mapping[str, str | int] | None = None,
) -> Signal:
    """A signal with the catalog's defaults for `condition`; texts from the cluster are bounded."""
    entry = CATALOG[condition]
    return Signal(
        signal_type=signal_type or entry.signal_type,
        condition=condition,
        severity=severity or entry.severity,
        weight=entry.weight if weight is None else weight,
        reason=reason[:256],
        message=" ".join(message[: 2 * MAX_TEXT].split())[:MAX_TEXT],
        resource=ref_of(obj),
        discriminator=discriminator[:253],
        event_time=at,
        informational=entry.informational if informational is None else informational,
        remediation=remediation or entry.remediation,
        evidence={key: fact[:MAX_TEXT] if isinstance(fact, str) else fact for key, fact in (evidence or {}).items()},
    )
