from aiops.api.routers import Router
from runbooks.api import policies, views

router = Router()
router.register("runbooks", views.RunbookViewSet, basename="runbooks")
router.register("remediations", views.RemediationViewSet, basename="remediations")
router.register("approvals", views.ApprovalViewSet, basename="approvals")
router.register("approval-policies", policies.ApprovalPolicyViewSet, basename="approval-policies")

urlpatterns = router.urls
