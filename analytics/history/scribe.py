"""Writes stories down as rows of the tables that the pipeline would have filled."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from aiops.api.formats import format_time
from aiops.audit.records import AuditSubject
from aiops.llm import prices
from aiops.llm.models import LLMCall
from analytics.history.ledger import Act, Ledger
from analytics.history.stories import Ask, Attempt, Story
from analytics.history.tables import Clock, Table, Value, as_json, uid
from analytics.history.world import CLUSTERS, TEAMS
from analytics.periods import moment_of
from incidents.models import AIInsight, Anomaly, Incident, PostMortem, TimelineEvent
from incidents.services.closing import BY_HAND
from incidents.states import IncidentState
from runbooks.models import ApprovalDecision, ApprovalRequest, PlanStep, RemediationPlan
from runbooks.states import ApprovalState, PlanState, StepState

Type = TimelineEvent.Type
S, P, A = IncidentState, PlanState, ApprovalState
ENGINE, WATCHER = "decision-engine", "k8s-watcher"
PREFIX = "aiops.chatcli.io"
REQUIRED = "Restore the replicas once the cause is removed"
NO_JSON, NO_LIST = "{}", "[]"
MODEL = "demo-analyst"  # wrote every eighth analysis
PRICE = prices.price_of(provider="openai", model=MODEL, on=prices.EVER)
PLAN_TEXT = {
    P.COMPLETED: "Healthy again", P.FAILED: "Not healthy after the last step", P.ROLLED_BACK: "Not healthy, rolled back",
}  # fmt: skip
ACKNOWLEDGED, RESOLVED = ("incident.acknowledge", ""), ("incident.resolve", "issue_resolved")
VERDICTS = {
    A.APPROVED: ("approval.approve", "approval_granted"), A.REJECTED: ("approval.reject", "approval_rejected"),
}  # fmt: skip
STEP_STATE = {
    P.COMPLETED: StepState.COMPLETED, P.FAILED: StepState.FAILED, P.ROLLED_BACK: StepState.COMPLETED,
    P.VERIFYING: StepState.COMPLETED, P.EXECUTING: StepState.RUNNING,
}  # fmt: skip


@dataclass(slots=True)
class Numbers:
    """What the names and keys of new rows continue: the last number of each prefix and day, the next primary keys."""

    daily: dict[tuple[str, str], int]
    incident: int
    plan: int
    approval: int

    def name(self, prefix: str, day: str) -> str:
        number = self.daily[prefix, day] = self.daily.get((prefix, day), 0) + 1
        return f"{prefix}-{day}-{number:03d}"


@dataclass(slots=True)
class Page:
    """Rows by table, as lines of PostgreSQL's COPY text format, and what the audit log has to tell."""

    lines: dict[Table, list[str]] = field(default_factory=lambda: defaultdict(list))
    acts: list[Act] = field(default_factory=list)


class Scribe:
    def __init__(
        self,
        *,
        numbers: Numbers,
        clusters: Mapping[str, int],
        runbooks: Mapping[str, int],
        ledger: Ledger,
        seed: int,
    ) -> None:
        self.numbers, self.clusters, self.runbooks, self.ledger = numbers, clusters, runbooks, ledger
        self.random = Random(seed)  # noqa: S311 - an invented past, not a secret
        self.clock = Clock()
        self.incidents = Table(Incident, with_id=True)
        self.plans = Table(RemediationPlan, with_id=True)
        self.approvals = Table(ApprovalRequest, with_id=True)
        self.events, self.anomalies, self.insights = Table(TimelineEvent), Table(Anomaly), Table(AIInsight)
        self.steps, self.words, self.postmortems = Table(PlanStep), Table(ApprovalDecision), Table(PostMortem)
        self.calls = Table(LLMCall)
        self.tables = (
            self.incidents, self.plans, self.approvals, self.events, self.anomalies, self.insights, self.steps, self.words,
            self.postmortems, self.calls, ledger.table,
        )  # fmt: skip

    def write(self, stories: Iterable[Story]) -> Page:
        page = Page()
        for story in stories:
            _Entry(self, page, story).write()
        page.lines[self.ledger.table] = self.ledger.lines(page.acts)
        return page

    def day(self, seconds: int) -> str:
        text = self.clock(seconds)
        assert text is not None
        return text[:10].replace("-", "")


class _Entry:
    """One story and the rows that tell it."""

    def __init__(self, scribe: Scribe, page: Page, story: Story) -> None:
        self.scribe, self.page, self.story = scribe, page, story
        self.at = scribe.clock
        self.pk = str(scribe.numbers.incident + story.number)
        self.name = scribe.numbers.name("INC", scribe.day(story.detected))
        self.cluster = CLUSTERS[story.workload.cluster][0]
        self.cluster_pk = str(scribe.clusters[self.cluster])
        self.events = 0

    def add(self, table: Table, **values: Value) -> None:
        self.page.lines[table].append(table.line(values))

    def event(self, at: int, kind: str, source: str, message: str, details: str = NO_JSON) -> None:
        self.events += 1
        self.add(
            self.scribe.events, incident_id=self.pk, at=self.at(at), type=kind, source=source, message=message,
            severity="", details=details,
        )  # fmt: skip

    def act(self, at: int, what: tuple[str, str], user: str, subject: tuple[AuditSubject, str], **details: str) -> None:
        """`what`: action and type of event."""
        namespace = self.story.workload.namespace
        self.page.acts.append(Act(at, *what, user, *subject, namespace, self.name, details))

    def write(self) -> None:
        story = self.story
        self.event(story.detected, Type.DETECTION, WATCHER, story.symptom.description)
        self._anomalies()
        if story.acknowledged:
            self.event(story.acknowledged, Type.ACKNOWLEDGEMENT, "api", f"Acknowledged by {story.acknowledged_by}")
            self.act(story.acknowledged, ACKNOWLEDGED, story.acknowledged_by, (AuditSubject.INCIDENT, self.name))
        if story.analyzed:
            self._insight()
        for number, attempt in enumerate(story.attempts, start=1):
            self._plan(number, attempt)
        self._ending()
        if story.postmortem:
            self._postmortem()
        self._incident()

    def _ending(self) -> None:
        story = self.story
        if story.escalated:
            self.event(story.escalated, Type.ESCALATION, ENGINE, "Escalated: a person has to decide")
        if story.state == S.CONTAINED:
            self.event(story.latest, Type.CONTAINMENT, ENGINE, f"Contained. {REQUIRED}")
        if story.state == S.RESOLVED:
            who = "api" if story.by else ENGINE
            self.event(story.resolved, Type.RESOLUTION, who, self._resolution())
            if story.by:
                subject = (AuditSubject.INCIDENT, self.name)
                self.act(story.resolved, RESOLVED, story.by, subject, resolution=BY_HAND)

    def _resolution(self) -> str:
        story = self.story
        if story.state != S.RESOLVED:
            return ""
        if story.by:
            return BY_HAND
        return f"Repaired by {story.symptom.runbook}" if story.attempts else "All signals are gone"

    def _anomalies(self) -> None:
        story, symptom = self.story, self.story.symptom
        end = story.resolved or story.latest
        cleared = self.at(story.resolved)
        by = ("resolved" if story.by else "source") if cleared else ""
        for number in range(story.signals):
            # the first one is what began; the others followed
            later = (end - story.detected) * number // (story.signals + 1)
            self.add(
                self.scribe.anomalies, incident_id=self.pk, cluster_id=self.cluster_pk, source="watcher", origin=WATCHER,
                signal_type=symptom.signal, condition=symptom.condition, fingerprint=f"{int(self.pk):056x}{number:08x}",
                namespace=story.workload.namespace, resource_kind=story.workload.kind, resource_name=story.workload.name,
                object_kind="Pod", object_name=f"{story.workload.name}-{number}", description=symptom.description,
                severity=story.severity, weight=str(story.risk), first_seen_at=self.at(story.event + later),
                last_seen_at=self.at(max(end, story.event + later)), detected_at=self.at(story.detected + later),
                count=str(1 + number), cleared_at=cleared, cleared_by=by,
            )  # fmt: skip

    def _insight(self) -> None:
        story, symptom = self.story, self.story.symptom
        moment = self.at(story.analyzed)
        by_model = story.number % 8 == 0
        self.event(story.analyzed, Type.ANALYSIS, ENGINE, f"Analysis finished: {symptom.cause}")
        self.add(
            self.scribe.insights, **self._resource(f"insight-{self.name.lower()}", story.analyzed, story.analyzed),
            incident_id=self.pk, provider="openai" if by_model else "rules", model=MODEL if by_model else "",
            analysis=symptom.cause, category=symptom.category, confidence=str(story.confidence),
            recommendations=as_json([f"Run {symptom.runbook}"]), generated_at=moment,
            suggested_actions=as_json([{"name": symptom.action, "action": symptom.action, "description": "", "params": {}}]),
        )  # fmt: skip
        if by_model:
            tokens = 900 + story.risk * 23
            cost = prices.cost(PRICE, prompt=tokens, completion=tokens // 6)
            self.add(
                self.scribe.calls, at=moment, purpose="analysis", subject=self.name, provider="openai", model=MODEL,
                prompt_tokens=str(tokens), completion_tokens=str(tokens // 6), duration_seconds=str(tokens / 400),
                outcome="accepted", cluster=self.cluster, namespace=story.workload.namespace, severity=story.severity,
                cost=str(cost), price=PRICE.version,
            )  # fmt: skip

    def _plan(self, number: int, attempt: Attempt) -> None:
        story, symptom = self.story, self.story.symptom
        numbers = self.scribe.numbers
        pk, numbers.plan = str(numbers.plan), numbers.plan + 1
        name = f"remediation-{self.name.lower()}-{number}"
        last = attempt.ended or attempt.done or attempt.started or attempt.created
        self.event(attempt.created, Type.RUNBOOK_MATCH, "runbook-engine", f"Attempt {number} with {symptom.runbook}")
        self.add(
            self.scribe.plans, id=pk, **self._resource(name, attempt.created, last), incident_id=self.pk,
            cluster_id=self.cluster_pk, runbook_id=str(self.scribe.runbooks[symptom.runbook]), runbook_name=symptom.runbook,
            attempt=str(number), strategy=f"{symptom.action} with {symptom.runbook}", state=attempt.state,
            approval_required="1" if attempt.ask else "0", target_key=story.workload.key,
            target_kind=story.workload.kind, target_name=story.workload.name, actions_digest=f"{number:064x}",
            started_at=self.at(attempt.started), actions_completed_at=self.at(attempt.done),
            completed_at=self.at(attempt.ended), result=self._result(attempt),
            rollback_performed="1" if attempt.state == P.ROLLED_BACK else "0",
        )  # fmt: skip
        state = STEP_STATE.get(P(attempt.state), StepState.PENDING) if attempt.started else StepState.PENDING
        self.add(
            self.scribe.steps, plan_id=pk, index="0", name="repair", description=symptom.runbook, action=symptom.action,
            action_type=symptom.action, state=state, key=f"{int(pk):064x}", started_at=self.at(attempt.started),
            completed_at=self.at(attempt.done),
        )  # fmt: skip
        if attempt.ask is not None:
            self._ask(pk, attempt, attempt.ask)
        if attempt.started:
            self._steps_told(name, attempt)

    @staticmethod
    def _result(attempt: Attempt) -> str:
        if attempt.ask is not None and attempt.ask.state in {A.REJECTED, A.EXPIRED}:
            return f"Approval {attempt.ask.state.lower()}"
        return PLAN_TEXT.get(P(attempt.state), "")

    def _steps_told(self, plan: str, attempt: Attempt) -> None:
        symptom = self.story.symptom
        if attempt.done:
            details = {
                "action": symptom.action, "params": {}, "result": "success", "detail": "", "runbook": symptom.runbook,
                "plan": plan,
            }  # fmt: skip
            self.event(
                attempt.done, Type.REMEDIATION_ACTION, "remediation-engine", f"{symptom.action} done", as_json(details)
            )
        if attempt.ended:
            kind = Type.ROLLBACK if attempt.state == P.ROLLED_BACK else Type.VERIFICATION
            self.event(attempt.ended, kind, "remediation-engine", PLAN_TEXT[P(attempt.state)])

    def _ask(self, plan: str, attempt: Attempt, ask: Ask) -> None:
        story, symptom = self.story, self.story.symptom
        numbers = self.scribe.numbers
        pk, numbers.approval = str(numbers.approval), numbers.approval + 1
        name = numbers.name("APR", self.scribe.day(ask.asked))
        sentence = f"{symptom.action} on {story.workload.kind}/{story.workload.name}"
        is_expired = ask.state == A.EXPIRED
        self.event(ask.asked, Type.APPROVAL_REQUIRED, "policy-engine", f"Approval needed: {sentence}")
        target = {"kind": story.workload.kind, "name": story.workload.name, "namespace": story.workload.namespace}
        self.add(
            self.scribe.approvals, id=pk, **self._resource(name, ask.asked, ask.decided or ask.asked), incident_id=self.pk,
            plan_id=plan, state=ask.state, mode="auto" if ask.is_auto else "manual", action=sentence,
            action_type=symptom.action, requested_actions=as_json([{"type": symptom.action, "params": {}}]),
            target=as_json(target), actions_digest=f"{story.number:064x}", risk_score=str(story.risk),
            severity=story.severity, confidence=str(story.confidence), timeout_minutes=str(max(1, ask.timeout_minutes)),
            runbook_name=symptom.runbook, requester="system",
            expires_at=self.at(ask.decided if is_expired else ask.asked + 60 * max(1, ask.timeout_minutes)),
            decided_at=self.at(ask.decided), decided_by=ask.by, auto_approved="1" if ask.is_auto else "0",
        )  # fmt: skip
        if not ask.decided:
            return
        self.event(
            ask.decided,
            Type.APPROVAL_DECISION,
            "policy-engine",
            f"{ask.state} {f'by {ask.by}' if ask.by else ''}".strip(),
        )
        if not is_expired and not ask.is_auto:
            self.add(
                self.scribe.words, approval_id=pk, approver=ask.by, decision=ask.state.lower(), at=self.at(ask.decided)
            )
            subject = (AuditSubject.APPROVAL, name)
            self.act(ask.decided, VERDICTS[A(ask.state)], ask.by, subject, runbook=symptom.runbook)

    def _postmortem(self) -> None:
        story, symptom = self.story, self.story.symptom
        created = story.resolved or story.latest
        reviewed = story.postmortem != "Open"
        last = created
        name = self.scribe.numbers.name("PM", self.scribe.day(created))
        self.add(
            self.scribe.postmortems, **self._resource(name, created, last), incident_id=self.pk, state=story.postmortem,
            severity=story.severity, title=f"{story.workload.kind}/{story.workload.name}: {symptom.description}",
            summary=symptom.cause, impact=symptom.description, root_cause=symptom.cause if story.analyzed else "",
            report=self._report(), complete="1" if story.resolved else "0", detected_at=self.at(story.detected),
            resolved_at=self.at(story.resolved), reviewer="casey@example.com" if reviewed else "",
            review_started_at=self.at(last if reviewed else 0),
            closed_at=self.at(last if story.postmortem == "Closed" else 0), generated_at=self.at(created),
            requires_human_action="1" if story.needs_person else "0", required_action=REQUIRED if story.needs_person else "",
        )  # fmt: skip

    def _report(self) -> str:
        story, symptom = self.story, self.story.symptom
        cause = {"description": symptom.cause, "category": symptom.category, "confidence": story.confidence}
        return as_json(
            {
                "impact": {"description": symptom.description, "slosBreached": []},
                "rootCause": cause if story.analyzed else None,
                "timeline": [], "remediationApplied": None, "actionItems": [], "lessonsLearned": [],
                "preventionActions": [], "actionsExecuted": [], "metricSnapshots": [], "blastRadius": [],
                "gitCorrelation": None, "trending": None, "gitOpsContext": None, "logAnalysisSummary": None,
                "cascadeChain": [], "sliImpact": None, "errorBudgetBurned": None, "chaosInduced": bool(story.drill),
                "chaosExperiment": story.drill or None,
            }
        )  # fmt: skip

    def _incident(self) -> None:
        story, symptom = self.story, self.story.symptom
        contained = story.state == S.CONTAINED
        self.add(
            self.scribe.incidents, id=self.pk, **self._resource(self.name, story.detected, story.latest, self._annotations()),
            cluster_id=self.cluster_pk, cluster_name=self.cluster, correlation_key=story.workload.key,
            correlation_id=f"corr-{self.name[4:].lower()}", state=story.state, severity=story.severity,
            risk_score=str(story.risk), signal_type=symptom.signal, source="watcher", detection_source=WATCHER,
            description=symptom.description, resource_kind=story.workload.kind, resource_name=story.workload.name,
            started_at=self.at(story.event), detected_at=self.at(story.detected), escalated_at=self.at(story.escalated),
            resolved_at=self.at(story.resolved), resolution=self._resolution(),
            runbook=symptom.runbook if story.attempts else "", remediation_attempts=str(len(story.attempts)),
            requires_human_action="1" if contained else "0", required_action=REQUIRED if contained else "",
            chaos_experiment=story.drill, acknowledged_at=self.at(story.acknowledged),
            acknowledged_by=story.acknowledged_by, timeline_count=str(self.events),
            assigned_to=TEAMS[story.number % len(TEAMS)] if story.acknowledged else "",
        )  # fmt: skip

    def _annotations(self) -> str:
        story = self.story
        notes: dict[str, str] = {}
        if story.acknowledged:
            notes |= {
                f"{PREFIX}/acknowledged": "true",
                f"{PREFIX}/acknowledged-at": format_time(moment_of(story.acknowledged)),
                f"{PREFIX}/acknowledged-by": "operator",
            }
        if story.by:
            notes |= {
                f"{PREFIX}/resolved-by": "operator",
                f"{PREFIX}/resolved-at": format_time(moment_of(story.resolved)),
                f"{PREFIX}/manual-resolution": "true",
            }
        return as_json(notes) if notes else NO_JSON

    def _resource(self, name: str, created: int, updated: int, annotations: str = NO_JSON) -> dict[str, Value]:
        workload = self.story.workload
        return {
            "name": name, "namespace": workload.namespace, "uid": uid(self.scribe.random), "annotations": annotations,
            "labels": f'{{"app": "{workload.name}"}}', "created_at": self.at(created), "updated_at": self.at(updated),
        }  # fmt: skip
