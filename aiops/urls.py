"""The routes. Apps are named by string and never imported; paths below /api/ carry no trailing slash (`ApiMiddleware`)."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from aiops.api.index import IndexView
from aiops.api.pages import RedocView, SchemaView, SwaggerView
from aiops.api.routes import Remembered
from aiops.api.views import NotFoundView
from aiops.health.views import healthz, metrics, readyz

V1: list[URLPattern | URLResolver] = [
    path("", include("incidents.api.urls")),  # first, because patterns are tried in turn and these are asked for most
    path("", include("federation.api.urls")),
    path("", include("aiops.audit.api.urls")),
    path("", include("aiops.notifications.api.urls")),
    path("", include("runbooks.api.urls")),
    path("", include("analytics.api.urls")),
    path("", include("analytics.api.report_urls")),
    path("", include("slos.api.urls")),
]

urlpatterns = [
    Remembered("api/v1/", V1),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", SwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/redoc", RedocView.as_view(url_name="schema"), name="redoc"),
    path("api/v1", IndexView.as_view(), name="index"),
    re_path(r"^api(?:/[\s\S]*)?\Z", NotFoundView.as_view()),
    path("console/", admin.site.urls),
    re_path(r"^(?:admin(?:/.*)?)?$", RedirectView.as_view(url="/console/")),
]

handler400 = "aiops.api.fallbacks.bad_request"
handler403 = "aiops.api.fallbacks.forbidden"
handler404 = "aiops.api.fallbacks.not_found"
handler500 = "aiops.api.fallbacks.server_error"
