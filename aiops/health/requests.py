"""HTTP requests as Prometheus sees them. The route, not the path, is the label, so their number is bounded."""

from functools import lru_cache
from typing import Any

from django.http import HttpRequest
from prometheus_client import Counter, Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

REQUESTS = Counter("aiops_http_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("aiops_http_request_seconds", "Time to answer a request", ["route"])


@lru_cache(maxsize=2_000)
def _children(method: str, route: str, status: int) -> tuple[Any, Any]:
    return REQUESTS.labels(method=method, route=route, status=str(status)), SECONDS.labels(route=route)


def observe(request: HttpRequest, status: int, seconds: float) -> None:
    match = request.resolver_match
    route = match.route if match is not None else "unresolved"
    method = request.method if request.method in METHODS else "other"
    count, duration = _children(str(method), route, status)
    count.inc()
    duration.observe(seconds)
