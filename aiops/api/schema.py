"""OpenAPI 3.1 from the views' operations: real envelopes, every refusal, every header."""

import inspect
from typing import Any

import uritemplate
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as BaseAutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from aiops.api.exceptions import REASONS
from aiops.api.fields import EnumField, JsonField, ObjectField
from aiops.api.filters import BooleanFilter, EnumFilter, IntegerFilter, TimeFilter
from aiops.api.operations import Accepts, Operation, Variant
from aiops.api.pagination import PAGE_MAX
from aiops.api.serializers import Body, Error, ObjectSerializer
from aiops.apikeys.roles import Role

Schema = dict[str, Any]

DESCRIPTIONS = {
    400: "A parameter or member is missing or malformed",
    401: "No key, or an unknown one",
    403: "The role of the key is too low",
    404: "No such object",
    405: "Method not allowed",
    409: "The state of the object forbids it, or it changed meanwhile",
    410: "Expired",
    413: "The body is too large",
    429: "Too many requests",
    500: "Server fault",
    503: "A part that is needed does not answer",
}
INTEGER: Schema = {"type": "integer"}
STRING: Schema = {"type": "string"}


def header(description: str, schema: Schema) -> Schema:
    return {"description": description, "schema": schema}


RATE_HEADERS = {
    "X-RateLimit-Limit": header("Requests allowed in a window", INTEGER),
    "X-RateLimit-Remaining": header("Requests left in this window", INTEGER),
    "X-RateLimit-Reset": header("Unix time at which the window ends", INTEGER),
    "X-Request-ID": header("Id of the request, also in the server's log", STRING),
}


def text_of(media_type: str) -> Schema:
    """A document that is not JSON. To readers of OpenAPI, YAML is the value that it spells, which may be any."""
    return STRING if media_type.startswith("text/") else {}


def or_null(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else schema


def parameter(name: str, where: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    found: Schema = {"name": name, "in": where, "schema": schema}
    if description:
        found["description"] = description
    return {**found, "required": True} if required else found


REQUEST_ID = parameter(
    "X-Request-ID",
    "header",
    "Chosen by the client to find the request in the server's log",
    {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
)
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    "A repetition with the same key within 24 h gets the first answer and changes nothing",
    {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
)
IF_MATCH = parameter(
    "If-Match", "header", "Version that the change is meant for, as in ETag; another one is answered 409", STRING
)
IF_NONE_MATCH = parameter(
    "If-None-Match", "header", "Tags of answers the client has, as in ETag; a current one is answered 304", STRING
)
NAMESPACE = parameter("namespace", "query", "Namespace; without it all of them", STRING)


class AutoSchema(BaseAutoSchema):
    """Reads `view.operation_named`, so the document cannot differ from what the views enforce."""

    view: Any

    @property
    def operation(self) -> Operation:
        described: Operation = self.view.operation_named(self.action_name)
        return described

    @property
    def action_name(self) -> str:
        return str(getattr(self.view, "action", None) or self.method.lower())

    def get_operation_id(self) -> str:
        """`incidents_list`, `incidents_acknowledge`, `analytics_summary`; a plain POST ends in its method."""
        basename = getattr(self.view, "basename", None)
        if basename:
            return f"{basename}_{self.action_name}".replace("-", "_")
        words = [part.replace("-", "_") for part in self._tokenize_path()]
        return "_".join(words if self.method == "GET" else [*words, self.method.lower()])

    def get_tags(self) -> list[str]:
        return self._tokenize_path()[:1]

    def get_description(self) -> str:  # type: ignore[override]
        handler = getattr(self.view, self.action_name, None)
        told = (getattr(handler, "__doc__", None) or "").strip()
        role = f"Role: {self.operation.role}."
        return f"{told}\n\n{role}" if told else role

    def get_summary(self) -> str | None:
        return None

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False  # the envelope of a list is an object

    # parameters

    def _resolve_path_parameters(self, variables: list[str]) -> list[Schema]:
        return [parameter(name, "path", f"The {name} of the object", STRING, required=True) for name in variables]

    def _get_parameters(self) -> list[Schema]:
        operation = self.operation
        found = self._resolve_path_parameters(list(uritemplate.variables(self.path)))
        found += [parameter(name, "query", "", schema) for name, schema in operation.query]
        found += self._filters(operation)
        is_namespaced = getattr(self.view, "namespaced", False) and (operation.names_object or operation.is_list)
        if is_namespaced and "namespace" not in {one["name"] for one in found}:
            found.append(NAMESPACE)
        if operation.is_list:
            found += self._paging()
        if self.method == "POST":
            found.append(IDEMPOTENCY_KEY)
        if operation.names_object and self.method != "GET":
            found.append(IF_MATCH)
        if self._is_conditional(operation):
            found.append(IF_NONE_MATCH)
        return [*found, REQUEST_ID]

    def _is_conditional(self, operation: Operation) -> bool:
        """Lists and reports; a single object has its version as tag, which does not speak for the rest of the document."""
        is_object = operation.answer is not None and issubclass(operation.answer, ObjectSerializer)
        return self.method == "GET" and operation.media_type == "application/json" and not is_object

    def _paging(self) -> list[Schema]:
        number = {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": 1}
        size = {"type": "integer", "minimum": 1, "default": self.view.page_size}
        most = self.view.page_size_max
        return [
            parameter("page", "query", "Page, from 1", number),
            parameter("pageSize", "query", f"Items of a page; more than {most} is lowered to {most}", size),
        ]

    def _filters(self, operation: Operation) -> list[Schema]:
        if operation.filters is None:
            return []
        return [
            parameter(name, "query", str(one.extra.get("help_text") or ""), self._filter_schema(one))
            for name, one in operation.filters.base_filters.items()
        ]

    def _filter_schema(self, one: Any) -> Schema:
        if isinstance(one, EnumFilter):
            return self._enum(one.enum)
        if isinstance(one, BooleanFilter):
            return {"type": "boolean"}
        if isinstance(one, IntegerFilter):
            return INTEGER
        if isinstance(one, TimeFilter):
            return {"type": "string", "format": "date-time"}
        return STRING

    # components

    def get_serializer_name(self, serializer: Any, direction: str) -> str:
        return type(serializer).__name__.removesuffix("Body")

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        # an optional member of a body may be null, which means absent (X9.20)
        nullable = field.allow_null or (
            direction == "request" and not field.required and isinstance(field.parent, Body)
        )
        if isinstance(field, EnumField):
            ref = self._enum(field.enum)
            return {"oneOf": [ref, {"type": "null"}]} if nullable else ref
        if isinstance(field, ObjectField):
            anything: Schema = {"type": "object", "additionalProperties": {}}
            return or_null(anything) if nullable else anything
        if isinstance(field, JsonField):
            return {}  # any value; null is one of them
        schema = super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]
        return or_null(schema) if nullable and schema is not None else schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Schema:
        schema: Schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        schema.pop("description", None)
        own = type(serializer).__dict__.get("__doc__")  # not the one of a base class, which speaks to us
        return {**schema, "description": inspect.cleandoc(own)} if own else schema

    def _enum(self, enum: Any) -> Schema:
        """An enumeration is one component, named as its class, wherever it is used."""
        schema = {"type": "string", "enum": [str(value) for value in enum.values]}
        name = enum.__name__
        return self._component(name, schema, enum)

    # bodies

    def _get_request_body(self, direction: Any = "request") -> Schema | None:
        operation = self.operation
        if self.method not in {"POST", "PUT"}:
            return None
        if operation.body is None:
            media = operation.body_media_type
            anything: Schema = {"type": "object"} if operation.accepts is Accepts.OBJECT else {}
            text = text_of(media) if operation.accepts is Accepts.RAW else anything
            return {"content": {media: {"schema": text}}, "required": operation.accepts is not Accepts.OBJECT}
        serializer = operation.body(merge=True) if self.method == "PUT" else operation.body()
        if self.method == "PUT":
            return {"content": {"application/json": {"schema": self._merge_schema(serializer)}}, "required": True}
        component = self.resolve_serializer(serializer, "request")
        if not component:
            return {"content": {"application/json": {"schema": {"type": "object"}}}}
        needs_body = any(field.required for field in serializer.fields.values())
        return {"content": {"application/json": {"schema": component.ref}}, "required": needs_body}

    def _merge_schema(self, serializer: Any) -> Schema:
        """A PUT takes any subset: the same members, none required, under a name of its own."""
        base = self._get_serializer_name(serializer, "request").removesuffix("Request").removesuffix("Update")
        schema = dict(self._map_serializer(serializer, "request"))  # type: ignore[no-untyped-call]
        schema.pop("required", None)
        return self._component(f"{base}Update", schema, f"{base} update")

    def _component(self, name: str, schema: Schema, identity: Any) -> Schema:
        kind = ResolvedComponent.SCHEMA
        component = ResolvedComponent(name, kind, schema, identity)  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(component)
        return component.ref

    def _get_response_bodies(self, direction: Any = "response") -> Schema:
        operation = self.operation
        error = self.resolve_serializer(Error, "response").ref
        success = self._success(operation)
        found: Schema = {str(status): success for status in (operation.status, *operation.also)}
        for variant in operation.variants:
            found[str(variant.status)] = self._with(variant, found.get(str(variant.status), {**success, "content": {}}))
        if self._is_conditional(operation):
            tagged = {**RATE_HEADERS, "ETag": header("The tag that is current", STRING)}
            found["304"] = {"description": "The client has the answer already", "headers": tagged}
        for status in self._refusals(operation):
            headers = dict(RATE_HEADERS)
            if status in {429, 503}:
                headers["Retry-After"] = header("Seconds to wait", INTEGER)
            if status == 401:
                headers["WWW-Authenticate"] = header("How to authenticate", STRING)
            found[str(status)] = {
                "description": f"{DESCRIPTIONS[status]} (`{REASONS[status]}`)",
                "headers": headers,
                "content": {"application/json": {"schema": error}},
            }
        return found

    def _with(self, variant: Variant, described: Schema) -> Schema:
        """The description of a status with one more form of its body."""
        answer = variant.answer
        schema = text_of(variant.media_type) if answer is None else self.resolve_serializer(answer, "response").ref
        return {**described, "content": {**described["content"], variant.media_type: {"schema": schema}}}

    def _refusals(self, operation: Operation) -> list[int]:
        found = {400, 401, 429, 500, *operation.refusals}
        if self.method != "GET":
            found.add(413)
        if self.method == "POST":
            found.add(409)  # an idempotency key used for something else
        if operation.role is not Role.VIEWER:
            found.add(403)
        return sorted(found)

    def _success(self, operation: Operation) -> Schema:
        headers = dict(RATE_HEADERS)
        if operation.answer is not None and issubclass(operation.answer, ObjectSerializer):
            headers["ETag"] = header("resourceVersion of the object", STRING)
        elif self._is_conditional(operation):
            headers["ETag"] = header("Changes with the answer; send it back as If-None-Match", STRING)
        if operation.status == 201:
            headers["Location"] = header("Path of the new object", STRING)
        if self.method == "POST":
            headers["Idempotency-Replayed"] = header("`true` on a repeated answer", STRING)
        described: Schema = {"description": "Success", "headers": headers}
        if operation.answer is not None and operation.media_type == "application/json":
            schema = self.resolve_serializer(operation.answer, "response").ref
        else:
            schema = text_of(operation.media_type) if operation.media_type != "application/json" else {"type": "object"}
        return {**described, "content": {operation.media_type: {"schema": schema}}}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "aiops.apikeys.authentication.ApiKeyAuthentication"
    name = ["ApiKey", "BearerKey"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        return [{"ApiKey": []}, {"BearerKey": []}]

    def get_security_definition(self, auto_schema: Any) -> list[Schema]:
        return [
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            {"type": "http", "scheme": "bearer", "description": "The API key as a bearer token"},
        ]


class ConsoleSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "aiops.apikeys.authentication.ConsoleSessionAuthentication"
    name = "ConsoleSession"

    def get_security_definition(self, auto_schema: Any) -> Schema:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "A signed-in console user"}
