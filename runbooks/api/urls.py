from aiops.api.routers import Router
from runbooks.api import views

router = Router()
router.register("runbooks", views.RunbookViewSet, basename="runbooks")
router.register("remediations", views.RemediationViewSet, basename="remediations")
router.register("approvals", views.ApprovalViewSet, basename="approvals")

urlpatterns = router.urls
