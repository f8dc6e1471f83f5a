"""Evaluates SLOs that are due: claims them, asks their sources side by side, stores the answers in batches.

The sources are asked by threads that touch no database, a few at a time per source and within a deadline for all, so a
Prometheus that hangs keeps its own SLOs waiting and nobody else's. One that does not answer is then left alone, longer each
time. Whatever was missed meanwhile is asked for as a range as soon as the source is back: slices have fixed places in time, so
asking for one twice does not count it twice.
"""

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.db.models import Q, QuerySet

from aiops.clients.errors import ClientError
from federation import services as federation
from federation.models import Cluster
from slos import objectives
from slos.models import SLO, IndicatorSource
from slos.services import history, recording, sourcing
from slos.slices import hour_of, moment, seconds
from slos.sources import incidents, prometheus, watcher
from slos.sources.base import Answer, Question, Span
from slos.sources.incidents import Outage
from slos.windows import Window

Item = TypeVar("Item")

LEASE = timedelta(minutes=3)  # longer than a run lasts
MOST = 1_000  # SLOs per run
THREADS = 16
PER_SOURCE = 4  # questions to one source at a time
BATCH = 50  # SLOs per transaction
DEADLINE = 50.0  # seconds for asking
LATE = timedelta(minutes=5)  # samples may come late: that far back is asked again
LONGEST_HISTORY = timedelta(days=100)


@dataclass(slots=True)
class _Job:
    """One question, whom to ask, and how."""

    question: Question
    source: str  # key; empty: our own database
    address: str = ""
    ask: Callable[[], Answer] | None = None
    error: str = ""


@dataclass(slots=True)
class _Run:
    claim: uuid.UUID
    at: datetime
    outages: dict[int, list[Outage]] = field(default_factory=dict)
    done: list[SLO] = field(default_factory=list)


def evaluate_due(*, at: datetime, limit: int = MOST) -> int:
    """Evaluate what is due and what nobody else evaluates; returns how many SLOs were looked at."""
    claim = uuid.uuid4()
    return len(_evaluate(_claim(SLO.objects.due(at), claim, at, limit), claim, at))


def evaluate(*, slos: Iterable[SLO], at: datetime) -> list[SLO]:
    """Evaluate these now, due or not, those aside that somebody else evaluates at the moment; returns them as they are now."""
    claim = uuid.uuid4()
    wanted = SLO.objects.filter(pk__in=[slo.pk for slo in slos]).filter(Q(lease_until=None) | Q(lease_until__lte=at))
    return _evaluate(_claim(wanted, claim, at, MOST), claim, at)


def _claim(wanted: QuerySet[SLO], claim: uuid.UUID, at: datetime, limit: int) -> list[SLO]:
    pks = list(wanted.values_list("pk", flat=True)[:limit])
    free = Q(lease_until=None) | Q(lease_until__lte=at)
    SLO.objects.filter(free, pk__in=pks).update(claim=claim, lease_until=at + LEASE)
    return list(SLO.objects.filter(claim=claim).select_related("cluster").order_by("due_at", "pk"))


def _evaluate(slos: Sequence[SLO], claim: uuid.UUID, at: datetime) -> list[SLO]:
    if not slos:
        return []
    run = _Run(claim, at)
    only = _only_cluster()
    jobs = []
    for slo in slos:
        if complaint := objectives.complaint_about(slo):
            recording.refuse(slo, reason=complaint, claim=claim, at=at)
            run.done.append(slo)
            continue
        slo.cluster = slo.cluster or (only if slo.source != IndicatorSource.ISSUES else None)
        jobs.append(_job(slo, at))
    run.outages = _outages([job.question for job in jobs])
    _from_incidents([job for job in jobs if job.question.slo.source == IndicatorSource.ISSUES], run)
    _from_sources([job for job in jobs if job.question.slo.source != IndicatorSource.ISSUES], run)
    return run.done


def _only_cluster() -> Cluster | None:
    """With one cluster, everything is about that one."""
    clusters = list(Cluster.objects.order_by("pk")[:2])
    return clusters[0] if len(clusters) == 1 else None


# --- what to ask -----------------------------------------------------------------------------------------------------


def _job(slo: SLO, at: datetime) -> _Job:
    question = ask_for(slo, at)
    try:
        if slo.source == IndicatorSource.PROMETHEUS:
            address = prometheus.address(slo)
            client = sourcing.client(address)
            return _Job(question, sourcing.key(address), address, partial(prometheus.measure, client, question))
        if slo.source == IndicatorSource.WATCHER:
            if slo.cluster is None:
                return _Job(question, "", error="no cluster is named")
            connection = federation.connect(slo.cluster)
            name = f"cluster {slo.cluster.name}"
            return _Job(question, sourcing.key(name), name, partial(watcher.measure, connection, question))
    except ClientError as error:
        return _Job(question, "", error=error.message)
    return _Job(question, "")


def ask_for(slo: SLO, at: datetime) -> Question:
    """Which slices are missing: all of the window at first, then what came since, and the last minutes once more."""
    grid = objectives.grid(slo)
    delay = settings.AIOPS_SLO_DELAY if slo.source == IndicatorSource.PROMETHEUS else 0
    end = grid.floor(at - timedelta(seconds=delay))
    window = objectives.window(slo, moment(end))
    first = _first_missing(slo, window)
    kept = history.first_kept(end)
    recent = Span(max(kept + grid.step, _next(seconds(first), grid.step)), end, grid.step)
    older: tuple[Span, ...] = ()
    if first < moment(kept) and slo.source != IndicatorSource.WATCHER:
        begin = hour_of(seconds(first) + 1)  # hours are summed up as a whole
        older = (Span(begin + grid.width, kept, grid.width),)
    return Question(slo, grid, recent, older)


def _first_missing(slo: SLO, window: Window) -> datetime:
    """Slices that end after this are wanted."""
    # an hour more, so that the first of the hours that a look back touches is whole
    furthest = window.at - max(objectives.look_backs(slo)) - timedelta(hours=1)
    oldest = max(min(window.start, furthest), window.at - LONGEST_HISTORY)
    if slo.measured_until is None:
        # a look at a cluster is about now
        return window.at - timedelta(minutes=2) if slo.source == IndicatorSource.WATCHER else oldest
    return max(oldest, min(slo.measured_until, window.at) - LATE)


def _next(after: int, step: int) -> int:
    return (after // step + 1) * step


def _outages(questions: Sequence[Question]) -> dict[int, list[Outage]]:
    """Incidents of the services, as far back as slices are asked for."""
    found: dict[int, list[Outage]] = {}
    for of_incidents in (True, False):
        some = [one for one in questions if (one.slo.source == IndicatorSource.ISSUES) is of_incidents]
        if not some:
            continue
        starts = [
            objectives.window(one.slo, moment(one.recent.end)).start
            if of_incidents
            else moment(min(part.start for part in (*one.older, one.recent))) - timedelta(days=1)
            for one in some
        ]
        found |= incidents.find([one.slo for one in some], min(starts))
    return found


# --- asking ----------------------------------------------------------------------------------------------------------


def _from_incidents(jobs: Sequence[_Job], run: _Run) -> None:
    for some in _batches(jobs):
        answers = []
        for job in some:
            question = _with_revised(job.question, run)
            answers.append(incidents.measure(question, run.outages[question.slo.pk], run.at))
        _record(answers, run)


def _with_revised(question: Question, run: _Run) -> Question:
    """Incidents tell of their past late: an earlier beginning, an end, a chaos experiment. Measure again from there on."""
    slo = question.slo
    if slo.measured_until is None or slo.evaluated_at is None:
        return question
    seen = slo.evaluated_at
    revised = [outage.start for outage in run.outages[slo.pk] if outage.updated_at >= seen]
    gone = _vanished(question, run.outages[slo.pk])
    starts = [start for start in (*revised, gone) if start is not None and start < slo.measured_until]
    if not starts:
        return question
    slo.measured_until = min(starts)
    return ask_for(slo, run.at)


def _vanished(question: Question, outages: Sequence[Outage]) -> datetime | None:
    """Since when an incident counts no more that burned the budget before."""
    known = {outage.pk for outage in outages}
    # one that burned on a later day than the first one of the window would still be among the outages
    first_day = objectives.window(question.slo, moment(question.recent.end)).start.date()
    burned = question.slo.attributions.exclude(incident__in=known).filter(bad__gt=0, day__gt=first_day)
    return burned.order_by("incident__started_at").values_list("incident__started_at", flat=True).first()


def _from_sources(jobs: Sequence[_Job], run: _Run) -> None:
    """Ask side by side, record as answers come in."""
    wrong = [Answer(job.question, error=job.error) for job in jobs if job.error]
    for some in _batches(wrong):
        _record(some, run)
    answers: list[Answer] = []
    askable = [job for job in jobs if job.ask is not None]
    fleet = _Fleet(askable, sourcing.failing({job.source for job in askable}), time.monotonic() + DEADLINE)
    for answer in fleet.answers():
        answers.append(answer)
        if len(answers) >= BATCH:
            _record(answers, run)
            answers = []
    _record(answers, run)
    for source in fleet.sources.values():
        _leave(source, run)


def _leave(source: "_Source", run: _Run) -> None:
    """Remember how the source fared. What was not asked waits: until the source may be back, or for the next run."""
    waiting = [job.question.slo for job in source.waiting]
    retry_at = None
    if source.asked:
        retry_at = sourcing.note(key=source.key, address=source.address, error=source.error, at=run.at)
    if retry_at is None:
        _record(source.failed, run)
        SLO.objects.filter(pk__in=[slo.pk for slo in waiting], claim=run.claim).update(lease_until=None, claim=None)
        return
    left = [*(answer.question.slo for answer in source.failed), *waiting]
    name = sourcing.name_of(source.address)
    run.done += recording.postpone(left, source=name, error=source.error, claim=run.claim, due_at=retry_at, at=run.at)


@dataclass(slots=True)
class _Source:
    key: str
    address: str
    waiting: deque[_Job] = field(default_factory=deque)
    limit: int = PER_SOURCE
    running: int = 0
    asked: bool = False
    answered: bool = False
    error: str = ""
    failed: list[Answer] = field(default_factory=list)


class _Fleet:
    """All sources of a run. Each has at most `PER_SOURCE` questions under way, and no more when none is answered."""

    def __init__(self, jobs: Sequence[_Job], failing: Mapping[str, int], deadline: float) -> None:
        self._deadline = deadline
        self.sources: dict[str, _Source] = {}
        for job in jobs:
            source = self.sources.setdefault(job.source, _Source(job.source, job.address))
            source.waiting.append(job)
        for key, failures in failing.items():
            # tried with one question, so that it costs one thread and one time-out; another one each time, since it may be
            # the question and not the source that is too much
            self.sources[key].limit = 1
            self.sources[key].waiting.rotate(-failures)

    def answers(self) -> Iterator[Answer]:
        under_way: dict[Future[Answer], _Source] = {}
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="slo")
        try:
            self._submit(pool, under_way)
            while under_way:
                finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in finished:
                    source = under_way.pop(future)
                    source.running -= 1
                    answer = future.result()
                    if answer.is_away and not source.answered:
                        source.error = source.error or answer.error
                        source.failed.append(answer)
                        continue
                    if not answer.is_away:
                        source.answered, source.error, source.limit = True, "", PER_SOURCE
                    # a source that answers others is there: what it does not answer is too much for it
                    yield answer
                self._submit(pool, under_way)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, under_way: dict[Future[Answer], _Source]) -> None:
        if time.monotonic() > self._deadline:
            return
        for source in self.sources.values():
            while source.waiting and source.running < source.limit and not source.error:
                job = source.waiting.popleft()
                assert job.ask is not None
                under_way[pool.submit(job.ask)] = source
                source.running += 1
                source.asked = True


def _record(answers: Sequence[Answer], run: _Run) -> None:
    if answers:
        run.done += recording.record(answers, claim=run.claim, outages=run.outages, at=run.at)


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
