"""`Idempotency-Key` (CON-4): a repeated POST gets the first one's answer and changes nothing.

Key, change and answer are written in one transaction: of two simultaneous duplicates the second waits at the unique
constraint until the first has committed, and a crash leaves neither the change nor the key. A handler that calls other
servers must not hold a transaction meanwhile: its key is committed first, and a duplicate that comes too early gets 409.
"""

import hashlib
import re
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import Http404, HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from aiops.api.exceptions import BadRequest
from aiops.api.renderers import dumps
from aiops.api.requests import ApiRequest
from aiops.apikeys.models import IdempotencyRecord
from aiops.errors import Conflict, DomainError

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
# what a handler refuses with; anything else is a fault, answered 500 and not kept
REFUSALS = (APIException, DomainError, Http404, PermissionDenied, SuspiciousOperation)
KEPT_HEADERS = ("Location", "ETag", "Retry-After")
NOT_KEPT = 429
ABANDONED = timedelta(minutes=2)  # after this a key without an answer belongs to a process that died


def key_of(request: ApiRequest) -> str | None:
    """The key of a request, None without one. Raises `BadRequest` when it is malformed."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise BadRequest("The idempotency key is not valid", {HEADER: ["Must be 1 to 128 visible ASCII characters."]})
    return key


def execute(
    request: ApiRequest,
    key: str,
    handle: Callable[[], HttpResponseBase],
    refuse: Callable[[Exception], HttpResponseBase],
    *,
    calls_outside: bool,
) -> HttpResponseBase:
    """Run `handle` unless this key was answered before. `refuse` turns an exception of it into its response."""
    with nullcontext() if calls_outside else transaction.atomic():
        record, is_new = _reserve(request, key, timezone.now())
        if not is_new:
            return _replay(record, request)
        response = None
        try:
            with nullcontext() if calls_outside else transaction.atomic():
                response = handle()
        except REFUSALS as error:
            response = refuse(error)
        finally:
            # without a transaction around it nobody else takes the key back after a fault
            if response is None and calls_outside:
                record.delete()
        _keep(record, response)
        return response


def _reserve(request: ApiRequest, key: str, at: datetime) -> tuple[IdempotencyRecord, bool]:
    caller = request.caller.subject
    mine = {
        "path": _path_digest(request),
        "body": hashlib.sha256(_canonical(request.raw)).hexdigest(),
        "created_at": at,
    }
    known = IdempotencyRecord.objects.filter(caller=caller, key=key)
    # forgotten keys may be used again before the hourly task removes them
    forgotten = Q(created_at__lt=at - settings.IDEMPOTENCY_RETENTION) | Q(status=None, created_at__lt=at - ABANDONED)
    known.filter(forgotten).delete()
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(caller=caller, key=key, **mine), True
    except IntegrityError:
        record = known.first()
    if record is None:
        raise Conflict("The first request with this idempotency key failed just now", "Repeat the request.")
    return record, False


def _replay(record: IdempotencyRecord, request: ApiRequest) -> Response:
    same_body = record.body == hashlib.sha256(_canonical(request.raw)).hexdigest()
    if record.path != _path_digest(request) or not same_body:
        raise Conflict("The idempotency key was used for another request")
    if record.status is None:
        raise Conflict("The first request with this idempotency key is still at work")
    headers = {**record.headers, "Idempotency-Replayed": "true"}
    return Response(orjson.loads(record.content or "null"), status=record.status, headers=headers)


def _keep(record: IdempotencyRecord, response: HttpResponseBase) -> None:
    if response.status_code >= 500 or response.status_code == NOT_KEPT:
        record.delete()
        return
    record.status = response.status_code
    record.headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    data: Any = getattr(response, "data", None)
    record.content = "" if data is None else dumps(data).decode()
    record.save(update_fields=["status", "headers", "content"])


def _path_digest(request: ApiRequest) -> str:
    path = f"{request.method} {request.path.rstrip('/')}?{request.META.get('QUERY_STRING', '')}"
    return hashlib.sha256(path.encode()).hexdigest()


def _canonical(raw: bytes) -> bytes:
    """The same JSON in other white space is the same body; an empty one counts as `{}` (CNT-3)."""
    try:
        return orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS) if raw.strip() else b"{}"
    except orjson.JSONDecodeError:
        return raw
