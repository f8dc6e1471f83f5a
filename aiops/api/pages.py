"""The OpenAPI document and the two pages that show it: no key, no limit, nothing loaded from elsewhere (X1.6)."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
)


@lru_cache(maxsize=4)
def openapi(urlconf: str) -> dict[str, Any]:
    """The document. It follows from the code alone, so it is made once per process."""
    generator: Any = SchemaGenerator(urlconf=urlconf)  # type: ignore[no-untyped-call]
    document: dict[str, Any] = generator.get_schema(request=None, public=True)
    return document


class JSONOrYAML(BaseContentNegotiation):
    """`format` decides, else `Accept`; YAML when neither speaks of JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        wanted = request.query_params.get("format") or request.META.get("HTTP_ACCEPT", "")
        found = renderers[0 if "json" in wanted.lower() else 1]
        return found, found.media_type


class OpenPage(APIView):
    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    http_method_names = ["get", "head"]


class SchemaView(OpenPage):
    schema = None
    renderer_classes = [OpenApiJsonRenderer, OpenApiYamlRenderer]
    content_negotiation_class = JSONOrYAML

    def get(self, request: Request) -> Response:
        return Response(openapi(settings.ROOT_URLCONF))


class DocumentationPage(OpenPage):
    """Forbids the browser what the bundled scripts would fetch from elsewhere, such as a logo."""

    def finalize_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(*args, **kwargs)
        response["Content-Security-Policy"] = POLICY
        return response


class SwaggerView(DocumentationPage, SpectacularSwaggerView):
    pass


class RedocView(DocumentationPage, SpectacularRedocView):
    template_name = "api/redoc.html"
