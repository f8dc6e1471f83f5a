from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ChoiceField

from aiops.api.fields import BooleanField, IntegerField, NumberField, TextField, TimeField
from aiops.api.operations import operation
from aiops.api.serializers import Document, Stored
from analytics.api.figures import FigureView
from analytics.api.questions import RangeMetadata, query_of
from analytics.services.figures import capacity
from analytics.windows import SHORT


class CapacityResource(Stored):
    Kind = TextField()
    Name = TextField()
    Namespace = TextField()


class Amounts(Stored):
    """Of a volume claim, `MemoryBytes` are the stored ones."""

    CPUMillicores = IntegerField(allow_null=True)
    MemoryBytes = IntegerField(allow_null=True)


class Percentages(Stored):
    CPU = NumberField(allow_null=True)
    Memory = NumberField(allow_null=True)


class CapacityTrend(Stored):
    CPUTrendPerDay = NumberField()
    MemoryTrendPerDay = NumberField()
    Direction = ChoiceField(["increasing", "stable", "decreasing", capacity.INSUFFICIENT])


class CapacityForecastDates(Stored):
    """The earliest and latest dates are the ends of the 95 % interval of the trend; null when the limit is not reached."""

    CPUExhaustionDate = TimeField(allow_null=True)
    CPUExhaustionEarliest = TimeField(allow_null=True)
    CPUExhaustionLatest = TimeField(allow_null=True)
    DaysUntilCPUExhaustion = IntegerField()
    MemoryExhaustionDate = TimeField(allow_null=True)
    MemoryExhaustionEarliest = TimeField(allow_null=True)
    MemoryExhaustionLatest = TimeField(allow_null=True)
    DaysUntilMemoryExhaustion = IntegerField()


class ForecastQuality(Stored):
    """`Coverage`: share of the days (below two days, hours) that have samples. Back-test errors are mean absolute errors in
    percentage points.
    """

    Samples = IntegerField()
    Coverage = NumberField(allow_null=True)
    CPUBacktestError = NumberField(allow_null=True)
    MemoryBacktestError = NumberField(allow_null=True)


class CapacityForecast(Stored):
    Resource = CapacityResource()
    Urgency = ChoiceField([capacity.URGENT, capacity.PLAN, capacity.STABLE])
    Recommendation = TextField()
    IsBottleneck = BooleanField()
    CurrentUsage = Amounts()
    Limits = Amounts()
    UsagePercentage = Percentages()
    Trend = CapacityTrend()
    Forecast = CapacityForecastDates()
    Quality = ForecastQuality()


class CapacityMetadata(RangeMetadata):
    totalCount = IntegerField()
    page = IntegerField()
    pageSize = IntegerField()


class CapacityForecastList(Document):
    KIND = "CapacityForecastList"

    metadata = CapacityMetadata()
    items = CapacityForecast(many=True)


class CapacityView(FigureView):
    usual, allowed = "7d", SHORT

    @operation(answer=CapacityForecastList, query=query_of("7d", SHORT))
    def get(self, request: Request) -> Response:
        """What runs full, and when; one page with everything."""
        asked = self.ask()
        items = capacity.forecasts(asked.question)
        metadata = asked.metadata() | {"totalCount": len(items), "page": 1, "pageSize": len(items)}
        # the service gives the members as they are shown: rendering hundreds of them again would only copy them
        return Response({"apiVersion": "v1", "kind": CapacityForecastList.KIND, "metadata": metadata, "items": items})
