from django.urls import path

from analytics.api.compliance import ComplianceView
from analytics.api.reports import ReportsView, ReportView
from analytics.models import ReportKind

urlpatterns = [
    path("analytics/compliance", ComplianceView.as_view(), name="analytics-compliance"),
    path("reports", ReportsView.as_view(), name="reports"),
    *(path(f"reports/{kind}", ReportView.as_view(kind=kind), name=f"reports-{kind}") for kind in ReportKind.values),
]
