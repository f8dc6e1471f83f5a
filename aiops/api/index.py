from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from aiops.api.views import ApiView

PREFIX = "api/v1/"


class IndexView(ApiView):
    """The resources. A page for browsers; programs are told 404 as on any path that is no resource (X9.18)."""

    schema = None

    def check_method(self, request: Request) -> None:
        if request.accepted_renderer.format == "json":
            raise exceptions.NotFound("No such resource")
        super().check_method(request)

    def get(self, request: Request) -> Response:
        return Response({path: request.build_absolute_uri(f"/{PREFIX}{path}") for path in resources()})


def resources() -> list[str]:
    """Paths of one segment below /api/v1/."""
    found = set()
    for entry in get_resolver().url_patterns:
        if isinstance(entry, URLResolver) and str(entry.pattern) == PREFIX:
            found |= set(_paths(entry))
    return sorted(path for path in found if path and "<" not in path and "/" not in path and "(" not in path)


def _paths(resolver: URLResolver) -> list[str]:
    found: list[str] = []
    for entry in resolver.url_patterns:
        text = str(entry.pattern).removeprefix("^").removesuffix("$").removesuffix(r"\Z")
        found += [text] if isinstance(entry, URLPattern) else [text + inner for inner in _paths(entry)]
    return found
