from django.urls import path

from aiops.api.routers import Router
from incidents.api import policies, views
from incidents.api.webhooks import AlertView
from incidents.intake import INTAKES

router = Router()
router.register("incidents", views.IncidentViewSet, basename="incidents")
router.register("postmortems", views.PostMortemViewSet, basename="postmortems")
router.register("aiinsights", views.InsightViewSet, basename="aiinsights")
router.register("escalation-policies", policies.EscalationPolicyViewSet, basename="escalation-policies")

urlpatterns = [
    *router.urls,
    *(path(f"alerts/{source}", AlertView.as_view(source=source), name=f"alerts-{source}") for source in INTAKES),
]
