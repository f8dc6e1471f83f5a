"""What happened, one incident after the other: when it began, who did what, how it ended. Times are seconds since 1970."""

from bisect import bisect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import exp
from random import Random

from analytics.history.world import CLUSTERS, DRILLS, ENGINEERS, SYMPTOMS, Symptom, Workload, workloads
from analytics.periods import DAY, HOUR, WEEK
from incidents.states import IncidentState, PostMortemState, Severity
from runbooks.states import ApprovalState, PlanState

S, P, A = IncidentState, PlanState, ApprovalState
SEVERITIES = tuple(Severity.values)  # worst first
NODE = "node_not_ready"
OPEN_SHARE = 0.02
OPEN_LEAST, OPEN_MOST = 14, 200
# traffic and changes, by hour
DAY_SHAPE = (2, 2, 1, 1, 1, 2, 3, 5, 8, 11, 13, 14, 12, 12, 14, 15, 14, 12, 9, 7, 6, 5, 4, 3)  # fmt: skip
WEEKEND = 0.45
BURST_CHANCE, BURST = 0.012, 9.0  # of an hour; how much busier it is
# every open state, and every state of a plan that is still on its way; the newest incident first
OPEN_CYCLE: tuple[tuple[str, str | None], ...] = (
    (S.DETECTED, None), (S.ANALYZING, None), (S.REMEDIATING, P.PENDING), (S.REMEDIATING, P.WAITING_APPROVAL),
    (S.REMEDIATING, P.EXECUTING), (S.REMEDIATING, P.VERIFYING), (S.REMEDIATING, P.WAITING_APPROVAL),
    (S.ESCALATED, P.FAILED), (S.CONTAINED, P.ROLLED_BACK), (S.FAILED, P.FAILED), (S.ESCALATED, P.ROLLED_BACK),
    (S.CONTAINED, P.FAILED), (S.ESCALATED, None), (S.FAILED, P.ROLLED_BACK),
)  # fmt: skip

# the first incidents end in every way there is, however few are told
FIRST_ENDINGS = (0.05, 0.12, 0.2, 0.5, 0.8, 0.88, 0.91, 0.94, 0.955, 0.97, 0.99)
FIRST_REPORTS = (PostMortemState.CLOSED, PostMortemState.IN_REVIEW, PostMortemState.OPEN)
FIRST_DRILLS = frozenset({3, 9})


@dataclass(slots=True)
class Ask:
    """A request for approval. `decided` is 0 while nobody did."""

    state: str
    asked: int
    decided: int = 0
    by: str = ""
    is_auto: bool = False
    timeout_minutes: int = 60


@dataclass(slots=True)
class Attempt:
    state: str
    created: int
    started: int = 0
    done: int = 0  # the last action
    ended: int = 0
    ask: Ask | None = None


@dataclass(slots=True)
class Story:
    number: int
    workload: Workload
    symptom: Symptom
    severity: str
    risk: int
    event: int
    detected: int
    state: str = S.RESOLVED
    resolved: int = 0
    by: str = ""  # who resolved it by hand
    acknowledged: int = 0
    acknowledged_by: str = ""
    escalated: int = 0
    analyzed: int = 0
    confidence: float = 0.0
    drill: str = ""
    signals: int = 1
    attempts: list[Attempt] = field(default_factory=list)
    postmortem: str = ""  # its state; empty: none
    needs_person: bool = False

    @property
    def latest(self) -> int:
        """The last thing that happened."""
        ends = [attempt.ended or attempt.done or attempt.started or attempt.created for attempt in self.attempts]
        return max(self.resolved, self.acknowledged, self.escalated, self.analyzed, self.detected, *ends, 0)


class Storyteller:
    """Tells `count` incidents of the time from `since` to `until`, in the order of their detection.

    `taken`: keys of workloads that have an open incident already, so that theirs are all over.
    """

    def __init__(self, *, count: int, since: int, until: int, seed: int, taken: Collection[str] = ()) -> None:
        self.count, self.since, self.until = count, since, until
        self.random = Random(seed)  # noqa: S311 - an invented past, not a secret
        self.waiting = 0
        self.taken = frozenset(taken)
        self.workloads = workloads()
        self.busy = list(accumulate(1 / (rank + 4) for rank in range(len(self.workloads))))
        self.common = list(accumulate(symptom.weight for symptom in SYMPTOMS))
        self.graves = [list(accumulate(symptom.severities)) for symptom in SYMPTOMS]

    def tell(self) -> Iterator[Story]:
        times = self._detections()
        things = [self._pick(self.busy) for _ in times]
        still_open = self._still_open(things)
        for number, (detected, thing) in enumerate(zip(times, things, strict=True)):
            ending = still_open.get(number)
            story = self._begin(number, detected, self.workloads[thing], is_over=ending is None)
            if ending is None:
                self._resolve(story)
            else:
                self._leave_open(story, *ending)
            yield story

    def _pick(self, cumulated: Sequence[float]) -> int:
        return bisect(cumulated, self.random.random() * cumulated[-1])

    def _detections(self) -> list[int]:
        """Times with the shape of days and weeks, and with bursts."""
        random = self.random
        hours = range(self.since // HOUR, -(-self.until // HOUR))
        weights = []
        for hour in hours:
            day = (hour + 72) % WEEK // DAY  # Monday is 0
            weight = DAY_SHAPE[hour % DAY] * (WEEKEND if day >= 5 else 1.0) * exp(random.gauss(0, 0.25))
            weights.append(weight * (BURST if random.random() < BURST_CHANCE else 1.0))
        chosen = random.choices(hours, cum_weights=list(accumulate(weights)), k=self.count)
        latest = self.until - 60
        return sorted(max(self.since + 600, min(hour * HOUR + random.randrange(HOUR), latest)) for hour in chosen)

    def _still_open(self, things: list[int]) -> dict[int, tuple[str, str | None]]:
        """The newest incidents of different workloads are not over: number -> (state, state of the plan)."""
        wanted = min(OPEN_MOST, max(OPEN_LEAST, int(self.count * OPEN_SHARE)), self.count)
        found: dict[int, tuple[str, str | None]] = {}
        seen = {rank for rank, workload in enumerate(self.workloads) if workload.key in self.taken}
        for number in range(self.count - 1, -1, -1):
            if len(found) == wanted:
                break
            if things[number] not in seen:
                seen.add(things[number])
                found[number] = OPEN_CYCLE[len(found) % len(OPEN_CYCLE)]
        return found

    def _begin(self, number: int, detected: int, workload: Workload, *, is_over: bool) -> Story:
        random = self.random
        kind = self._pick(self.common)
        if not is_over and SYMPTOMS[kind].signal == NODE:
            kind = 0  # a workload has one open incident at most; nodes are not told apart that well
        symptom = SYMPTOMS[kind]
        if symptom.signal == NODE:
            workload = Workload(
                workload.cluster, "default", "Node", f"{CLUSTERS[workload.cluster][0]}-node-{number % 24:02d}"
            )
        rank = self._pick(self.graves[kind])
        delay = min(3_000, int(random.lognormvariate(3.4, 0.9)))
        story = Story(
            number=number,
            workload=workload,
            symptom=symptom,
            severity=SEVERITIES[rank],
            risk=max(5, min(100, int(random.gauss((88, 68, 45, 22)[rank], 7)))),
            event=max(self.since, detected - delay),
            detected=detected,
            signals=1 + min(5, int(random.expovariate(1.4))),
        )
        if random.random() < 0.025 or number in FIRST_DRILLS:
            story.drill = DRILLS[number % len(DRILLS)]
        return story

    # --- endings --------------------------------------------------------------------------------------------------------

    def _resolve(self, story: Story) -> None:
        """Choose how it ended. Whatever would lie in the future ends a little earlier."""
        luck = self.random.random()
        if story.number < len(FIRST_ENDINGS):
            luck = FIRST_ENDINGS[story.number]
        if luck < 0.14:
            if luck < 0.10:
                self._analyze(story)
            story.resolved = story.latest + self._span(4)
        elif luck < 0.24:
            self._analyze(story)
            self._by_person(story, story.analyzed + self._span(25))
        elif luck < 0.70:
            self._analyze(story)
            self._repair(story, is_asked=False)
        elif luck < 0.86:
            self._analyze(story)
            self._repair(story, is_asked=True)
        elif luck < 0.93:
            self._analyze(story)
            self._fail_attempt(story)
            self._repair(story, is_asked=luck < 0.89)
        else:
            self._analyze(story)
            self._give_up(story, luck)
        if self.random.random() < {"critical": 0.8, "high": 0.45}.get(story.severity, 0.15):
            self._acknowledge(story, before=story.resolved)
        self._hurry(story)
        self._report(story)

    def _span(self, minutes: float) -> int:
        """Seconds around a median, with a long tail."""
        return max(5, int(60 * minutes * self.random.lognormvariate(0, 0.7)))

    def _analyze(self, story: Story) -> None:
        story.analyzed = story.detected + self._span(0.6)
        story.confidence = round(0.5 + 0.45 * self.random.random(), 2)

    def _acknowledge(self, story: Story, *, before: int) -> None:
        at = story.detected + self._span(4)
        if at < before:
            story.acknowledged, story.acknowledged_by = at, self._engineer()

    def _engineer(self) -> str:
        return f"{ENGINEERS[self.random.randrange(len(ENGINEERS))]}@example.com"

    def _by_person(self, story: Story, at: int) -> None:
        story.resolved, story.by = at, self._engineer()

    def _attempt(self, story: Story, state: str, *, is_asked: bool) -> Attempt:
        created = max(story.latest, story.analyzed) + 1
        attempt = Attempt(state, created)
        start = created + 1
        if is_asked:
            is_auto = self.random.random() < 0.2
            start = created + (1 if is_auto else self._span(6))
            by = "policy" if is_auto else self._engineer()
            attempt.ask = Ask(A.APPROVED, created, start, by, is_auto)
        attempt.started = start
        attempt.done = start + self._span(story.symptom.minutes * 0.35)
        attempt.ended = attempt.done + self._span(story.symptom.minutes * 0.4)
        story.attempts.append(attempt)
        return attempt

    def _repair(self, story: Story, *, is_asked: bool) -> None:
        story.resolved = self._attempt(story, P.COMPLETED, is_asked=is_asked).ended

    def _fail_attempt(self, story: Story) -> Attempt:
        state = P.ROLLED_BACK if self.random.random() < 0.5 else P.FAILED
        return self._attempt(story, state, is_asked=self.random.random() < 0.2)

    def _give_up(self, story: Story, luck: float) -> None:
        """Refused, expired or failed; a person ends it."""
        if luck < 0.96:
            created = story.latest + 1
            rejected = luck < 0.945
            decided = created + (self._span(8) if rejected else 3_600)
            by = self._engineer() if rejected else ""
            ask = Ask(A.REJECTED if rejected else A.EXPIRED, created, decided, by)
            story.attempts.append(Attempt(P.FAILED, created, 0, 0, decided, ask))
        else:
            self._fail_attempt(story)
        story.escalated = story.latest + 1
        story.needs_person = luck > 0.985
        self._by_person(story, story.escalated + self._span(30))

    def _hurry(self, story: Story) -> None:
        """Squeeze what would end in the future into the time that is left."""
        latest = self.until - 1
        if story.latest <= latest:
            return
        share = (latest - story.detected) / (story.latest - story.detected)

        def squeezed(at: int) -> int:
            return story.detected + int((at - story.detected) * share) if at else 0

        story.resolved, story.acknowledged = squeezed(story.resolved), squeezed(story.acknowledged)
        story.escalated, story.analyzed = squeezed(story.escalated), squeezed(story.analyzed)
        for attempt in story.attempts:
            attempt.created, attempt.started = squeezed(attempt.created), squeezed(attempt.started)
            attempt.done, attempt.ended = squeezed(attempt.done), squeezed(attempt.ended)
            if attempt.ask is not None:
                attempt.ask.asked, attempt.ask.decided = squeezed(attempt.ask.asked), squeezed(attempt.ask.decided)

    def _report(self, story: Story) -> None:
        """The postmortem: old ones are mostly closed."""
        age_days = (self.until - story.resolved) / 86_400
        luck = self.random.random()
        if story.number < len(FIRST_REPORTS):
            story.postmortem = FIRST_REPORTS[story.number]
        elif luck < 0.06:
            story.postmortem = PostMortemState.IN_REVIEW
        elif luck < 0.12 + (0.75 if age_days > 3 else 0.0):
            story.postmortem = PostMortemState.CLOSED
        else:
            story.postmortem = PostMortemState.OPEN

    def _leave_open(self, story: Story, state: str, plan: str | None) -> None:
        """Tell it up to now."""
        story.state = state
        if state == S.DETECTED:
            return
        self._analyze(story)
        if plan in {P.FAILED, P.ROLLED_BACK}:
            self._attempt(story, plan, is_asked=False)
        elif plan is not None:
            self._wait(story, plan)
        if state in {S.ESCALATED, S.FAILED, S.CONTAINED}:
            story.escalated = story.latest + 1 if state == S.ESCALATED else 0
        if state == S.CONTAINED:
            story.postmortem, story.needs_person = PostMortemState.OPEN, True
        if self.random.random() < 0.3:
            self._acknowledge(story, before=self.until)
        self._hurry(story)

    def _wait(self, story: Story, plan: str) -> None:
        created = story.analyzed + 1
        attempt = Attempt(plan, created)
        if plan == P.WAITING_APPROVAL:
            # every other one is overdue: nobody decided within its time
            self.waiting += 1
            attempt.ask = Ask(A.PENDING, created, timeout_minutes=0 if self.waiting % 2 else DAY * 60)
        elif plan != P.PENDING:
            attempt.started = created + 1
            attempt.done = created + 20 if plan == P.VERIFYING else 0
        story.attempts.append(attempt)
