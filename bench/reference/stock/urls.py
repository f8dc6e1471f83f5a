from django.urls import include, path
from rest_framework.routers import DefaultRouter

from bench.reference.stock.api import IncidentViewSet

router = DefaultRouter(trailing_slash=False)
router.register("incidents", IncidentViewSet)

urlpatterns = [path("api/v1/", include(router.urls))]
