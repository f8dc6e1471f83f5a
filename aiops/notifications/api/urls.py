from django.urls import path

from aiops.api.routers import Router
from aiops.notifications.api import views

router = Router()
router.register("notification-channels", views.ChannelViewSet, basename="notification-channels")
router.register("notification-policies", views.NotificationPolicyViewSet, basename="notification-policies")

urlpatterns = [path("notifications", views.NotificationsView.as_view(), name="notifications"), *router.urls]
