from django.urls import path

from analytics.api import figures
from analytics.api.capacity import CapacityView
from analytics.api.costs import CostsView

urlpatterns = [
    path("analytics/summary", figures.SummaryView.as_view(), name="analytics-summary"),
    path("analytics/mttd", figures.MTTDView.as_view(), name="analytics-mttd"),
    path("analytics/mttr", figures.MTTRView.as_view(), name="analytics-mttr"),
    path("analytics/trends", figures.TrendsView.as_view(), name="analytics-trends"),
    path("analytics/top-resources", figures.TopResourcesView.as_view(), name="analytics-top-resources"),
    path("analytics/remediation-stats", figures.RemediationStatsView.as_view(), name="analytics-remediation-stats"),
    path("analytics/capacity", CapacityView.as_view(), name="analytics-capacity"),
    path("analytics/costs", CostsView.as_view(), name="analytics-costs"),
]
