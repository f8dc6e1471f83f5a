from typing import Any

import orjson
from rest_framework import renderers

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_NON_STR_KEYS


def dumps(data: Any) -> bytes:
    """JSON as the contract writes it: UTC times with `Z` and whole seconds."""
    return orjson.dumps(data, default=_plain, option=OPTIONS)


def _plain(value: Any) -> Any:
    """What orjson does not know: lazy texts, str subclasses of DRF, decimals."""
    if hasattr(value, "as_tuple"):
        return float(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


class JSONRenderer(renderers.BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else dumps(data)


class BrowsableAPIRenderer(renderers.BrowsableAPIRenderer):
    """X1.1. Bodies are sent as raw JSON only, because JSON is all that the API reads (CNT-2)."""

    def get_default_renderer(self, view: Any) -> renderers.BaseRenderer:
        return JSONRenderer()

    def get_content(self, renderer: Any, data: Any, *args: Any) -> str:
        return "" if data is None else orjson.dumps(data, default=_plain, option=OPTIONS | orjson.OPT_INDENT_2).decode()

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Any) -> Any:
        return super().get_rendered_html_form(data, view, method, request) if method == "DELETE" else None

    def get_filter_form(self, data: Any, view: Any, request: Any) -> None:
        return None
