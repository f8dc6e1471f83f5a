from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.fields import BooleanField, DurationField, IntegerField, NumberField, TextField, TimeField
from aiops.api.operations import operation
from aiops.api.serializers import Document, Stored
from analytics.api.figures import MONTH, FigureView
from analytics.api.questions import RangeMetadata, query_of
from analytics.services.figures import costs
from analytics.windows import LONG
from incidents.states import Severity


class Amounts(Stored):
    """Amounts are in the currency of the document."""

    total = NumberField()
    downtime = NumberField()
    engineers = NumberField()
    llm = NumberField()
    downtimeMinutes = NumberField()
    engineerMinutes = NumberField()
    llmCalls = IntegerField()


class CostAmounts(Amounts):
    incidents = IntegerField()
    openIncidents = IntegerField()


CostsBySeverity: Any = type("CostsBySeverity", (Stored,), {name: CostAmounts() for name in Severity.values})


class CostsOfNamespace(CostAmounts):
    namespace = TextField()


class CostsOfDay(CostAmounts):
    date = serializers.DateField()


class ModelCalls(Stored):
    calls = IntegerField()
    accepted = IntegerField()
    promptTokens = IntegerField()
    completionTokens = IntegerField()
    cachedTokens = IntegerField()
    cost = NumberField()


class ModelCosts(ModelCalls):
    provider = TextField()
    model = TextField()
    purpose = TextField()


class ModelBudget(Stored):
    scope = serializers.ChoiceField(["day", "month"])
    since = TimeField()
    limit = NumberField(allow_null=True)
    used = NumberField()
    state = serializers.ChoiceField(["unlimited", "ok", "warning", "exhausted"])


class LanguageModelCosts(ModelCalls):
    """`coverage`: share of the calls whose price is known."""

    coverage = NumberField(allow_null=True)
    byModel = ModelCosts(many=True)
    budgets = ModelBudget(many=True)


class ReturnOnInvestment(Stored):
    """Null where there is nothing to compare with."""

    automatedIncidents = IntegerField()
    manualIncidents = IntegerField()
    meanTimeAutomated = DurationField(allow_null=True)
    meanTimeManual = DurationField(allow_null=True)
    downtimeSavedMinutes = NumberField(allow_null=True)
    engineerMinutesSaved = NumberField(allow_null=True)
    savings = NumberField(allow_null=True)
    spent = NumberField()
    percent = NumberField(allow_null=True)


class CostAssumptions(Stored):
    downtimePerMinute = serializers.DictField(child=serializers.FloatField())
    engineerPerHour = NumberField()
    engineerHoursPerIncidentAtMost = NumberField()


class CostFigures(CostAmounts):
    currency = TextField()
    engineerSamples = IntegerField()
    engineerCoverage = NumberField(allow_null=True)
    bySeverity = CostsBySeverity()
    byNamespace = CostsOfNamespace(many=True)
    history = CostsOfDay(many=True)
    languageModels = LanguageModelCosts()
    returnOnInvestment = ReturnOnInvestment()
    assumptions = CostAssumptions()


class AnalyticsCosts(Document):
    KIND = "AnalyticsCosts"

    metadata = RangeMetadata()
    costs = CostFigures()


class CostsView(FigureView):
    @operation(answer=AnalyticsCosts, query=query_of(MONTH, LONG))
    def get(self, request: Request) -> Response:
        """What incidents and language models cost, and what automation is worth."""
        asked = self.ask()
        figures = costs.costs(asked.question)
        return Response(AnalyticsCosts.render({"metadata": asked.metadata(), "costs": figures}))


# --- one incident ----------------------------------------------------------------------------------------------------------


class CostMetadata(Stored):
    name = TextField()
    namespace = TextField()
    generatedAt = TimeField()


class CallCosts(Stored):
    provider = TextField()
    model = TextField()
    purpose = TextField()
    calls = IntegerField()
    promptTokens = IntegerField()
    completionTokens = IntegerField()
    cost = NumberField()


class IncidentBill(Amounts):
    """`final`: the incident is resolved. `chargedTo`: the one it was merged into, which pays for the time."""

    currency = TextField()
    final = BooleanField()
    chargedTo = TextField(allow_null=True)
    downtimePerMinute = NumberField()
    engineerPerHour = NumberField()
    calls = CallCosts(many=True)


class IncidentCostDocument(Document):
    KIND = "IncidentCost"

    metadata = CostMetadata()
    cost = IncidentBill()
