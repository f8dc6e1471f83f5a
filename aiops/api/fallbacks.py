"""Failures that no view of the API saw: Django's handlers, answering in the envelope below /api/ (ENV-6)."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults

from aiops.api.exceptions import error_document
from aiops.api.renderers import dumps


def _envelope(request: HttpRequest, status: int, message: str) -> HttpResponse | None:
    if not request.path_info.startswith("/api"):
        return None
    body = dumps(error_document(status, message))
    return HttpResponse(body, status=status, content_type="application/json; charset=utf-8")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _envelope(request, 400, "The request is malformed") or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _envelope(request, 403, "Not allowed") or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _envelope(request, 404, "Not found") or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest, *args: Any) -> HttpResponseBase:
    return _envelope(request, 500, "Internal error") or defaults.server_error(request)
