"""The envelopes of the API (api.md 1.7) and the two kinds of serializers around them.

* `Shape` writes: list items, `spec`, `status`, sub-documents. It compiles its fields once per class into plain getters, so a
  list page costs no serializer object per request; rows may be model instances, dataclasses or the dicts of `values()`.
* `Body` reads: strict types, unknown members ignored, the null rules of X9.20, synonyms.

In both a camelCase member stands for the snake_case attribute: `detectedAt` reads `detected_at`, `acknowledgedBy` fills
`acknowledged_by`.

    class IncidentSpec(Shape):
        severity = EnumField(Severity)
        signalType = TextField(allow_null=True)

    class IncidentDocument(ObjectSerializer):
        KIND = "Incident"
        spec = IncidentSpec(source="*")
        status = IncidentStatus(source="*")

    IncidentDocument.render(incident)      # the whole envelope as a dict
"""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Self

from drf_spectacular.drainage import set_override
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aiops.api import fields

API_VERSION = "v1"
WHOLE = "non_field_errors"  # where a complaint about an object as a whole stands (DRF's key)
HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")

Rendered = dict[str, Any]
Getter = Callable[[Any], Any]
Member = tuple[str, str | None, bool, Callable[[Any, Any], Any]]  # name, column, blank is null, getter
# the renderer writes these values as the contract wants them, so no field has to touch them
PASSED_THROUGH = (
    serializers.CharField,
    serializers.IntegerField,
    serializers.BooleanField,
    serializers.ChoiceField,
    serializers.DateTimeField,
    serializers.DateField,
    serializers.ListField,
    serializers.DictField,
    serializers.JSONField,
    serializers.UUIDField,
    serializers.ReadOnlyField,
)


def snake(name: str) -> str:
    return HUMP.sub(lambda hump: f"_{hump[1].lower()}", name)


class SnakeSources(serializers.Serializer[Any]):
    """Members are camelCase, attributes snake_case."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        found = super().get_fields()
        for name, field in found.items():
            if (
                field.source is None
                and not isinstance(field, serializers.SerializerMethodField)
                and snake(name) != name
            ):
                field.source = snake(name)
        return found


class Shape(SnakeSources):
    """What the API writes. `computed` members are methods: `SerializerMethodField()` and `get_<member>(self, row)`."""

    _plan: ClassVar[list["Member"]] = []
    _prototype: ClassVar[Any] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._plan, cls._prototype = [], None

    @classmethod
    def render(cls, row: Any, **context: Any) -> Rendered:
        """One row as a dict. `context` is what computed members find in `self.context`."""
        return cls._bound(context)._write(row)

    @classmethod
    def render_all(cls, rows: Iterable[Any], **context: Any) -> list[Rendered]:
        write = cls._bound(context)._write
        return [write(row) for row in rows]

    @classmethod
    def changes_at(cls, row: Any, now: datetime) -> datetime | None:
        """When the row will be written differently although nobody touches it, such as an age; None: never."""
        return None

    @classmethod
    def _bound(cls, context: Mapping[str, Any]) -> Self:
        if cls._prototype is None:
            cls._prototype = cls()
            cls._prototype._compile()
        # `copy` does the same by way of pickling, and there is one for each part of a document
        bound: Self = object.__new__(cls)
        bound.__dict__.update(cls._prototype.__dict__, _context=context)
        return bound

    def _compile(self) -> None:
        type(self)._plan = [
            (name, *_column(field), _getter(name, field)) for name, field in self.fields.items() if not field.write_only
        ]

    def _write(self, row: Any) -> Rendered:
        if type(row) is dict:
            # a row of `values()`: most members are a column as it is (a page of 20 incidents: 0.07 instead of 0.16 ms)
            try:
                return {
                    name: get(self, row) if column is None else (row[column] or None) if blank_is_null else row[column]
                    for name, column, blank_is_null, get in self._plan
                }
            except KeyError:
                pass  # a document whose parts are nested; the getters walk through it
        return {name: get(self, row) for name, _, _, get in self._plan}

    def to_representation(self, instance: Any) -> Rendered:
        return type(self).render(instance, **self.context)


def _column(field: Any) -> tuple[str | None, bool]:
    """The column that a member shows unchanged (None: it has to be computed), and whether a blank one is shown as null."""
    is_nullable = isinstance(field, fields.NullableText) or (isinstance(field, fields.TextField) and field.allow_null)
    is_passed = isinstance(field, PASSED_THROUGH) and not isinstance(field, serializers.SerializerMethodField)
    if field.source == "*" or not (is_nullable or is_passed):
        return None, False
    return str(field.source).replace(".", "__"), is_nullable


def _getter(name: str, field: Any) -> Any:
    """A function (shape, row) -> value of one member."""
    if isinstance(field, serializers.SerializerMethodField):
        return getattr(type(field.parent), f"get_{name}")
    read = _reader(field.source)
    if isinstance(field, serializers.ListSerializer):
        many: Any = type(field.child)
        return lambda shape, row: many.render_all(read(row) or (), **shape.context)
    if isinstance(field, Shape):
        one = type(field)
        return lambda shape, row: None if (value := read(row)) is None else one.render(value, **shape.context)
    if isinstance(field, fields.AgeField):
        return lambda shape, row: field.age_of(row, shape.context.get("now"))
    if isinstance(field, fields.TextField) and field.allow_null:
        return lambda shape, row: read(row) or None  # an unset text is stored blank and shown as null (NUL-1)
    if isinstance(field, PASSED_THROUGH) or type(field).to_representation is fields.TimeField.to_representation:
        return lambda shape, row: read(row)
    convert = field.to_representation
    return lambda shape, row: None if (value := read(row)) is None else convert(value)


def _reader(source: str) -> Getter:
    if source == "*":
        return lambda row: row
    parts = source.split(".")
    column = "__".join(parts)

    def read(row: Any) -> Any:
        if isinstance(row, Mapping):
            return row[column] if column in row else _walk(row, parts)
        return _walk(row, parts)

    return read


def _walk(row: Any, parts: list[str]) -> Any:
    for part in parts:
        if row is None:
            return None
        row = row.get(part) if isinstance(row, Mapping) else getattr(row, part)
        if callable(row):
            row = row()
    return row


class Stored(Shape):
    """A JSON value that the database keeps in the contract's words: its members are camelCase there as well."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return serializers.Serializer.get_fields(self)


# --- envelopes -----------------------------------------------------------------------------------------------------------


class Metadata(Shape):
    """What every object says about itself."""

    name = fields.TextField()
    namespace = fields.TextField()
    uid = serializers.UUIDField()
    createdAt = fields.TimeField()
    updatedAt = fields.TimeField()
    resourceVersion = serializers.SerializerMethodField()
    labels = fields.MapField()
    annotations = fields.MapField()

    def get_resourceVersion(self, row: Any) -> str:
        return str(row["version"] if isinstance(row, Mapping) else row.version)


class ResourceMeta(Shape):
    name = fields.TextField()
    namespace = fields.TextField()
    uid = serializers.UUIDField()
    creationTimestamp = fields.TimeField(source="created_at")
    labels = fields.MapField()
    annotations = fields.MapField()


def constant(value: str) -> Any:
    """A member that always has this value."""

    @extend_schema_field({"type": "string", "const": value})
    class Constant(serializers.Field[str, Any, str, Any]):
        def to_representation(self, row: Any) -> str:
            return value

    return Constant(source="*", read_only=True)


class Envelope(Shape):
    """A document with `apiVersion` and `kind`; OpenAPI calls the component by its kind."""

    KIND: ClassVar[str] = ""

    apiVersion = constant(API_VERSION)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "KIND" in cls.__dict__:
            set_override(cls, "component_name", cls.KIND)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        found = super().get_fields()
        version = found.pop("apiVersion")
        return {"apiVersion": version, "kind": constant(self.KIND), **found}


class ObjectSerializer(Envelope):
    """The envelope of a single object: give it `KIND`, `spec` and (where the kind has one) `status`.

    Both take the whole row: `spec = IncidentSpec(source="*")`.
    """

    metadata = Metadata(source="*")
    resourceMeta = ResourceMeta(source="*")


class Document(Envelope):
    """A sub-document or report: `KIND`, `metadata` and members of its own, fed from a dict (ENV-5)."""


class ListMetadata(Shape):
    totalCount = fields.IntegerField(min_value=0)
    page = fields.IntegerField(min_value=1)
    pageSize = fields.IntegerField(min_value=0)  # 0: of a list without pages that is empty


class DeletedMetadata(Shape):
    name = fields.TextField()
    namespace = fields.TextField()


class DeletedStatus(Shape):
    code = fields.IntegerField()
    message = fields.TextField()
    deletedAt = fields.TimeField()
    deletedBy = fields.TextField()


class Deleted(Document):
    """The answer to a deletion."""

    KIND = "Status"

    metadata = DeletedMetadata()
    status = DeletedStatus()


@cache
def list_of(kind: str, item: type[Shape]) -> type[Envelope]:
    """The list envelope of `kind`, for OpenAPI; `list_document` writes it."""
    members = {"KIND": kind, "metadata": ListMetadata(), "items": item(many=True), "__module__": item.__module__}
    return type(kind, (Envelope,), members)


def list_document(kind: str, items: list[Rendered], *, total: int, page: int, page_size: int) -> Rendered:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"totalCount": total, "page": page, "pageSize": page_size},
        "items": items,
    }


def deleted_document(*, what: str, name: str, namespace: str, at: Any, by: str) -> Rendered:
    """`what` is the kind for people: "Runbook"."""
    return {
        "apiVersion": API_VERSION,
        "kind": Deleted.KIND,
        "metadata": {"name": name, "namespace": namespace},
        "status": {"code": 200, "message": f"{what} deleted", "deletedAt": at, "deletedBy": by},
    }


class ErrorDetail(Shape):
    code = fields.IntegerField()
    message = fields.TextField()
    details = fields.TextField(required=False)
    reason = fields.TextField()
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), required=False
    )


class Error(Document):
    KIND = "Error"

    error = ErrorDetail()
    code = fields.IntegerField()
    message = fields.TextField()


# --- what clients send ---------------------------------------------------------------------------------------------------


class Body(SnakeSources):
    """A request body. `validated_data` has snake_case keys, ready for a service's keyword arguments.

    `SYNONYMS` maps an accepted other name to the documented member, which counts when both are sent. With `merge=True`
    (PUT) only members that were sent are validated and returned; an optional one that is null goes back to its default,
    while on creation it counts as absent (X9.20). DRF's `partial` is not used: it would reach into nested objects, which
    are replaced whole.
    """

    SYNONYMS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *args: Any, merge: bool = False, **kwargs: Any) -> None:
        self.merge = merge
        self._sent: Mapping[str, Any] = {}
        super().__init__(*args, **kwargs)

    @property
    def _writable_fields(self) -> list[Any]:
        fields_in = [field for field in self.fields.values() if not field.read_only]
        return [field for field in fields_in if field.field_name in self._sent] if self.merge else fields_in

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({WHOLE: ["Must be an object."]}, code="type")
        sent = {name: value for name, value in data.items() if name in self.fields}
        borrowed = {}
        for other, name in self.SYNONYMS.items():
            if sent.get(name) is None and data.get(other) is not None:
                sent[name] = data[other]
                borrowed[name] = other
        resets = self._take_out_nulls(sent)
        self._sent = sent
        try:
            return super().to_internal_value(sent) | resets
        except serializers.ValidationError as error:
            detail = error.detail
            if borrowed and isinstance(detail, dict):
                detail = {borrowed.get(name, name): reasons for name, reasons in detail.items()}
            raise serializers.ValidationError(detail) from error

    def _take_out_nulls(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Remove nulls that mean "absent"; returns the values of members to be reset."""
        resets = {}
        for name, value in list(sent.items()):
            field = self.fields[name]
            if value is None and not field.required:
                del sent[name]
                if self.merge:
                    resets[str(field.source)] = _default(field)
        return resets


def _default(field: Any) -> Any:
    if field.default is serializers.empty:
        return None
    return field.default() if callable(field.default) else copy(field.default)


class EmptyBody(Body):
    """An action that needs no body; whatever members come are ignored."""
