from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.fields import IntegerField, NumberField, ObjectField, TextField, TimeField
from aiops.api.operations import operation
from aiops.api.serializers import API_VERSION, Document, Stored
from aiops.api.views import ApiView
from analytics.api import questions
from analytics.api.questions import QUERY, RangeMetadata
from analytics.services import compliance


class CompliancePeriod(Stored):
    Start = TimeField()
    End = TimeField()


class IncidentMetrics(Stored):
    """Times in nanoseconds; 0 without samples. A coverage is the share of what the figure might speak of; null of nothing."""

    TotalIncidents = IntegerField()
    BySeverity = serializers.DictField(child=serializers.IntegerField())
    ByState = serializers.DictField(child=serializers.IntegerField())
    MTTD = IntegerField()
    MTTDSamples = IntegerField()
    MTTDCoverage = NumberField(allow_null=True)
    MTTR = IntegerField()
    MTTRSamples = IntegerField()
    MTTRCoverage = NumberField(allow_null=True)
    MeanRemediationAttempts = NumberField()


class ActionCounts(Stored):
    Count = IntegerField()
    Success = IntegerField()
    Failed = IntegerField()


class RemediationMetrics(Stored):
    """`SuccessRate` is a ratio of the finished ones; rolled back counts as failed."""

    TotalRemediations = IntegerField()
    SuccessRate = NumberField()
    FinishedRemediations = IntegerField()
    SuccessRateCoverage = NumberField(allow_null=True)
    ByActionType = serializers.DictField(child=ActionCounts())
    AutoRemediatedCount = IntegerField()
    AgenticCount = IntegerField()


class SLAMetrics(Stored):
    """`Coverage`: share of the incidents to which an incident SLA promised something; the others break no promise."""

    CompliancePercentage = NumberField()
    IncidentsWithSLA = IntegerField()
    Coverage = NumberField(allow_null=True)
    ResponseSLAViolations = IntegerField()
    MitigationSLAViolations = IntegerField()
    ResolutionSLAViolations = IntegerField()
    AverageResponseTime = IntegerField()
    ResponseTimeSamples = IntegerField()
    ResponseTimeCoverage = NumberField(allow_null=True)
    AverageResolutionTime = IntegerField()
    ResolutionTimeSamples = IntegerField()
    ResolutionTimeCoverage = NumberField(allow_null=True)


class ApprovalMetrics(Stored):
    TotalRequests = IntegerField()
    AutoApproved = IntegerField()
    ManualApproved = IntegerField()
    Rejected = IntegerField()
    Expired = IntegerField()
    AverageDecisionTime = IntegerField()
    DecisionTimeSamples = IntegerField()
    DecisionTimeCoverage = NumberField(allow_null=True)


class AuditSummary(Stored):
    TotalEvents = IntegerField()
    BySeverity = serializers.DictField(child=serializers.IntegerField())
    ByEventType = serializers.DictField(child=serializers.IntegerField())


class EvidenceItems(Stored):
    Total = IntegerField()
    Items = serializers.ListField(child=ObjectField())


class AuditChainVerdict(Stored):
    Verdict = serializers.ChoiceField(["intact", "broken", "unknown"])
    Records = IntegerField()
    CheckedAt = TimeField(allow_null=True)
    Broken = TextField(allow_null=True)


class ComplianceEvidence(Stored):
    SLAViolations = EvidenceItems()
    Approvals = EvidenceItems()
    AuditChain = AuditChainVerdict()


class ComplianceSpec(Stored):
    Period = CompliancePeriod()
    IncidentMetrics = IncidentMetrics()
    RemediationMetrics = RemediationMetrics()
    SLAMetrics = SLAMetrics()
    ApprovalMetrics = ApprovalMetrics()
    AuditSummary = AuditSummary()
    Evidence = ComplianceEvidence()


class ComplianceReport(Document):
    KIND = "ComplianceReport"

    metadata = RangeMetadata()
    spec = ComplianceSpec()


class ComplianceView(ApiView):
    @operation(answer=ComplianceReport, query=QUERY)
    def get(self, request: Request) -> Response:
        """What happened, what was promised, who decided, and the evidence for it."""
        asked = questions.read(request.GET, scope=self.scope, now=self.now)
        document: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": ComplianceReport.KIND,
            "metadata": asked.metadata(),
            "spec": compliance.report(asked.question),
        }
        return Response(document)
