"""What an endpoint is: role, body, answer. The views obey it and OpenAPI is written from it, so both always agree.

    class IncidentViewSet(Lists, Reads, ResourceViewSet):
        queryset = Incident.objects.all()
        document = IncidentDocument
        item = IncidentItem
        filterset_class = IncidentFilter
        ordering = ("-detected_at", "name")

        @command(body=AcknowledgeBody)
        def acknowledge(self, incident: Incident, sent: Sent) -> Incident:
            return lifecycle.acknowledge(incident=incident, actor=self.actor, at=self.now, **sent)

A decorated method gets the validated body and the object, and returns what to show: a row (written by `document`, with its
ETag), a dict (a finished document), or a `Response`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Any, Literal

from rest_framework.decorators import action as drf_action
from rest_framework.request import Request

from aiops.api.serializers import Body, Deleted, EmptyBody, Envelope
from aiops.apikeys.roles import Role

Sent = dict[str, Any]
Handler = Callable[..., Any]


class Accepts(Enum):
    """Which bodies a write takes."""

    OBJECT = "a JSON object"
    JSON = "any JSON value"
    RAW = "text that the endpoint reads itself"


@dataclass(frozen=True, slots=True)
class Variant:
    """One more form of success: another status, or another media type of the same one. Without `answer` it is a text."""

    status: int
    media_type: str
    answer: type[Envelope] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`answer` is the envelope of success (`status`, in some cases one of `also`), `media_type` set where it is not JSON.

    `refusals` are statuses beside those that every endpoint may answer; `query` documents parameters beside `namespace`,
    paging and filters (name -> schema).
    """

    answer: type[Envelope] | None = None
    role: Role = Role.VIEWER
    body: type[Body] | None = None
    status: int = 200
    also: tuple[int, ...] = ()
    variants: tuple[Variant, ...] = ()
    accepts: Accepts = Accepts.OBJECT
    media_type: str = "application/json"
    body_media_type: str = "application/json"
    refusals: tuple[int, ...] = ()
    query: tuple[tuple[str, dict[str, Any]], ...] = ()
    filters: Any = None
    is_list: bool = False
    names_object: bool = False
    # the handler talks to a cluster or another server: an idempotent repetition must not hold a transaction meanwhile
    calls_outside: bool = False


def operation(**facts: Any) -> Callable[[Handler], Handler]:
    """Describe a plain handler (`get`, `post`, an extra `@action`): it gets the request and returns a `Response`."""

    def decorate(handler: Handler) -> Handler:
        handler.operation = Operation(**facts)  # type: ignore[attr-defined]
        return handler

    return decorate


def _routed(wrapped: Handler, facts: Operation, method: Literal["get", "post"], path: str | None) -> Any:
    wrapped.operation = facts  # type: ignore[attr-defined]
    url_path = path or wrapped.__name__.replace("_", "-")
    return drf_action(detail=True, methods=[method], url_path=url_path, url_name=wrapped.__name__)(wrapped)


def command(*, body: type[Body] = EmptyBody, path: str | None = None, **facts: Any) -> Callable[[Handler], Any]:
    """`POST /<things>/{name}/<method name>`: method(self, row, sent). Answers with the object unless `answer` says otherwise.

    A lost race is tried again with the row as it is then, unless the client named a version (`If-Match`).
    """
    described = Operation(
        **{"role": Role.OPERATOR, "body": body, "refusals": (404, 409), "names_object": True, **facts}
    )

    def decorate(handler: Handler) -> Any:
        @wraps(handler)
        def wrapped(self: Any, request: Request, name: str) -> Any:
            sent = self.read_body(body)
            return self.answer(self.attempt(lambda row: handler(self, row, sent)), described.status)

        return _routed(wrapped, described, "post", path)

    return decorate


def sub_document(*, path: str | None = None, reading: Any = None, **facts: Any) -> Callable[[Handler], Any]:
    """`GET /<things>/{name}/<method name>`: method(self, row) -> document or `Response`.

    With a `selection.Reading` the method gets the rows that it gives.
    """
    described = Operation(**{"refusals": (404,), "names_object": True, **facts})

    def decorate(handler: Handler) -> Any:
        @wraps(handler)
        def wrapped(self: Any, request: Request, name: str) -> Any:
            return self.answer(handler(self, self.get_object() if reading is None else self.addressed(reading)))

        return _routed(wrapped, described, "get", path)

    return decorate


def creation(*, body: type[Body], **facts: Any) -> Callable[[Handler], Handler]:
    """`POST /<things>`: method(self, sent) -> the new row; 201 with `Location`."""
    described = Operation(**{"role": Role.ADMIN, "body": body, "status": 201, "refusals": (409,), **facts})

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def wrapped(self: Any, request: Request) -> Any:
            return self.created(handler(self, self.read_body(body)))

        wrapped.operation = described  # type: ignore[attr-defined]
        return wrapped

    return decorate


def replacement(*, body: type[Body], **facts: Any) -> Callable[[Handler], Handler]:
    """`PUT /<things>/{name}`: method(self, row, sent) with the members that were sent (merge, RB-3)."""
    described = Operation(**{"role": Role.ADMIN, "body": body, "refusals": (404, 409), "names_object": True, **facts})

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def wrapped(self: Any, request: Request, name: str) -> Any:
            sent = self.read_body(body, merge=True)
            return self.answer(self.attempt(lambda row: handler(self, row, sent)))

        wrapped.operation = described  # type: ignore[attr-defined]
        return wrapped

    return decorate


def deletion(**facts: Any) -> Callable[[Handler], Handler]:
    """`DELETE /<things>/{name}`: method(self, row) -> None; answers with kind `Status`."""
    described = Operation(
        **{"role": Role.ADMIN, "answer": Deleted, "refusals": (404, 409), "names_object": True, **facts}
    )

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def wrapped(self: Any, request: Request, name: str) -> Any:
            return self.deleted(self.attempt(lambda row: (handler(self, row), row)[1]))

        wrapped.operation = described  # type: ignore[attr-defined]
        return wrapped

    return decorate
