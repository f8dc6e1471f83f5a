from django.urls import path

from aiops.api.routers import Router
from federation.api import listening, views, windows

router = Router()
router.register("clusters", views.ClusterViewSet, basename="clusters")
router.register("maintenance-windows", windows.MaintenanceWindowViewSet, basename="maintenance-windows")

urlpatterns = [
    path("federation", views.FederationView.as_view(), name="federation"),
    path("federation/status", views.FederationView.as_view(), name="federation-status"),
    path("federation/clusters", views.FederationClustersView.as_view(), name="federation-clusters"),
    path("federation/correlations", views.FederationCorrelationsView.as_view(), name="federation-correlations"),
    path("events", listening.EventsView.as_view(), name="events"),
    *router.urls,
]
