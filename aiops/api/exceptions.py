"""Every refusal below /api/ in the one error envelope (api.md 1.7, 1.8)."""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from aiops import errors
from aiops.api.serializers import API_VERSION, WHOLE

log = logging.getLogger(__name__)

REASONS = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    410: "GONE",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
FAMILIES: tuple[tuple[type[errors.DomainError], int], ...] = (
    (errors.Invalid, 400),
    (errors.NotAllowed, 403),
    (errors.Missing, 404),
    (errors.Conflict, 409),
    (errors.Gone, 410),
    (errors.Unavailable, 503),
)
RETRY_AFTER = "5"  # seconds, with 503
FIELDS_SHOWN = 50


class PayloadTooLarge(exceptions.APIException):
    status_code = 413
    default_detail = "The body is too large"


class BadRequest(exceptions.APIException):
    """400 that names the offending members: `BadRequest("…", {"page": ["…"]})`."""

    status_code = 400

    def __init__(self, message: str, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.fields = fields or {}


def error_document(
    status: int, message: str, *, details: str = "", fields: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    error: dict[str, Any] = {"code": status, "message": message or HTTPStatus(status).phrase}
    if details:
        error["details"] = details
    error["reason"] = REASONS.get(status, HTTPStatus(status).name)
    if fields:
        error["fields"] = fields
    return {
        "apiVersion": API_VERSION,
        "kind": "Error",
        "error": error,
        "code": status,
        "message": error["message"],
    }


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    view = context.get("view")
    headers: dict[str, str] = {}
    document = _document(exc, view, headers)
    if document["code"] == 500:
        log.error("request failed", exc_info=exc)
        got_request_exception.send(sender=type(view), request=context.get("request"))
    return Response(document, status=document["code"], headers=headers)


def _document(exc: Exception, view: Any, headers: dict[str, str]) -> dict[str, Any]:
    if isinstance(exc, errors.DomainError):
        status = next((status for family, status in FAMILIES if isinstance(exc, family)), 409)
        if status == 503:
            headers["Retry-After"] = RETRY_AFTER
        return error_document(status, exc.message, details=exc.details, fields=getattr(exc, "fields", None))
    if isinstance(exc, exceptions.APIException):
        return _of_framework(exc, view, headers)
    if isinstance(exc, Http404):
        return error_document(404, "Not found")
    if isinstance(exc, PermissionDenied):
        return error_document(403, "Not allowed")
    if isinstance(exc, RequestDataTooBig):
        return error_document(413, "The body is too large")
    if isinstance(exc, SuspiciousOperation):
        return error_document(400, "The request is malformed")
    if isinstance(exc, OperationalError | InterfaceError) and getattr(view, "retry_on_storage_failure", False):
        log.warning("storage failure", exc_info=exc)
        headers["Retry-After"] = RETRY_AFTER
        return error_document(503, "The request could not be stored, try again")
    return error_document(500, "Internal error")


def _of_framework(exc: exceptions.APIException, view: Any, headers: dict[str, str]) -> dict[str, Any]:
    if isinstance(exc, exceptions.ValidationError):
        fields = flatten(exc.detail)
        message = "The request is not valid"
        return error_document(400, message, details=_summary(fields, exc.detail), fields=fields)
    if isinstance(exc, exceptions.Throttled):
        headers["Retry-After"] = str(max(1, int(getattr(exc, "wait", None) or 1)))
        return error_document(429, "Too many requests", details=f"Try again in {headers['Retry-After']} s.")
    if isinstance(exc, exceptions.MethodNotAllowed):
        headers["Allow"] = ", ".join(view.allowed_methods) if view is not None else ""
        return error_document(405, "Method not allowed")
    auth_header = getattr(exc, "auth_header", None)
    if auth_header:
        headers["WWW-Authenticate"] = auth_header
    return error_document(exc.status_code, str(exc.detail), fields=getattr(exc, "fields", None))


def flatten(detail: Any) -> dict[str, list[str]]:
    """DRF's nested reasons with dotted and indexed keys: `{"steps[1].action": ["…"]}`."""
    found: dict[str, list[str]] = {}
    for path, reason in _walk(detail, ""):
        if path and (path in found or len(found) < FIELDS_SHOWN):
            found.setdefault(path, []).append(reason)
    return found


def _walk(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            yield from _walk(inner, _joined(path, key))
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            yield from _walk(inner, path if isinstance(inner, str) else f"{path}[{index}]")
    else:
        yield path, str(detail)


def _joined(path: str, key: Any) -> str:
    if isinstance(key, int) or (isinstance(key, str) and key.isdigit() and path):
        return f"{path}[{key}]"
    if key == WHOLE:
        return path
    return f"{path}.{key}" if path else str(key)


def _summary(fields: Mapping[str, list[str]], detail: Any) -> str:
    if fields:
        return "; ".join(f"{name}: {reasons[0]}" for name, reasons in list(fields.items())[:5])
    return next((reason for _, reason in _walk(detail, "")), "")
