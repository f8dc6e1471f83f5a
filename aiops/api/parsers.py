"""Reading bodies: JSON whatever the media type says (CNT-2), never more than the limit (CNT-6)."""

from collections.abc import Iterator
from typing import IO, Any

import orjson
from django.http import HttpRequest, RawPostDataException, UnreadablePostError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from aiops.api.exceptions import BadRequest, PayloadTooLarge

MIB = 1024 * 1024
BODY_MAX = MIB  # bytes; views raise it by `body_max`
NUL = b"\\u0000"
DRAIN_MAX = 16 * MIB  # bytes of an unwanted body that are taken off the wire
CHUNK = 64 * 1024  # bytes


class AnyTypeJSONParser(BaseParser):
    """Stands in the settings so that tools see what is read; `aiops.api.requests` does the reading."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return parse_json(stream.read(BODY_MAX + 1))


def read_body(request: HttpRequest, limit: int) -> bytes:
    """The raw body. Raises `PayloadTooLarge` having read at most `limit` + 1 bytes, `ParseError` when it cannot be read."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes")
    try:
        if not length and is_chunked(request):
            # Django gives a stream of length zero here, the server's own one ends where the body ends
            raw: bytes = request.META["wsgi.input"].read(limit + 1)
        else:
            raw = request.body
    except (UnreadablePostError, RawPostDataException) as error:
        raise ParseError("The body could not be read") from error
    if len(raw) > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes")
    return raw


def is_chunked(request: HttpRequest) -> bool:
    return "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()


def drain(request: HttpRequest) -> None:
    """Take what nobody read of the body off the wire.

    Otherwise the server closes the connection after the answer, and a client that is still sending may never see it, or
    fails with its next request on the same connection. What is larger than `DRAIN_MAX` is not worth it.
    """
    if hasattr(request, "_body"):
        return
    if request.META.get("CONTENT_LENGTH"):
        stream: IO[bytes] = request  # type: ignore[assignment]  # ends where the length says
    elif is_chunked(request):
        stream = request.META["wsgi.input"]
    else:
        return
    left = DRAIN_MAX
    try:
        while left > 0 and (chunk := stream.read(CHUNK)):
            left -= len(chunk)
    except OSError:  # the client is gone
        return


def parse_json(raw: bytes) -> Any:
    """The JSON value, `{}` for an empty body. Raises `ParseError` or `BadRequest`."""
    if not raw.strip():
        return {}
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ParseError("The body is not valid JSON") from error
    if NUL in raw:
        refuse_nul(value)
    return value


def refuse_nul(value: Any) -> None:
    """PostgreSQL stores no NUL character, so no text may hold one."""
    offending = {path: ["Must not contain NUL characters."] for path in _nul_paths(value, "")}
    if offending:
        raise BadRequest("A text contains a NUL character", offending)


def _nul_paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\x00" in value:
            yield path or "body"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_paths(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else key
            if "\x00" in key:
                yield inner.replace("\x00", "\\u0000")
            yield from _nul_paths(item, inner)
