"""What surrounds every request: its id and log line, CORS and the headers of the API."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from aiops.api.parsers import drain
from aiops.api.throttling import Quota
from aiops.apikeys.caller import Caller
from aiops.health import requests as request_metrics
from aiops.logs import log_ready

GetResponse = Callable[[HttpRequest], HttpResponseBase]

log = logging.getLogger("aiops.request")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
# programs need no session, no CSRF, no messages there: a short way to the view. /api/ brings its own authentication
SHORT = ("/api/", "/healthz", "/readyz", "/metrics")

CORS_METHODS = "GET, POST, PUT, DELETE, OPTIONS"
CORS_REQUEST_HEADERS = "Content-Type, X-API-Key, Authorization, If-Match, If-None-Match, Idempotency-Key, X-Request-ID"
CORS_EXPOSED = (
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, X-Request-ID, ETag, Content-Disposition"
)
CORS_MAX_AGE = "3600"


def is_short(request: HttpRequest) -> bool:
    return request.path_info.startswith(SHORT) or request.path_info == "/api"


class RequestIdMiddleware:
    """`X-Request-ID`: taken over when well-formed, else made; in the answer and in every log line of the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if REQUEST_ID.fullmatch(sent) else str(uuid.uuid4())
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.perf_counter()
        response = self.get_response(request)
        took = time.perf_counter() - began
        response["X-Request-ID"] = request_id
        request_metrics.observe(request, response.status_code, took)
        event = {
            "event": "request",
            "request_id": request_id,
            "method": request.method,
            "path": request.path[:512],
            "status": response.status_code,
            "milliseconds": round(took * 1000, 1),
            "caller": _caller(request),
        }
        log_ready(log, event)
        return response


def _caller(request: HttpRequest) -> str:
    """Below /api/ only: the console's user is lazy, and a log line must not cost a query."""
    user = request.__dict__.get("user")
    return str(user) if type(user) is Caller else "-"


class ConsoleOnly:
    """Middleware that only browsers need (`aiops.console.middleware`)."""

    get_response: Any


def past_console(get_response: GetResponse) -> GetResponse:
    """What comes after the middleware of the console. Django hides each of them in a function that wraps it."""
    while isinstance(middleware := getattr(get_response, "__wrapped__", None), ConsoleOnly):
        get_response = middleware.get_response
    return get_response


class ApiMiddleware:
    """The short way to API, health and metrics, and on it CORS (api.md 1.14), the headers that every answer carries, and the
    optional trailing slash (RTE-1). Browsers, which have cookies, pass the middleware of the console here as well.

    The way past it is found once, where each of them asked for each request: 3 % of an incident.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.short_way = past_console(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_short(request):
            return self.get_response(request)
        is_api = request.path_info.startswith("/api")
        origin = _allowed_origin(request) if is_api else None
        if origin and request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META:
            return _preflight(origin)
        if request.path_info.endswith("/"):
            request.path_info = request.path_info[:-1]
        response = (self.get_response if request.META.get("HTTP_COOKIE") else self.short_way)(request)
        response["X-Frame-Options"] = "DENY"
        if not is_api:
            return response
        drain(request)
        response["Cache-Control"] = "no-store"
        quota: Quota | None = getattr(request, "aiops_quota", None)
        if quota is not None:
            response["X-RateLimit-Limit"] = str(quota.limit)
            response["X-RateLimit-Remaining"] = str(quota.remaining)
            response["X-RateLimit-Reset"] = str(quota.reset)
        if settings.AIOPS_CORS_ORIGINS:
            patch_vary_headers(response, ["Origin"])
        _add_cors(response, origin)
        return response


def _allowed_origin(request: HttpRequest) -> str | None:
    allowed = settings.AIOPS_CORS_ORIGINS
    origin: str | None = request.META.get("HTTP_ORIGIN")
    return origin if origin and (origin in allowed or "*" in allowed) else None


def _preflight(origin: str) -> HttpResponse:
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = CORS_METHODS
    response["Access-Control-Allow-Headers"] = CORS_REQUEST_HEADERS
    response["Access-Control-Max-Age"] = CORS_MAX_AGE
    response["Cache-Control"] = "no-store"
    del response["Content-Type"]
    patch_vary_headers(response, ["Origin"])
    _add_cors(response, origin)
    return response


def _add_cors(response: HttpResponseBase, origin: str | None) -> None:
    if origin:
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Credentials"] = "false"
        response["Access-Control-Expose-Headers"] = CORS_EXPOSED
