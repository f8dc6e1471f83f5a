"""The figures of contract/api.md §9.2 to §9.7: parse the question, ask the service, put it into its envelope."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.exceptions import BadRequest
from aiops.api.fields import DurationField, IntegerField, NumberField, PercentStringField, TextField, TimeField
from aiops.api.operations import operation
from aiops.api.serializers import Document, Stored
from aiops.api.views import ApiView
from analytics.api import questions
from analytics.api.questions import Asked, RangeMetadata, query_of
from analytics.models import Grain
from analytics.services.figures import counts, summary, timing
from analytics.windows import LONG, SHORT
from incidents.states import IncidentState, Severity
from slos.models import Status

MONTH = "30d"
GRANULARITIES = {"hourly": int(Grain.HOUR), "daily": int(Grain.DAY), "weekly": int(Grain.WEEK)}
GROUPS = {"day": int(Grain.DAY), "week": int(Grain.WEEK)}
LIMIT, MOST = 10, 100

Choices = Mapping[str, int]


def counts_of(*names: str) -> Any:
    """A map with a whole number for each name."""
    members: dict[str, Any] = {name: IntegerField() for name in names}
    return type(f"CountsOf{''.join(name.capitalize() for name in names)}", (Stored,), members)


BySeverity = counts_of(*Severity.values)
ByState = counts_of(*(state.lower() for state in IncidentState.values))


class FigureView(ApiView):
    """One question about a range of time."""

    usual: ClassVar[str] = MONTH
    allowed: ClassVar[tuple[str, ...]] = LONG

    def ask(self) -> Asked:
        """The question that the query puts. Raises `BadRequest`."""
        return questions.read(self.request.GET, scope=self.scope, now=self.now, usual=self.usual, allowed=self.allowed)

    def choose(self, name: str, choices: Choices, usual: str) -> tuple[str, int]:
        """An enumeration in the query, in any case. Raises `BadRequest`."""
        wanted = (self.param(name) or usual).lower()
        if wanted not in choices:
            raise BadRequest(f"Unknown {name}", {name: [f"Must be one of: {', '.join(choices)}."]})
        return wanted, choices[wanted]


# --- summary -------------------------------------------------------------------------------------------------------------


class SummaryIncidents(Stored):
    """A coverage is the share of what a figure might speak of: of all incidents those that are no drills, of these the resolved."""

    total = IntegerField()
    bySeverity = BySeverity()
    byState = ByState()
    autoResolved = IntegerField()
    autoResolvedPercent = NumberField()
    avgTimeToDetect = DurationField()
    avgTimeToResolve = DurationField()
    detectSamples = IntegerField()
    detectCoverage = NumberField(allow_null=True)
    resolveSamples = IntegerField()
    resolveCoverage = NumberField(allow_null=True)


class SummarySLOs(counts_of("total", *Status.values)):  # type: ignore[misc]
    avgBudgetRemaining = PercentStringField(allow_null=True)
    budgetSamples = IntegerField()
    budgetCoverage = NumberField(allow_null=True)


class RunbookUse(Stored):
    name = TextField()
    count = IntegerField()


class SummaryRemediations(Stored):
    total = IntegerField()
    successful = IntegerField()
    failed = IntegerField()
    successRate = NumberField()
    avgExecutionTime = DurationField()
    executionSamples = IntegerField()
    executionCoverage = NumberField(allow_null=True)
    successSamples = IntegerField()
    successCoverage = NumberField(allow_null=True)
    topRunbooks = RunbookUse(many=True)


class SummaryApprovals(Stored):
    total = IntegerField()
    approved = IntegerField()
    rejected = IntegerField()
    expired = IntegerField()
    avgDecisionTime = DurationField()
    decisionSamples = IntegerField()
    decisionCoverage = NumberField(allow_null=True)


class SummaryTrends(Stored):
    incidentsVsPrevPeriod = TextField(allow_null=True)
    mttrVsPrevPeriod = TextField(allow_null=True)
    autoResolveVsPrevPeriod = TextField(allow_null=True)


class SummaryFigures(
    counts_of(  # type: ignore[misc]
        "totalIssues", "openIssues", "resolvedIssues", "containedIssues", "criticalIssues", "chaosInducedIssues",
        "totalRemediations", "successfulRemediations", "failedRemediations", "remediatedIssues", "resolvedByRemediation",
        "totalPostMortems", "postMortemsRequiringHumanAction", "totalRunbooks", "totalSLOs", "slosAtRisk",
        "pendingApprovals",
    )
):  # fmt: skip
    incidents = SummaryIncidents()
    slos = SummarySLOs()
    remediations = SummaryRemediations()
    approvals = SummaryApprovals()
    trends = SummaryTrends()
    avgRiskScore = NumberField()
    severityBreakdown = BySeverity()


class AnalyticsSummary(Document):
    KIND = "AnalyticsSummary"

    metadata = RangeMetadata()
    summary = SummaryFigures()


class SummaryView(FigureView):
    usual, allowed = "7d", SHORT

    @operation(answer=AnalyticsSummary, query=query_of("7d", SHORT))
    def get(self, request: Request) -> Response:
        """How it goes altogether."""
        asked = self.ask()
        figures = summary.summary(asked.question)
        return Response(AnalyticsSummary.render({"metadata": asked.metadata(), "summary": figures}))


# --- times ---------------------------------------------------------------------------------------------------------------


class Distribution(Stored):
    """`coverage`: share of the incidents that could have a sample. `errorBound`: largest relative error of a percentile; 0 where it
    is exact.
    """

    mean = DurationField()
    median = DurationField()
    p95 = DurationField()
    p99 = DurationField()
    sampleSize = IntegerField()
    coverage = NumberField(allow_null=True)
    errorBound = NumberField()


class DetectionDay(Stored):
    date = serializers.DateField()
    averageSeconds = NumberField()
    incidentCount = IntegerField()
    coverage = NumberField(allow_null=True)


class AnalyticsMTTD(Document):
    KIND = "AnalyticsMTTD"

    metadata = RangeMetadata()
    mttd = DetectionDay(many=True)
    overall = Distribution()


class MTTDView(FigureView):
    @operation(answer=AnalyticsMTTD, query=query_of(MONTH, LONG))
    def get(self, request: Request) -> Response:
        """How long it takes until a problem is noticed, by day."""
        asked = self.ask()
        return Response(AnalyticsMTTD.render({"metadata": asked.metadata(), **timing.mttd(asked.question)}))


class ResolutionTimes(Distribution):
    """`coverage`: resolved ones among all. `kaplanMeierMedian` counts the open ones for as long as they have lasted."""

    openIncidents = IntegerField()
    kaplanMeierMedian = DurationField(allow_null=True)


class SeverityTimes(Stored):
    mean = DurationField()
    median = DurationField()
    count = IntegerField()
    coverage = NumberField(allow_null=True)


class TimesBySeverity(Stored):
    critical = SeverityTimes()
    high = SeverityTimes()
    medium = SeverityTimes()
    low = SeverityTimes()


class PhaseTime(Stored):
    """The means of the phases add up to the mean time to resolve: those without a phase count in them as 0. The percentiles are of
    the `samples` that had it.
    """

    mean = DurationField()
    median = DurationField()
    p95 = DurationField()
    p99 = DurationField()
    description = TextField()
    samples = IntegerField()
    coverage = NumberField(allow_null=True)
    errorBound = NumberField()


class Phases(Stored):
    detection = PhaseTime()
    analysis = PhaseTime()
    approval = PhaseTime()
    remediation = PhaseTime()


class Responses(Stored):
    acknowledgement = PhaseTime()
    verification = PhaseTime()


class HistoryEntry(Stored):
    date = TextField()  # a day, the Monday of a week, or the beginning of an hour
    mttr = DurationField()
    incidentCount = IntegerField()
    coverage = NumberField(allow_null=True)


class Improvement(Stored):
    vsPrevPeriod = TextField(allow_null=True)
    vsBaseline = TextField(allow_null=True)
    baselinePeriod = TextField(allow_null=True)


class MTTRFigures(Stored):
    overall = ResolutionTimes()
    bySeverity = TimesBySeverity()
    byPhase = Phases()
    responses = Responses()
    history = HistoryEntry(many=True)
    improvement = Improvement()


class AnalyticsMTTR(Document):
    KIND = "AnalyticsMTTR"

    metadata = RangeMetadata()
    mttr = MTTRFigures()


class MTTRView(FigureView):
    @operation(
        answer=AnalyticsMTTR,
        query=(
            *query_of(MONTH, LONG),
            ("granularity", {"type": "string", "enum": list(GRANULARITIES), "default": "daily"}),
        ),
    )
    def get(self, request: Request) -> Response:
        """How long it takes until a problem is mended: altogether, by severity, by phase, and over time."""
        asked = self.ask()
        _, grain = self.choose("granularity", GRANULARITIES, "daily")
        figures = timing.mttr(asked.question, granularity=grain)
        return Response(AnalyticsMTTR.render({"metadata": asked.metadata(), "mttr": figures}))


# --- counts --------------------------------------------------------------------------------------------------------------


class TrendMetadata(RangeMetadata):
    groupBy = serializers.ChoiceField(list(GROUPS))


class Trend(Stored):
    date = serializers.DateField()
    total = IntegerField()
    bySeverity = BySeverity()


class AnalyticsTrends(Document):
    KIND = "AnalyticsTrends"

    metadata = TrendMetadata()
    trends = Trend(many=True)


class TrendsView(FigureView):
    @operation(
        answer=AnalyticsTrends,
        query=(*query_of(MONTH, LONG), ("groupBy", {"type": "string", "enum": list(GROUPS), "default": "day"})),
    )
    def get(self, request: Request) -> Response:
        """Incidents over time."""
        asked = self.ask()
        group, grain = self.choose("groupBy", GROUPS, "day")
        found = counts.trends(asked.question, grain=grain)
        return Response(AnalyticsTrends.render({"metadata": asked.metadata() | {"groupBy": group}, "trends": found}))


class TopMetadata(RangeMetadata):
    limit = IntegerField()


class TopResource(Stored):
    kind = TextField()
    name = TextField()
    namespace = TextField()
    incidentCount = IntegerField()
    lastIncident = TimeField()
    topSignals = serializers.ListField(child=serializers.CharField())


class AnalyticsTopResources(Document):
    KIND = "AnalyticsTopResources"

    metadata = TopMetadata()
    resources = TopResource(many=True)


class TopResourcesView(FigureView):
    @operation(
        answer=AnalyticsTopResources,
        query=(
            *query_of(MONTH, LONG),
            ("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}),
        ),
    )
    def get(self, request: Request) -> Response:
        """The resources with the most incidents."""
        asked, limit = self.ask(), self._limit()
        found = counts.top_resources(asked.question, limit=limit)
        return Response(
            AnalyticsTopResources.render({"metadata": asked.metadata() | {"limit": limit}, "resources": found})
        )

    def _limit(self) -> int:
        text = (self.param("limit") or str(LIMIT)).strip()
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
            raise BadRequest("The limit is out of range", {"limit": [f"Must be a whole number from 1 to {MOST}."]})
        return int(text)


class ActionStats(Stored):
    """Finished plans, and their share of all; `successRateInterval` is the 95 % interval of the rate."""

    action = TextField()
    total = IntegerField()
    successful = IntegerField()
    failed = IntegerField()
    successRate = NumberField()
    avgDuration = NumberField()
    rolledBack = IntegerField()
    durationSamples = IntegerField()
    durationCoverage = NumberField(allow_null=True)
    coverage = NumberField(allow_null=True)
    successRateInterval = serializers.ListField(child=serializers.FloatField())


class AnalyticsRemediationStats(Document):
    KIND = "AnalyticsRemediationStats"

    metadata = RangeMetadata()
    stats = ActionStats(many=True)


class RemediationStatsView(FigureView):
    @operation(answer=AnalyticsRemediationStats, query=query_of(MONTH, LONG))
    def get(self, request: Request) -> Response:
        """What helped, by action."""
        asked = self.ask()
        stats = counts.remediation_stats(asked.question)
        return Response(AnalyticsRemediationStats.render({"metadata": asked.metadata(), "stats": stats}))
