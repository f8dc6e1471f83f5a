"""What is counted: for each family of raw rows its time, its dimensions and its measures, as expressions over one row.

The same expressions make the roll-ups and answer what no roll-up covers, so the two cannot disagree. Measures are whole
numbers; times between two instants are differences of whole seconds, as the API shows them, and never negative (ANA-4).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    Exists,
    F,
    Func,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Greatest, Least
from django.db.models.lookups import Exact
from django.db.models.query import QuerySet

from aiops.audit.models import AuditEvent
from aiops.llm.models import LLMCall
from analytics import histograms
from analytics.models import (
    ApprovalRollup,
    AuditRollup,
    Grain,
    IncidentRollup,
    LLMRollup,
    PlanRollup,
    PostMortemRollup,
    Rollup,
    WorkloadRollup,
)
from incidents.models import AIInsight, Anomaly, Incident, PostMortem
from incidents.services.merging import MERGED_INTO
from incidents.states import IncidentState, PostMortemState
from runbooks.models import ApprovalRequest, PlanStep, RemediationPlan
from runbooks.states import ApprovalState, PlanState
from slos.models import ClockKind, ClockState, SLAClock

MANUAL = "aiops.chatcli.io/manual-resolution"  # annotation of an incident that a person resolved (INC-12)
UNKNOWN = "Unknown"  # the action of a plan without one (ANA-10)

Expression = Combinable | F | Case


class Seconds(Func):
    """A time as whole seconds since 1970, rounded down."""

    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "FLOOR(EXTRACT(EPOCH FROM %(expressions)s))::bigint"
        return super().as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "CAST(strftime('%%%%s', %(expressions)s) AS INTEGER)"
        return super().as_sql(compiler, connection, template=template, **extra)


class HourOf(Seconds):
    """The hour of a time, counted since 1970."""

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        sql, params = super().as_postgresql(compiler, connection, **extra)
        return f"({sql} / 3600)", params

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        sql, params = super().as_sqlite(compiler, connection, **extra)
        return f"({sql} / 3600)", params


def when(condition: Combinable | Q, then: Any = 1) -> Case:
    """`then` where the condition holds, else 0."""
    return Case(When(condition, then=then), default=Value(0), output_field=BigIntegerField())


def between(start: str, end: str) -> Greatest:
    """Seconds from one column to another, at least 0."""
    return Greatest(Seconds(F(end)) - Seconds(F(start)), Value(0), output_field=BigIntegerField())


def has(rows: QuerySet[Any]) -> Coalesce:
    """1 where the row has one of `rows`, else 0. PostgreSQL may answer an EXISTS by reading the whole other table; not this."""
    return Coalesce(Subquery(rows.annotate(one=Value(1)).values("one")[:1], output_field=BigIntegerField()), 0)


OVER_CLUSTERS, OVER_NAMESPACES = frozenset({"cluster"}), frozenset({"namespace"})
OVER_BOTH = OVER_CLUSTERS | OVER_NAMESPACES
OVER_SEVERITIES = frozenset({"severity"})


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds whose distribution is kept, in so many `steps` (analytics.histograms): `seconds` of the rows that fulfill `among`."""

    seconds: Expression
    among: Q
    steps: int = histograms.STEPS

    @property
    def value(self) -> Case:
        """The seconds of a row, NULL where it has none."""
        # PostgreSQL adds whole numbers up to a decimal one
        seconds = Cast(self.seconds, BigIntegerField())
        return Case(When(self.among, then=seconds), default=None, output_field=BigIntegerField())


@dataclass(frozen=True, slots=True)
class Family:
    """`summed`: sets of dimensions over which sums are kept beside the finest rows (`ALL`) of days and weeks, `summed_hourly`
    the same of hours. `latest` are measures of which the greatest counts, not the sum.
    """

    key: str
    rollup: type[Rollup]
    rows: Callable[[], QuerySet[Any]]
    time: str
    dimensions: Mapping[str, Expression]
    measures: Mapping[str, Expression]
    latest: frozenset[str] = frozenset()
    timings: Mapping[str, Timing] = field(default_factory=dict)  # by column of the roll-up
    summed: tuple[frozenset[str], ...] = (OVER_CLUSTERS, OVER_NAMESPACES, OVER_BOTH)
    summed_hourly: tuple[frozenset[str], ...] = (OVER_BOTH,)

    def kept(self, grain: int) -> tuple[frozenset[str], ...]:
        return self.summed_hourly if grain == Grain.HOUR else self.summed


# --- incidents -----------------------------------------------------------------------------------------------------------

RESOLVED = Q(state=IncidentState.RESOLVED, resolved_at__isnull=False)
NO_DRILL = Q(chaos_experiment="")
TIMED = RESOLVED & NO_DRILL
BY_HAND = Q(annotations__has_key=MANUAL)
MERGED = Q(annotations__has_key=MERGED_INTO)
PLANS = RemediationPlan.objects.filter(incident=OuterRef("pk")).order_by()
HAS_PLAN = Exists(PLANS)
HAS_COMPLETED = Exists(PLANS.filter(state=PlanState.COMPLETED))
ANALYZED = Subquery(AIInsight.objects.filter(incident=OuterRef("pk")).order_by("attempt").values("generated_at")[:1])
DECIDED = ApprovalRequest.objects.filter(
    incident=OuterRef("pk"), state__in=(ApprovalState.APPROVED, ApprovalState.REJECTED), decided_at__isnull=False
).order_by()
WAITED = Subquery(
    DECIDED.values("incident").annotate(waited=Sum(between("created_at", "decided_at"))).values("waited"),
    output_field=BigIntegerField(),
)
ANOMALIES = Coalesce(
    Subquery(
        Anomaly.objects.filter(incident=OuterRef("pk"))
        .order_by()
        .values("incident")
        .annotate(n=Count("pk"))
        .values("n")
    ),
    0,
)
PROMISED = SLAClock.objects.filter(incident=OuterRef("pk")).exclude(state=ClockState.CANCELLED).order_by()
BROKEN = PROMISED.filter(breached_at__isnull=False)
TO_DETECT, TO_RESOLVE = between("started_at", "detected_at"), between("started_at", "resolved_at")
WORKED_ON = between("detected_at", "resolved_at")
# each phase takes what the ones before left, so that the phases add up to the whole
ANALYSIS = Least(
    Greatest(Coalesce(Seconds(ANALYZED) - Seconds(F("detected_at")), 0), 0), WORKED_ON, output_field=BigIntegerField()
)
APPROVAL = Least(Coalesce(WAITED, 0), WORKED_ON - ANALYSIS, output_field=BigIntegerField())
REMEDIATION = Greatest(
    TO_RESOLVE - Least(TO_DETECT, TO_RESOLVE) - ANALYSIS - APPROVAL, 0, output_field=BigIntegerField()
)
HAS_INSIGHT = has(AIInsight.objects.filter(incident=OuterRef("pk")).order_by())
HAS_DECISION = has(DECIDED)
ANSWERED = NO_DRILL & Q(acknowledged_at__isnull=False)
TO_ANSWER = between("detected_at", "acknowledged_at")
ACTED_ON = Case(
    When(acknowledged_at__isnull=False, then=1),
    When(BY_HAND & RESOLVED, then=1),
    When(HAS_COMPLETED, then=1),
    default=0,
    output_field=BigIntegerField(),
)
# what an incident costs: a merged one is paid for by the other, a drill by nobody
CHARGED = NO_DRILL & ~MERGED
DOWN = TIMED & ~MERGED
RUNNING = NO_DRILL & ~Q(state=IncidentState.RESOLVED)
SHIFT = 8 * 3_600  # seconds that one person works on one incident at most: an acknowledged one may lie for days
HANDLED = DOWN & Q(acknowledged_at__isnull=False)
HANDLING = Least(between("acknowledged_at", "resolved_at"), Value(SHIFT), output_field=BigIntegerField())
CALLS = LLMCall.objects.filter(subject=OuterRef("name")).order_by().values("subject")


def _of_calls(total: Any) -> Coalesce:
    return Coalesce(Subquery(CALLS.annotate(found=total).values("found"), output_field=BigIntegerField()), 0)


def _automated(then: Any) -> Case:
    """`then` of an incident that a plan ended, and no person."""
    return Case(
        When(~DOWN | BY_HAND, then=0), When(HAS_COMPLETED, then=then), default=0, output_field=BigIntegerField()
    )


DOWNTIME = {
    "downtime_sum": when(DOWN, TO_RESOLVE),
    "unresolved": when(RUNNING),
    "running_since": when(RUNNING, Seconds(F("started_at"))),
}


def _incidents() -> QuerySet[Any]:
    return Incident.objects.order_by()


INCIDENTS = Family(
    key="incident",
    rollup=IncidentRollup,
    rows=_incidents,
    time="detected_at",
    dimensions={"cluster": F("cluster_name"), "namespace": F("namespace"), "severity": F("severity")},
    measures={
        "total": Value(1),
        "chaos": when(~NO_DRILL),
        **{state.value.lower(): when(Q(state=state)) for state in IncidentState},
        "auto_resolved": when(Q(state=IncidentState.RESOLVED) & ~BY_HAND),
        "self_healed": Case(
            When(~RESOLVED | BY_HAND | MERGED, then=0),
            When(HAS_COMPLETED, then=0),
            default=1,
            output_field=BigIntegerField(),
        ),
        "remediated": when(HAS_PLAN),
        "resolved_by_remediation": when(Q(state=IncidentState.RESOLVED) & HAS_PLAN),
        "acted_on": ACTED_ON,
        "attempts": F("remediation_attempts"),
        "sla_promised": has(PROMISED),
        "sla_broken": when(Exists(BROKEN)),
        **{f"{kind.value}_broken": when(Exists(BROKEN.filter(kind=kind))) for kind in ClockKind},
        "risk_sum": F("risk_score"),
        "anomalies": ANOMALIES,
        "detect_count": when(NO_DRILL),
        "detect_sum": when(NO_DRILL, TO_DETECT),
        "resolve_count": when(TIMED),
        "resolve_sum": when(TIMED, TO_RESOLVE),
        "detection_sum": when(TIMED, Least(TO_DETECT, TO_RESOLVE)),
        "analyzed_count": when(TIMED, HAS_INSIGHT),
        "analysis_sum": when(TIMED, ANALYSIS),
        "asked_count": when(TIMED, HAS_DECISION),
        "approval_sum": when(TIMED, APPROVAL),
        "acknowledge_count": when(ANSWERED),
        "acknowledge_sum": when(ANSWERED, TO_ANSWER),
        "charged": when(CHARGED),
        **DOWNTIME,
        "handled_count": when(HANDLED),
        "handled_sum": when(HANDLED, HANDLING),
        "automated_count": _automated(1),
        "automated_sum": _automated(TO_RESOLVE),
        "manual_count": when(DOWN & BY_HAND),
        "manual_sum": when(DOWN & BY_HAND, TO_RESOLVE),
        "llm_calls": _of_calls(Count("pk")),
        "llm_cost": _of_calls(Sum("cost")),
    },
    timings={
        "detect_histogram": Timing(TO_DETECT, NO_DRILL),
        "resolve_histogram": Timing(TO_RESOLVE, TIMED),
        "detection_histogram": Timing(Least(TO_DETECT, TO_RESOLVE), TIMED, histograms.COARSE),
        "analysis_histogram": Timing(ANALYSIS, TIMED & Q(Exact(HAS_INSIGHT, 1)), histograms.COARSE),
        "approval_histogram": Timing(APPROVAL, TIMED & Q(Exact(HAS_DECISION, 1)), histograms.COARSE),
        "remediation_histogram": Timing(REMEDIATION, TIMED, histograms.COARSE),
        "acknowledge_histogram": Timing(TO_ANSWER, ANSWERED, histograms.COARSE),
    },
    # the history by the hour of one cluster or namespace over 90 days: 5,000 rows instead of 25,000 or 200,000
    summed_hourly=(OVER_CLUSTERS, OVER_NAMESPACES, OVER_BOTH),
)

WORKLOADS = Family(
    key="workload",
    rollup=WorkloadRollup,
    rows=_incidents,
    time="detected_at",
    dimensions={
        **INCIDENTS.dimensions,
        "kind": F("resource_kind"),
        "name": F("resource_name"),
        "signal": F("signal_type"),
    },
    measures={
        "total": Value(1),
        "acted_on": ACTED_ON,
        "anomalies": ANOMALIES,
        "resolve_count": when(TIMED),
        "resolve_sum": when(TIMED, TO_RESOLVE),
        **DOWNTIME,
        "last": Seconds(F("detected_at")),
    },
    latest=frozenset({"last"}),
    # a ranking reads every workload of every bucket, so most are kept that a question may leave out
    summed=(
        OVER_CLUSTERS,
        OVER_SEVERITIES,
        OVER_CLUSTERS | OVER_SEVERITIES,
        OVER_SEVERITIES | {"signal"},
    ),
    summed_hourly=(),  # there are nearly as many workloads with incidents in an hour as there are incidents
)

# --- plans, approvals, postmortems -----------------------------------------------------------------------------------------

FINISHED = Q(state__in=(PlanState.COMPLETED, PlanState.FAILED, PlanState.ROLLED_BACK))
CLOCKED = FINISHED & Q(started_at__isnull=False, completed_at__isnull=False)
VERIFIED = Q(state=PlanState.COMPLETED, actions_completed_at__isnull=False, completed_at__isnull=False)
FIRST_ACTION = Subquery(
    PlanStep.objects.filter(plan=OuterRef("pk")).exclude(action_type="").order_by("index").values("action_type")[:1],
    output_field=CharField(),
)
OF_INCIDENT = {
    "cluster": F("incident__cluster_name"),
    "namespace": F("namespace"),
    "severity": F("incident__severity"),
}

PLAN_FAMILY = Family(
    key="plan",
    rollup=PlanRollup,
    rows=RemediationPlan.objects.order_by,
    time="created_at",
    dimensions={**OF_INCIDENT, "action": Coalesce(FIRST_ACTION, Value(UNKNOWN)), "runbook": F("runbook_name")},
    measures={
        "total": Value(1),
        "completed": when(Q(state=PlanState.COMPLETED)),
        "failed": when(Q(state=PlanState.FAILED)),
        "rolled_back": when(Q(state=PlanState.ROLLED_BACK)),
        "duration_count": when(CLOCKED),
        "duration_sum": when(CLOCKED, between("started_at", "completed_at")),
        "verified_count": when(VERIFIED),
        "verification_sum": when(VERIFIED, between("actions_completed_at", "completed_at")),
    },
    timings={
        "verification_histogram": Timing(between("actions_completed_at", "completed_at"), VERIFIED, histograms.COARSE)
    },
)

WORD = Q(state__in=(ApprovalState.APPROVED, ApprovalState.REJECTED), decided_at__isnull=False)
APPROVALS = Family(
    key="approval",
    rollup=ApprovalRollup,
    rows=ApprovalRequest.objects.order_by,
    time="created_at",
    dimensions=OF_INCIDENT,
    measures={
        "total": Value(1),
        "approved": when(Q(state=ApprovalState.APPROVED)),
        "auto_approved": when(Q(state=ApprovalState.APPROVED, auto_approved=True)),
        "rejected": when(Q(state=ApprovalState.REJECTED)),
        "expired": when(Q(state=ApprovalState.EXPIRED)),
        "decision_count": when(WORD),
        "decision_sum": when(WORD, between("created_at", "decided_at")),
    },
)

POSTMORTEMS = Family(
    key="postmortem",
    rollup=PostMortemRollup,
    rows=PostMortem.objects.order_by,
    time="created_at",
    dimensions=OF_INCIDENT,
    measures={
        "total": Value(1),
        "requiring_action": when(Q(requires_human_action=True) & ~Q(state=PostMortemState.CLOSED)),
    },
)

AUDIT = Family(
    key="audit",
    rollup=AuditRollup,
    rows=AuditEvent.objects.order_by,
    time="at",
    dimensions={
        "cluster": Value("", output_field=CharField()),
        "namespace": F("namespace"),
        "severity": F("severity"),
        "event_type": F("event_type"),
    },
    measures={"total": Value(1)},
)

LLM = Family(
    key="llm",
    rollup=LLMRollup,
    rows=LLMCall.objects.order_by,
    time="at",
    dimensions={name: F(name) for name in ("cluster", "namespace", "severity", "provider", "model", "purpose")},
    measures={
        "total": Value(1),
        "accepted": when(Q(outcome="accepted")),
        "priced": when(~Q(price="")),
        **{name: F(name) for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "cost")},
    },
)

FAMILIES: dict[str, Family] = {
    family.key: family for family in (INCIDENTS, WORKLOADS, PLAN_FAMILY, APPROVALS, POSTMORTEMS, AUDIT, LLM)
}
