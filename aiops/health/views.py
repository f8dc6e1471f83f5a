"""`/healthz`, `/readyz`, `/metrics` (api.md §13): no key, no limit, no envelope."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from aiops.api.renderers import dumps
from aiops.health import readiness
from aiops.health.metrics import DATABASE_REGISTRY, process_registry


def _json(document: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(dumps(document), status=status, content_type="application/json; charset=utf-8")


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return _json({"status": "ok", "timestamp": timezone.now()})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    checks = readiness.check()
    failed = [name for name, state in checks.items() if state != readiness.OK]
    status = f"not ready: {', '.join(f'{name} {checks[name]}' for name in failed)}" if failed else "ready"
    return _json({"status": status, "timestamp": timezone.now(), "checks": checks}, 503 if failed else 200)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    text = generate_latest(process_registry()) + generate_latest(DATABASE_REGISTRY)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)
