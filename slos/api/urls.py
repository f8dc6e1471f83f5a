from aiops.api.routers import Router
from slos.api import views

router = Router()
router.register("incident-slas", views.IncidentSLAViewSet, basename="incident-slas")
router.register("slos", views.SLOViewSet, basename="slos")

urlpatterns = router.urls
