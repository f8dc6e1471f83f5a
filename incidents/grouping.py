"""Decides what each observation of a batch is: news, a repetition, an end; and which incident takes the news. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from incidents.models import Anomaly
from incidents.observations import EVENTS, Observation

STARTS_AT = "startsAt"  # evidence: when the alert began last, where that is not when it began first


class Outcome(StrEnum):
    """What became of an observation; the words of the alert receipt (X2)."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"
    DUPLICATE = "duplicate"


class Known(NamedTuple):
    """The newest anomaly that is stored under a fingerprint."""

    pk: int
    incident_id: int
    incident_name: str
    first_seen_at: datetime
    cleared_at: datetime | None
    cleared_by: str
    evidence: Mapping[str, Any]

    @property
    def is_open(self) -> bool:
        return self.cleared_at is None

    def began(self, moment: datetime | None) -> bool:
        """Whether a message about a beginning at that time was taken in already."""
        if moment is None:
            return self.is_open
        return moment == self.first_seen_at or moment.isoformat() == self.evidence.get(STARTS_AT)


@dataclass(slots=True, eq=False)
class News:
    """An observation that needs an anomaly of its own. `sightings` counts repetitions in the batch, `is_over` its end there."""

    index: int
    observation: Observation
    sightings: int = 1
    is_over: bool = False


@dataclass(slots=True)
class Batch:
    """A batch, sorted out. `outcomes` has one entry per observation; None waits for what becomes of some news."""

    outcomes: list[Outcome | None]
    news: list[News] = field(default_factory=list)
    sighted: dict[int, Known] = field(default_factory=dict)  # seen again: by key of the anomaly
    renewed: dict[int, tuple[Known, Observation]] = field(default_factory=dict)  # an alert that began anew
    ended: dict[int, Known] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)  # names of incidents
    follows: list[tuple[int, News, Outcome]] = field(
        default_factory=list
    )  # what counts so only if the news is taken in

    @property
    def keys(self) -> set[str]:
        """Correlation keys of incidents that may take the news."""
        found = {news.observation.correlation_key for news in self.news}
        return found | {key for news in self.news if (key := news.observation.parent_key)}

    @property
    def may_open(self) -> bool:
        """Whether an incident might have to be opened: information alone opens none."""
        return any(not news.observation.informational for news in self.news)

    @property
    def ended_incidents(self) -> set[int]:
        """Keys of incidents that lose an anomaly."""
        return {known.incident_id for known in self.ended.values()}


def sort_out(observations: Sequence[Observation], newest: Mapping[str, Known]) -> Batch:
    """Compare the batch, in its order, with what is stored."""
    batch = Batch(outcomes=[None] * len(observations))
    state: dict[str, Known | News] = dict(newest)
    for index, observation in enumerate(observations):
        last = state.get(observation.fingerprint)
        if isinstance(last, News):
            outcome = _after_news(batch, index, observation, last)
        elif observation.firing:
            outcome = _after_known(batch, observation, last)
        else:
            outcome = _end(batch, observation, last)
        if outcome is _NEWS:
            news = News(index, observation)
            batch.news.append(news)
            state[observation.fingerprint] = news
        elif isinstance(last, Known) and outcome is Outcome.RESOLVED:
            state[observation.fingerprint] = last._replace(cleared_at=observation.ended_at or last.first_seen_at)
        batch.outcomes[index] = outcome if isinstance(outcome, Outcome) else None
    return batch


_NEWS = object()


def _after_known(batch: Batch, observation: Observation, last: Known | None) -> object:
    """A firing observation, compared with the newest stored anomaly of its fingerprint."""
    if last is None:
        return _NEWS
    if observation.is_sighting:
        if last.is_open:
            batch.sighted[last.pk] = last
            batch.touched.add(last.incident_name)
            return Outcome.UPDATED
        return Outcome.DUPLICATE if _is_old_event(observation, last) else _NEWS
    if last.began(observation.event_time) and last.cleared_by != Anomaly.Cleared.RESOLVED:
        return Outcome.DUPLICATE
    if not last.is_open:
        return _NEWS
    batch.renewed[last.pk] = (last, observation)
    batch.touched.add(last.incident_name)
    return Outcome.UPDATED


def _is_old_event(observation: Observation, last: Known) -> bool:
    """Whether the cluster still shows an event that was dealt with before: only a newer one is news."""
    if observation.condition not in EVENTS or observation.event_time is None or last.cleared_at is None:
        return False
    return observation.event_time <= last.cleared_at


def _end(batch: Batch, observation: Observation, last: Known | None) -> Outcome:
    if last is None or not last.is_open or last.pk in batch.ended:
        return Outcome.DUPLICATE
    if observation.ended_at is not None and observation.ended_at < last.first_seen_at:
        return Outcome.DUPLICATE  # the end of an earlier time, late
    batch.ended[last.pk] = last
    batch.touched.add(last.incident_name)
    return Outcome.RESOLVED


def _after_news(batch: Batch, index: int, observation: Observation, last: News) -> object:
    """A further observation of a fingerprint that is news in this batch."""
    if not observation.firing:
        if last.is_over:
            return Outcome.DUPLICATE
        last.is_over = True
        batch.follows.append((index, last, Outcome.RESOLVED))
        return None
    if last.is_over and not (
        observation.event_time is not None and observation.event_time == last.observation.event_time
    ):
        return _NEWS
    if not observation.is_sighting and observation.event_time == last.observation.event_time:
        return Outcome.DUPLICATE
    last.sightings += 1
    batch.follows.append((index, last, Outcome.UPDATED))
    return None


# --- which incident takes it -----------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """Why a piece of news ends where it does, as a decision row says it."""

    stage: str
    rule: str
    reason: str


SAME_RESOURCE = Verdict("correlate", "same-resource", "An open incident has the same cluster, namespace and workload")
SAME_BATCH = Verdict("correlate", "same-batch", "It was seen together with the first signal of the incident")
PARENT = Verdict("absorb", "explained-by-parent", "The thing it depends on is broken, which explains it")
NEW = Verdict("open", "no-open-incident", "No open incident has the same cluster, namespace and workload")


@dataclass(slots=True)
class Placement:
    """Where the news go: correlation key -> news with the reason. A key without an open incident is one to open."""

    taken: dict[str, list[tuple[News, Verdict]]] = field(default_factory=dict)
    suppressed: list[News] = field(default_factory=list)

    def put(self, key: str, news: News, verdict: Verdict) -> None:
        self.taken.setdefault(key, []).append((news, verdict))

    def to_open(self, open_keys: Collection[str]) -> list[str]:
        """The keys that need a new incident, in the order in which they appeared."""
        return [key for key in self.taken if key not in open_keys]


def place(news: Iterable[News], open_keys: Collection[str]) -> Placement:
    """The thing's own incident first, then that of the cause, then a new one; information alone opens nothing."""
    placement = Placement()
    rest = []
    for item in news:
        own = item.observation.correlation_key
        if own in open_keys:
            placement.put(own, item, SAME_RESOURCE)
        else:
            rest.append(item)
    loud = [item for item in rest if not item.observation.informational]
    # a cause that becomes an incident in this very batch absorbs as well
    causes = {item.observation.correlation_key for item in loud if item.observation.parent_key is None} | set(open_keys)
    for item in loud:
        own, parent = item.observation.correlation_key, item.observation.parent_key
        if parent in causes and own not in causes:
            placement.put(str(parent), item, PARENT)
        else:
            placement.put(own, item, SAME_BATCH if own in placement.taken else NEW)
    for item in rest:
        if item.observation.informational:
            _place_information(placement, item, open_keys)
    return placement


def _place_information(placement: Placement, item: News, open_keys: Collection[str]) -> None:
    own, parent = item.observation.correlation_key, item.observation.parent_key
    if own in placement.taken:
        placement.put(own, item, SAME_BATCH)
    elif parent is not None and (parent in open_keys or parent in placement.taken):
        placement.put(parent, item, PARENT)
    else:
        placement.suppressed.append(item)


def finish(batch: Batch, placement: Placement, open_keys: Collection[str]) -> list[Outcome]:
    """The outcome of every observation, once the news have their places."""
    taken: set[int] = set()
    for key, members in placement.taken.items():
        for position, (news, _) in enumerate(members):
            opens = position == 0 and key not in open_keys
            batch.outcomes[news.index] = Outcome.OPENED if opens else Outcome.UPDATED
            taken.add(news.index)
    for news in placement.suppressed:
        batch.outcomes[news.index] = Outcome.SUPPRESSED
    for index, news, outcome in batch.follows:
        if news.index in taken:
            batch.outcomes[index] = outcome
        else:
            batch.outcomes[index] = Outcome.DUPLICATE if outcome is Outcome.RESOLVED else Outcome.SUPPRESSED
    return [outcome for outcome in batch.outcomes if outcome is not None]
