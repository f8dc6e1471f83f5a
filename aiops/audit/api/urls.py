from django.urls import path

from aiops.api.routers import Router
from aiops.audit.api import views

router = Router()
router.register("audit", views.AuditViewSet, basename="audit")

urlpatterns = [
    *router.urls,
    path("audit/export", views.ExportView.as_view(), name="audit-export"),
    path("audit/export/download/<str:job_id>", views.DownloadView.as_view(), name="audit-download"),
]
