from django.urls import path

from aiops.api.routers import Router
from analytics.api.compliance import ComplianceView
from analytics.api.reports import ReportsView, ReportView
from analytics.api.schedules import ReportScheduleViewSet
from analytics.models import ReportKind

router = Router()
router.register("report-schedules", ReportScheduleViewSet, basename="report-schedules")

urlpatterns = [
    *router.urls,
    path("analytics/compliance", ComplianceView.as_view(), name="analytics-compliance"),
    path("reports", ReportsView.as_view(), name="reports"),
    *(path(f"reports/{kind}", ReportView.as_view(kind=kind), name=f"reports-{kind}") for kind in ReportKind.values),
]
