"""The views that every endpoint is built from. They keep the order of checks (api.md 1.4) in one place:

key 401, limit 429, route 404, method 405, role 403, query and body 400/413, object 404, state and version 409.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from aiops.api import idempotency, revalidation, throttling
from aiops.api.exceptions import BadRequest
from aiops.api.filters import Condition, FilterSet
from aiops.api.negotiation import JSON, BrowserOrJSON
from aiops.api.operations import Accepts, Operation
from aiops.api.ordering import CodePoint
from aiops.api.pagination import Page
from aiops.api.parsers import BODY_MAX
from aiops.api.requests import ApiRequest
from aiops.api.selection import Asked, Columns, Reading, equals, scope_conditions
from aiops.api.serializers import (
    Body,
    Envelope,
    ObjectSerializer,
    Rendered,
    Shape,
    deleted_document,
    list_document,
    list_of,
)
from aiops.apikeys.authentication import ApiKeyAuthentication, ConsoleSessionAuthentication
from aiops.apikeys.caller import Caller
from aiops.apikeys.roles import Role
from aiops.apikeys.scopes import Scope
from aiops.audit.actor import Actor
from aiops.errors import Conflict, LostRace, Missing, NotAllowed
from aiops.tallies import reading
from aiops.tallies.sources import sources

RETRIES = 5  # of a lost race, when the client named no version
READS = frozenset({"GET", "HEAD"})
WRITES = frozenset({"POST", "PUT"})
NO_BODY = frozenset({None, "", "0"})
ENTITY_TAG = re.compile(r'(?:W/)?"?([^"]*)"?')
DEFAULT_NAMESPACE = "default"
FAR = 200  # rows: a page that lies further behind is looked up by its hour
UNDESCRIBED = Operation()

R = TypeVar("R")
Items = list[Rendered]  # `list` is a method name below


class ApiView(APIView):
    """A plain endpoint: define `get`, `post`, … decorated with `@operation(...)`."""

    http_method_names = ["get", "post", "put", "delete", "head"]
    body_max: ClassVar[int] = BODY_MAX  # bytes
    page_size: ClassVar[int] = 20  # of lists
    page_size_max: ClassVar[int] = 100
    retry_on_storage_failure: ClassVar[bool] = False  # True: 503 with Retry-After instead of 500 (X2.4)
    request: ApiRequest

    # one instance of each per process: none of them keeps anything of a request
    _authenticators = [ApiKeyAuthentication(), ConsoleSessionAuthentication()]
    _negotiator = BrowserOrJSON()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return ApiRequest(
            request, authenticators=self._authenticators, negotiator=self._negotiator, parser_context={"view": self}
        )

    def get_authenticators(self) -> list[Any]:
        return self._authenticators

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        request.version = request.versioning_scheme = None
        self.perform_authentication(request)
        self.check_throttles(request)
        self.check_method(request)
        self.check_permissions(request)
        self.check_body()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        if not isinstance(response, Response):
            return response
        rendered: Any = response.render()
        if request.method in READS and response.status_code == 200 and not response.has_header("ETag"):
            rendered = revalidation.tag_body(rendered, self.request) or rendered
        self._let_go(response)
        return rendered  # type: ignore[no-any-return]

    def _let_go(self, response: Response) -> None:
        """Part the view, its request and its answer, which hold each other: so they go at once, and not when Python next
        looks through what hundreds of requests left behind."""
        self.request.parser_context = response.renderer_context = {}  # type: ignore[attr-defined]
        for method in self.http_method_names:  # handlers that Django, DRF and `_answer_once` bound to this instance
            self.__dict__.pop(method, None)

    def perform_authentication(self, request: Request) -> None:
        try:
            if request.user is not None:
                return
            raise exceptions.NotAuthenticated("An API key is needed")
        except exceptions.APIException:
            quota = throttling.count_stranger(request)
            if not quota.accepted:
                raise exceptions.Throttled(quota.retry_after(time.time())) from None
            raise

    def check_method(self, request: Request) -> None:
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise exceptions.MethodNotAllowed(request.method or "")

    @property
    def required_role(self) -> Role:
        return self.operation.role

    @property
    def operation(self) -> Operation:
        return self.operation_named(getattr(self, "action", None) or (self.request.method or "get").lower())

    def operation_named(self, name: str) -> Operation:
        """What the handler of that name is; overridden where a class provides the handler."""
        handler = getattr(self, "get" if name == "head" else name, None)
        return getattr(handler, "operation", UNDESCRIBED)

    def check_body(self) -> None:
        """Read and parse the body of a write, and route a repeated one to its stored answer."""
        request, operation = self.request, self.operation
        if request.method not in WRITES:
            if request.META.get("CONTENT_LENGTH") not in NO_BODY:
                _ = request.raw  # 413 whatever the method
            return
        if operation.accepts is Accepts.RAW:
            _ = request.raw
        elif not isinstance(request.data, dict) and operation.accepts is Accepts.OBJECT:
            raise BadRequest("The body must be a JSON object")
        key = idempotency.key_of(request) if request.method == "POST" else None
        if key is not None:
            self._answer_once(key, operation)

    def _answer_once(self, key: str, operation: Operation) -> None:
        handler: Callable[..., HttpResponseBase] = getattr(self, "post")  # noqa: B009 - a viewset binds it at run time

        def post(*args: Any, **kwargs: Any) -> HttpResponseBase:
            def handle() -> HttpResponseBase:
                return handler(*args, **kwargs)

            outside = operation.calls_outside
            return idempotency.execute(self.request, key, handle, self.handle_exception, calls_outside=outside)

        setattr(self, "post", post)  # noqa: B010

    # what handlers use

    @property
    def caller(self) -> Caller:
        return self.request.caller

    @property
    def scope(self) -> Scope:
        return self.caller.scope

    @property
    def actor(self) -> Actor:
        return self.caller.actor(self.request)

    @cached_property
    def now(self) -> datetime:
        """One clock reading per request."""
        return timezone.now()

    def param(self, name: str) -> str | None:
        """A query parameter; None when absent or empty. Raises `BadRequest` for text no database can hold."""
        value: str | None = self.request.GET.get(name) or None
        if value is not None and "\x00" in value:
            raise BadRequest("The query parameters are not valid", {name: ["Must not contain NUL characters."]})
        return value

    def read_body(self, body: type[Body], *, merge: bool = False) -> dict[str, Any]:
        """The validated body with snake_case keys."""
        serializer = body(data=self.request.data, merge=merge, context={"view": self, "request": self.request})
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def require_scope(self, *, namespace: str | None = None, cluster: str | None = None) -> None:
        """Refuse a creation outside the key's scope (X1.5). Raises `NotAllowed`."""
        if not self.scope.covers(namespace=namespace, cluster=cluster):
            raise NotAllowed("The key's scope does not cover that namespace or cluster")


class NotFoundView(ApiView):
    """Any path below /api/ that nothing else answers: known callers get 404, others 401 (AUTH-2)."""

    schema = None

    def check_method(self, request: Request) -> None:
        raise exceptions.NotFound("No such resource")


class ResourceViewSet(ViewSetMixin, ApiView):
    """One kind of object. Mix in `Lists` and `Reads`; add `@creation`, `@replacement`, `@deletion`, `@command` methods."""

    queryset: ClassVar[QuerySet[Any]]
    document: ClassVar[type[ObjectSerializer]]
    namespaced: ClassVar[bool] = True
    scope_namespace: ClassVar[str | None] = "namespace"  # columns that a key's scope narrows
    scope_cluster: ClassVar[str | None] = None
    # annotations of the addressed row that its document shows and no command changes: a command answers with it
    beside: ClassVar[Mapping[str, Any]] = {}
    lookup_field = "name"
    lookup_value_regex = "[^/]+"

    def operation_named(self, name: str) -> Operation:
        described = super().operation_named(name)
        if described.answer is None and described is not UNDESCRIBED and described.media_type == JSON:
            return dataclasses.replace(described, answer=self.document)
        return described

    def get_queryset(self) -> QuerySet[Any]:
        rows = self.queryset.all()
        if self.scope.is_everything:
            return rows
        namespace = self.scope_namespace if self.namespaced else None
        return self.scope.narrow(rows, namespace=namespace, cluster=self.scope_cluster)

    def queryset_conditions(self) -> list[Condition] | None:
        """What `get_queryset` narrows `queryset` by; None where a view overrides it."""
        if type(self).get_queryset is not ResourceViewSet.get_queryset:
            return None
        namespace = self.scope_namespace if self.namespaced else None
        return scope_conditions(self.scope, namespace=namespace, cluster=self.scope_cluster)

    def get_object(self) -> Any:
        """The addressed row (NAME-2…4). Raises as `addressed`."""
        return self.addressed(None)[0]

    def addressed(self, reading: Reading | None) -> Sequence[Any]:
        """The rows of the addressed object. Raises `Missing`, or `BadRequest` when the name is ambiguous."""
        name: str = self.kwargs[self.lookup_field]
        namespace = self.param("namespace") if self.namespaced else None
        if any("\x00" in part for part in self.kwargs.values()):  # no database holds such a name
            raise Missing("Not found")
        found = self.named(name, namespace, reading)
        if not found:
            raise Missing(f"{self.document.KIND} not found")
        if len(found) == 1 or (reading is not None and reading.is_one(found)):
            return found
        preferred = self.named(name, DEFAULT_NAMESPACE, reading) if namespace is None else []
        if not preferred:
            reason = ["Several namespaces have an object of this name."]
            raise BadRequest("The name is ambiguous, give a namespace", {"namespace": reason})
        return preferred

    def named(self, name: str, namespace: str | None, reading: Reading | None) -> Sequence[Any]:
        """What the key may see of that name: at most two instances, or the rows that the reading makes of them."""
        where = {self.lookup_field: name} | ({} if namespace is None else {"namespace": namespace})
        conditions = self.queryset_conditions()
        if conditions is not None:
            conditions.extend(equals(column, value) for column, value in where.items())
        asked = Asked(type(self), self.queryset, lambda: self.get_queryset().filter(**where), conditions)
        return asked.some(2, self.beside) if reading is None else list(asked.read(reading))

    def check_version(self, row: Any) -> bool:
        """CON-3: whether the client named a version. Raises `Conflict` when it is not the current one."""
        wanted: str | None = self.request.META.get("HTTP_IF_MATCH")
        if not wanted:
            return False
        tags = [ENTITY_TAG.fullmatch(tag.strip()) for tag in wanted.split(",")]
        if not any(tag and tag[1].strip() in {"*", str(row.version)} for tag in tags):
            raise Conflict("The object has changed", f"Its resourceVersion is {row.version}.")
        return True

    def attempt(self, do: Callable[[Any], R]) -> R:
        """Look the object up and act on it; after a lost race again on what it is then: the server serializes."""
        for _ in range(RETRIES):
            row = self.get_object()
            has_version = self.check_version(row)
            try:
                return do(row)
            except LostRace:
                if has_version:
                    raise
        raise LostRace("The object changes too often, try again")

    # answers

    def render_document(self, row: Any) -> Rendered:
        """The envelope of a row; override to give its computed members a context."""
        return self.document.render(row)

    def answer(self, result: Any, status: int = 200) -> Response:
        """A handler's result: a row becomes its envelope with ETag, a dict is a finished document."""
        if isinstance(result, HttpResponseBase):
            return result  # type: ignore[return-value]
        if isinstance(result, Model):
            return Response(self.render_document(result), status=status, headers=self.etag(result))
        return Response(result, status=status)

    def created(self, result: Any) -> Response:
        response = self.answer(result, 201)
        if isinstance(result, Model):
            name: str = getattr(result, self.lookup_field)
            response["Location"] = f"{self.request.path.rstrip('/')}/{quote(name)}"
        return response

    def deleted(self, row: Any) -> Response:
        namespace = getattr(row, "namespace", "")
        what = self.document.KIND
        return Response(
            deleted_document(what=what, name=row.name, namespace=namespace, at=self.now, by=self.actor.name)
        )

    @staticmethod
    def etag(row: Any) -> dict[str, str]:
        version = row.get("version") if isinstance(row, dict) else getattr(row, "version", None)
        return {} if version is None else {"ETag": f'"{version}"'}


class Reads:
    """`GET /<things>/{name}`."""

    # given: the object is read by it, and `render_document` gets the dict instead of an instance
    reading: ClassVar[Reading | None] = None

    def retrieve(self: Any, request: Request, name: str) -> Response:
        if self.reading is None:
            response: Response = self.answer(self.get_object())
            return response
        row = self.addressed(self.reading)[0]
        return Response(self.render_document(row), headers=self.etag(row))

    def operation_named(self: Any, name: str) -> Operation:
        if name == "retrieve":
            return Operation(answer=self.document, refusals=(404,), names_object=True)
        return super().operation_named(name)  # type: ignore[misc, no-any-return]


class Lists:
    """`GET /<things>`: filtered, ordered, one page, read by one count and one query."""

    item: ClassVar[type[Shape]]
    list_kind: ClassVar[str] = ""  # default: the document's kind and "List"
    filterset_class: ClassVar[type[FilterSet] | None] = None
    # total: ends on a unique column
    ordering: ClassVar[Sequence[str | CodePoint]] = (CodePoint("name"), CodePoint("namespace"))
    columns: ClassVar[Sequence[str]] = ()  # given: the page is read by `values(*columns)`, without model instances

    # JSON columns among them that no member looks into: they go from the database into the answer as text
    raw: ClassVar[Sequence[str]] = ()
    key: ClassVar[str] = (
        ""  # a unique column that the indexes of the list hold: makes far pages of filtered lists cheaper
    )
    # models (registered in `aiops.tallies`) that decide what the list shows, the listed one first: they make its count cheap
    # and let an unchanged list be recognized without reading it. An item whose shape depends on the clock has `changes_at`
    tallied: ClassVar[Sequence[str]] = ()

    def list(self: Any, request: Request) -> HttpResponseBase:
        page = Page.of(request.GET, size=self.page_size, maximum=self.page_size_max)
        asked = self.asked()
        # a filter that computes may look at the clock, so only those that compare columns are trusted to stay as they are
        stamp = reading.stamp_of(self.tallied) if self.tallied and asked.conditions is not None else ""
        subject = revalidation.subject_of(request, self.scope)
        tags = revalidation.wanted(request) if stamp else []
        current = revalidation.is_current(tags, subject, stamp, self.now)
        if current:
            return revalidation.not_modified(current)
        total = asked.total(self.tallied, stamp)
        rows = self.rows_of(asked, page, total, stamp)
        headers = {"ETag": revalidation.tag_of(subject, stamp, self.until(rows))} if stamp else {}
        items = self.render_items(rows)
        document = list_document(self.kind_of_list, items, total=total, page=page.number, page_size=page.size)
        return Response(document, headers=headers)

    def rows_of(self: Any, asked: Asked, page: Page, total: int, stamp: str) -> Iterable[Any]:
        columns = Columns(self.ordering, self.columns, self.raw, self.key)
        if FAR <= page.offset < total and stamp and asked.conditions == []:
            source = sources[self.tallied[0]]
            if source.time and self.ordering[0] == f"-{source.time}":
                near, place = asked.jumped(page, source, stamp)
                return near.page(place, total, columns)
        return asked.page(page, total, columns)

    def until(self: Any, rows: Iterable[Any]) -> datetime | None:
        """Until when these rows are written as they are now; None: until one of them changes."""
        moments = (self.item.changes_at(row, self.now) for row in rows)
        return min((moment for moment in moments if moment is not None), default=None)

    def asked(self: Any) -> Asked:
        """The rows that the query asks for and the key may see. Raises `BadRequest`."""
        return Asked(type(self), self.queryset, lambda: self.narrow(self.get_queryset()), self.conditions())

    def conditions(self: Any) -> Sequence[Condition] | None:
        """What narrows the list; None when one of the filters is no part of a statement, or the view has rows of its own."""
        narrowed: Sequence[Condition] | None = self.queryset_conditions()
        if narrowed is not None and self.filterset_class is not None:
            filters = self.filterset_class.conditions(self.request.GET, self.queryset)
            narrowed = None if filters is None else [*narrowed, *filters]
        if narrowed is not None and self.has_plain_namespace:
            namespace = self.param("namespace")
            if namespace is not None:
                narrowed = [*narrowed, equals("namespace", namespace)]
        return narrowed

    def narrow(self: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self.filterset_class is not None:
            rows = self.filterset_class.apply(self.request.GET, rows)
        if self.has_plain_namespace:
            namespace = self.param("namespace")
            rows = rows if namespace is None else rows.filter(namespace=namespace)
        return rows

    @property
    def has_plain_namespace(self: Any) -> bool:
        """`filterset_class` without a `namespace` filter gets the plain one."""
        return self.namespaced and (
            self.filterset_class is None or "namespace" not in self.filterset_class.base_filters
        )

    def render_items(self: Any, rows: Iterable[Any]) -> Items:
        """The items of one page; override to fetch what they need from elsewhere in one query."""
        rendered: Items = self.item.render_all(rows)
        return rendered

    @property
    def kind_of_list(self: Any) -> str:
        return self.list_kind or f"{self.document.KIND}List"

    def operation_named(self: Any, name: str) -> Operation:
        if name == "list":
            answer: type[Envelope] = list_of(self.kind_of_list, self.item)
            return Operation(answer=answer, is_list=True, filters=self.filterset_class)
        return super().operation_named(name)  # type: ignore[misc, no-any-return]
