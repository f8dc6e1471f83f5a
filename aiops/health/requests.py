"""HTTP requests as Prometheus sees them. The route, not the path, is the label, so their number is bounded."""

from django.http import HttpRequest
from prometheus_client import Counter, Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

REQUESTS = Counter("aiops_http_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("aiops_http_request_seconds", "Time to answer a request", ["route"])


def observe(request: HttpRequest, status: int, seconds: float) -> None:
    match = request.resolver_match
    route = match.route if match is not None else "unresolved"
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(method=method, route=route, status=str(status)).inc()
    SECONDS.labels(route=route).observe(seconds)
